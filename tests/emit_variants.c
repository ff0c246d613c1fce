/* emit_variants DIRECTORY: writes the text of every variant to DIRECTORY/NNNNN.cl, for compilers to
 * check. */
#include <stdio.h>

#include "variants.h"

struct writer {
    const char *directory;
    unsigned count;
};

static int write_variant(void *user, const struct variant *variant)
{
    struct writer *const writer = user;
    struct clnorm_source source;
    char path[4096], message[256];
    if (clnorm_source_emit(&variant->problem, &variant->schedule, &source, message,
                           sizeof message) != CLNORM_OK) {
        fprintf(stderr, "emit_variants: %s\n", message);
        return 1;
    }
    snprintf(path, sizeof path, "%s/%05u.cl", writer->directory, writer->count++);
    FILE *const file = fopen(path, "w");
    const int failed = !file || fwrite(source.text, 1, source.length, file) != source.length;
    if (failed)
        fprintf(stderr, "emit_variants: cannot write %s\n", path);
    if (file)
        fclose(file);
    clnorm_source_free(&source);
    return failed;
}

int main(int count, char **arguments)
{
    if (count != 2) {
        fprintf(stderr, "usage: emit_variants DIRECTORY\n");
        return 2;
    }
    struct writer writer = {.directory = arguments[1]};
    if (visit_variants(write_variant, &writer) != 0)
        return 1;
    printf("%u texts\n", writer.count);
    return 0;
}
