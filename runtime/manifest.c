#define _POSIX_C_SOURCE 200809L
#include "manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Facts ---- */

static const char *const fact_names[CLNORM__KEY_FIELD_COUNT] = {
    [CLNORM__KEY_LIBRARY] = "library",
    [CLNORM__KEY_PLATFORM_NAME] = "platform",
    [CLNORM__KEY_PLATFORM_VERSION] = "platform-version",
    [CLNORM__KEY_DEVICE_NAME] = "device",
    [CLNORM__KEY_DEVICE_VENDOR] = "vendor",
    [CLNORM__KEY_DEVICE_VENDOR_ID] = "vendor-id",
    [CLNORM__KEY_DEVICE_VERSION] = "device-version",
    [CLNORM__KEY_DRIVER_VERSION] = "driver",
    [CLNORM__KEY_OPENCL_C_VERSION] = "opencl-c",
    [CLNORM__KEY_ADDRESS_BITS] = "address-bits",
};

const char *clnorm__fact_name(enum clnorm__key_field field)
{
    return fact_names[field];
}

/* A character of a fact as a manifest holds it. */
static char as_held(char c)
{
    return c == '\n' || c == '\r' ? ' ' : c;
}

int clnorm__fact_same(const char *held, const char *here)
{
    while (*held && *held == as_held(*here)) {
        held++;
        here++;
    }
    return *held == as_held(*here);
}

/* ---- Reading ---- */

/*
 * The value of the next line when that begins with the word, cut off and passed; NULL when it does
 * not. The text ends with a line end and a zero.
 */
static char *take(char **at, const char *word)
{
    const size_t length = strlen(word);
    if (strncmp(*at, word, length) != 0 || (*at)[length] != ' ')
        return NULL;
    char *const value = *at + length + 1;
    char *const end = strchr(value, '\n');
    *end = 0;
    *at = end + 1;
    return value;
}

/* The same for a value that fits `size` bytes, copied. */
static int take_copy(char **at, const char *word, char *copy, size_t size)
{
    const char *const value = take(at, word);
    const size_t length = value ? strlen(value) : 0;
    if (length == 0 || length >= size)
        return 0;
    memcpy(copy, value, length + 1);
    return 1;
}

static int is_digest(const char *text)
{
    return strlen(text) == CLNORM__DIGEST_TEXT_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == CLNORM__DIGEST_TEXT_SIZE - 1;
}

/* One to CLNORM_STEP_COUNT identifiers with a blank between them. */
static int are_kernels(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    for (unsigned i = 0; i < CLNORM_STEP_COUNT; i++) {
        const size_t length = strspn(text, letters);
        if (length == 0 || length >= CLNORM_KERNEL_NAME_SIZE)
            return 0;
        if (text[length] == 0)
            return 1;
        if (text[length] != ' ')
            return 0;
        text += length + 1;
    }
    return 0;
}

/* "40960 9c1e...": a size of at most `room`, and a digest. */
static int read_image(const char *value, size_t room, struct clnorm__manifest_image *image)
{
    const size_t digits = strspn(value, "0123456789");
    if (digits == 0 || digits > 18 || value[digits] != ' ' || !is_digest(value + digits + 1))
        return 0;
    const unsigned long long bytes = strtoull(value, NULL, 10);
    if (bytes == 0 || bytes > room)
        return 0;
    image->bytes = (size_t)bytes;
    memcpy(image->digest, value + digits + 1, sizeof image->digest);
    return 1;
}

/* The lines of a program, behind the first. */
static int read_program(char **at, const char *problem, struct clnorm__manifest_program *program)
{
    const char *schedule;
    return clnorm_problem_parse(problem, &program->problem, NULL, 0) == CLNORM_OK &&
           (schedule = take(at, "schedule")) &&
           clnorm_schedule_parse(schedule, &program->schedule, NULL, 0) == CLNORM_OK &&
           clnorm_schedule_check(&program->schedule, &program->problem, NULL, 0) == CLNORM_OK &&
           take_copy(at, "text", program->text, sizeof program->text) && is_digest(program->text) &&
           take_copy(at, "kernels", program->kernels, sizeof program->kernels) &&
           are_kernels(program->kernels);
}

