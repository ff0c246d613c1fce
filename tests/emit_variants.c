/* emit_variants DIRECTORY [gpu]: writes the text of every variant, or of every one for GPUs, to
 * DIRECTORY/NNNNN.cl, and images of some dozens of them to DIRECTORY/imageNNNNN.cl, for compilers to
 * check. */
#include <stdio.h>
#include <string.h>

#include "variants.h"

enum { IMAGE_SOURCES = 48 };

struct writer {
    const char *directory;
    unsigned count, images;
    struct clnorm_source sources[IMAGE_SOURCES]; /* of the next image */
    unsigned source_count;
};

static int write_text(const struct writer *writer, const char *prefix, unsigned number,
                      const struct clnorm_source *source)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s%05u.cl", writer->directory, prefix, number);
    FILE *const file = fopen(path, "w");
    const int failed = !file || fwrite(source->text, 1, source->length, file) != source->length;
    if (failed)
        fprintf(stderr, "emit_variants: cannot write %s\n", path);
    if (file)
        fclose(file);
    return failed;
}

static int write_image(struct writer *writer)
{
    struct clnorm_source image;
    char message[256] = "";
    if (writer->source_count == 0)
        return 0;
    int failed = clnorm_image_join(writer->sources, writer->source_count, &image, message,
                                   sizeof message) != CLNORM_OK;
    if (failed)
        fprintf(stderr, "emit_variants: %s\n", message);
    else
        failed = write_text(writer, "image", writer->images++, &image);
    clnorm_source_free(&image);
    while (writer->source_count > 0)
        clnorm_source_free(&writer->sources[--writer->source_count]);
    return failed;
}

/* Schedules of two targets may be one and the same; an image has each text once. */
static int is_in_image(const struct writer *writer, const struct clnorm_source *source)
{
    for (unsigned i = 0; i < writer->source_count; i++)
        if (strcmp(writer->sources[i].text, source->text) == 0)
            return 1;
    return 0;
}

static int write_variant(void *user, const struct variant *variant)
{
    struct writer *const writer = user;
    struct clnorm_source *const source = &writer->sources[writer->source_count];
    char message[256];
    if (clnorm_source_emit(&variant->problem, &variant->schedule, source, message,
                           sizeof message) != CLNORM_OK) {
        fprintf(stderr, "emit_variants: %s\n", message);
        return 1;
    }
    if (is_in_image(writer, source)) {
        clnorm_source_free(source);
        return 0;
    }
    writer->source_count++;
    return write_text(writer, "", writer->count++, source) ||
           (writer->source_count == IMAGE_SOURCES && write_image(writer));
}

int main(int count, char **arguments)
{
    const int gpu = count == 3 && strcmp(arguments[2], "gpu") == 0;
    if (count != 2 && !gpu) {
        fprintf(stderr, "usage: emit_variants DIRECTORY [gpu]\n");
        return 2;
    }
    struct writer writer = {.directory = arguments[1]};
    int (*const visit)(int (*)(void *, const struct variant *), void *) =
        gpu ? visit_gpu_variants : visit_variants;
    if (visit(write_variant, &writer) != 0 || write_image(&writer) != 0)
        return 1;
    printf("%u texts, %u images\n", writer.count, writer.images);
    return 0;
}