/* All programs of the image read last. */
static const char *read_programs(char **at, struct clnorm__manifest *m)
{
    const char *problem;
    const size_t before = m->program_count;
    while ((problem = take(at, "program"))) {
        struct clnorm__manifest_program *const program = &m->programs[m->program_count++];
        program->image = m->image_count - 1;
        if (!read_program(at, problem, program))
            return "the lines of a program are damaged";
    }
    return m->program_count == before ? "an image has no programs" : NULL;
}

static const char *read_images(char *at, size_t body, struct clnorm__manifest *m)
{
    const char *value;
    while ((value = take(&at, "image"))) {
        struct clnorm__manifest_image *const image = &m->images[m->image_count++];
        if (!read_image(value, body, image) || !(image->options = take(&at, "options")))
            return "the lines of an image are damaged, or tell more bytes than there are";
        body -= image->bytes;
        const char *const wrong = read_programs(&at, m);
        if (wrong)
            return wrong;
    }
    if (*at)
        return "a line is out of place";
    return m->image_count == 0 || body > 0 ? "it does not account for all bytes" : NULL;
}

static const char *read_facts(char **at, struct clnorm__manifest *m)
{
    for (unsigned i = 0; i < CLNORM__KEY_FIELD_COUNT; i++)
        if (fact_names[i] && !(m->fact[i] = take(at, fact_names[i])))
            return "a fact about the device is missing";
    return NULL;
}

static size_t count_lines(const char *text, const char *opening)
{
    size_t count = 0;
    while ((text = strstr(text, opening))) {
        count++;
        text++;
    }
    return count;
}

/* Room for the images and programs of a text. */
static int make_room(const char *text, struct clnorm__manifest *m)
{
    m->images = calloc(count_lines(text, "\nimage ") + 1, sizeof *m->images);
    m->programs = calloc(count_lines(text, "\nprogram ") + 1, sizeof *m->programs);
    return m->images && m->programs;
}

enum clnorm_status clnorm__manifest_parse(const char *text, size_t size, size_t body,
                                          struct clnorm__manifest *manifest, const char **wrong)
{
    *manifest = (struct clnorm__manifest){0};
    *wrong = "it is not lines of text";
    if (size == 0 || text[size - 1] != '\n' || memchr(text, 0, size))
        return CLNORM_IO_FAILED;
    char *at = malloc(size + 1);
    manifest->storage = at;
    if (!at)
        return CLNORM_OUT_OF_MEMORY;
    memcpy(at, text, size);
    at[size] = 0;
    if (!make_room(at, manifest))
        return CLNORM_OUT_OF_MEMORY;
    *wrong = read_facts(&at, manifest);
    if (!*wrong)
        *wrong = read_images(at, body, manifest);
    if (!*wrong)
        return CLNORM_OK;
    manifest->image_count = manifest->program_count = 0;
    return CLNORM_IO_FAILED;
}

void clnorm__manifest_free(struct clnorm__manifest *manifest)
{
    free(manifest->images);
    free(manifest->programs);
    free(manifest->storage);
    *manifest = (struct clnorm__manifest){0};
}

/* ---- Writing ---- */

static void print_line(FILE *out, const char *word, const char *value)
{
    fprintf(out, "%s ", word);
    for (; *value; value++)
        putc(as_held(*value), out);
    putc('\n', out);
}

static void print_program(FILE *out, const struct clnorm__manifest_program *program)
{
    char problem[CLNORM_PROBLEM_TEXT_SIZE], schedule[CLNORM_SCHEDULE_TEXT_SIZE];
    clnorm_problem_format(&program->problem, problem);
    clnorm_schedule_format(&program->schedule, schedule);
    fprintf(out, "program %s\nschedule %s\ntext %s\nkernels %s\n", problem, schedule, program->text,
            program->kernels);
}

char *clnorm__manifest_format(const struct clnorm__manifest *m)
{
    char *text = NULL;
    size_t size = 0;
    FILE *const out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (unsigned i = 0; i < CLNORM__KEY_FIELD_COUNT; i++)
        if (fact_names[i])
            print_line(out, fact_names[i], m->fact[i]);
    for (size_t i = 0; i < m->image_count; i++) {
        fprintf(out, "image %zu %s\n", m->images[i].bytes, m->images[i].digest);
        print_line(out, "options", m->images[i].options);
        for (size_t j = 0; j < m->program_count; j++)
            if (m->programs[j].image == i)
                print_program(out, &m->programs[j]);
    }
    const int failed = ferror(out);
    if (fclose(out) == 0 && !failed)
        return text;
    free(text);
    return NULL;
}
