#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "problem.h"
#include "text.h"

/* ---- A tag: what tells one text from any other ---- */

/* FNV-1a of 64 bits (Fowler, Noll and Vo), folded to 32. */
static uint32_t tag_of(const struct clnorm_source *source)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < source->length; i++)
        hash = (hash ^ (unsigned char)source->text[i]) * UINT64_C(1099511628211);
    return (uint32_t)(hash ^ hash >> 32);
}

void clnorm_image_kernel(const struct clnorm_source *source, enum clnorm_step step,
                         char name[CLNORM_KERNEL_NAME_SIZE])
{
    snprintf(name, CLNORM_KERNEL_NAME_SIZE, "%.20s_%08" PRIx32, source->kernels[step].name,
             tag_of(source));
}

/* ---- What a text declares for the whole file ---- */

enum { NAMES_CAPACITY = 256 };

struct names {
    struct name {
        const char *start;
        size_t length;
    } name[NAMES_CAPACITY];
    unsigned count;
    int overflow;
};

/* Each name once: a text may define a macro in either branch of an `# if`. */
static void add_name(struct names *names, const char *start)
{
    size_t length = 0;
    while (clnorm__is_word(start[length]))
        length++;
    for (unsigned i = 0; i < names->count; i++)
        if (names->name[i].length == length && memcmp(names->name[i].start, start, length) == 0)
            return;
    if (names->count == NAMES_CAPACITY)
        names->overflow = 1;
    else
        names->name[names->count++] = (struct name){start, length};
}

/* The word that ends just before `end`. */
static const char *word_before(const char *end)
{
    while (clnorm__is_word(end[-1]))
        end--;
    return end;
}

/*
 * The name that a line declares as a function or a type, NULL when it declares none. What is
 * declared stands at the first column in the kernel files: `TYPE NAME(`, `typedef TYPE NAME ...;`
 * on one line, and `} NAME;`.
 */
static const char *declared_name(const char *line, size_t length)
{
    const char *const end = line + length;
    const char *const parenthesis = memchr(line, '(', length);
    if (length > 2 && strncmp(line, "} ", 2) == 0)
        return line + 2;
    if (!clnorm__is_word(line[0]) || strncmp(line, "kernel ", 7) == 0)
        return NULL;
    if (strncmp(line, "typedef ", 8) != 0)
        return parenthesis ? word_before(parenthesis) : NULL;
    if (end[-1] == '{')
        return NULL;
    const char *const attribute = strstr(line, " __attribute__");
    return word_before(attribute && attribute < end ? attribute : end - 1);
}

/* The name of a macro that a line defines. */
static const char *defined_name(const char *line)
{
    static const char *const openings[] = {"#define ", "# define "};
    for (unsigned i = 0; i < sizeof openings / sizeof *openings; i++)
        if (strncmp(line, openings[i], strlen(openings[i])) == 0)
            return line + strlen(openings[i]);
    return NULL;
}

static void find_names(const char *text, struct names *declared, struct names *defined)
{
    for (const char *line = text; *line;) {
        const size_t length = strcspn(line, "\n");
        const char *const macro = defined_name(line);
        const char *const name = length > 0 ? declared_name(line, length) : NULL;
        if (macro)
            add_name(defined, macro);
        else if (name)
            add_name(declared, name);
        line += length + (line[length] == '\n');
    }
}

/* ---- The image ---- */

static void print_kernels(struct clnorm__text *out, const struct clnorm_source *source)
{
    char name[CLNORM_KERNEL_NAME_SIZE];
    clnorm__text_print(out, "// Kernels:");
    for (unsigned i = 0; i < CLNORM_STEP_COUNT; i++)
        if (source->kernels[i].arguments > 0) {
            clnorm_image_kernel(source, (enum clnorm_step)i, name);
            clnorm__text_print(out, " %s", name);
        }
    clnorm__text_print(out, "\n");
}

static void print_undef(struct clnorm__text *out, const struct names *names)
{
    for (unsigned i = 0; i < names->count; i++)
        clnorm__text_print(out, "#undef %.*s\n", (int)names->name[i].length, names->name[i].start);
}

/* NULL, or what is wrong with the kernel files. */
static const char *print_section(struct clnorm__text *out, const struct clnorm_source *source)
{
    struct names declared = {0}, defined = {0};
    find_names(source->text, &declared, &defined);
    print_kernels(out, source);
    for (unsigned i = 0; i < declared.count; i++) {
        const struct name *const name = &declared.name[i];
        clnorm__text_print(out, "#define %.*s %.*s_%08" PRIx32 "\n", (int)name->length, name->start,
                           (int)name->length, name->start, tag_of(source));
    }
    clnorm__text_print(out, "\n");
    clnorm__text_append(out, source->text, source->length);
    clnorm__text_print(out, "\n");
    print_undef(out, &declared);
    print_undef(out, &defined);
    clnorm__text_print(out, "\n");
    return declared.overflow || defined.overflow ? "a text declares too many names" : NULL;
}

/*
 * 1 when two have the same tag; also texts that differ, which chance makes one pair of in four
 * thousand million. `tags` has room for all.
 */
static int has_twins(const struct clnorm_source *sources, size_t count, uint32_t *tags)
{
    for (size_t i = 0; i < count; i++) {
        tags[i] = tag_of(&sources[i]);
        for (size_t j = 0; j < i; j++)
            if (tags[j] == tags[i])
                return 1;
    }
    return 0;
}

static enum clnorm_status check_sources(const struct clnorm_source *sources, size_t count,
                                        char *message, size_t size)
{
    if (!sources || count == 0)
        return clnorm__invalid(message, size, "no sources given: an image has at least one");
    for (size_t i = 0; i < count; i++)
        if (!sources[i].text)
            return clnorm__invalid(message, size, "source %zu is empty", i);
    uint32_t *const tags = calloc(count, sizeof *tags);
    if (!tags) {
        clnorm__invalid(message, size, "out of memory");
        return CLNORM_OUT_OF_MEMORY;
    }
    const int twins = has_twins(sources, count, tags);
    free(tags);
    return twins ? clnorm__invalid(message, size,
                                   "two of the sources are the same: an image has each once")
                 : CLNORM_OK;
}

enum clnorm_status clnorm_image_join(const struct clnorm_source *sources, size_t count,
                                     struct clnorm_source *image, char *message, size_t size)
{
    if (!image)
        return clnorm__invalid(message, size, "no place for the image given (NULL)");
    *image = (struct clnorm_source){0};
    const enum clnorm_status status = check_sources(sources, count, message, size);
    if (status != CLNORM_OK)
        return status;
    struct clnorm__text out = {0};
    const char *error = NULL;
    for (size_t i = 0; i < count && !error; i++)
        error = print_section(&out, &sources[i]);
    if (error || out.failed) {
        clnorm__text_free(&out);
        clnorm__invalid(message, size,
                        error ? "internal error in the kernel files: %s" : "out of memory", error);
        return error ? CLNORM_INVALID_ARGUMENT : CLNORM_OUT_OF_MEMORY;
    }
    image->text = out.bytes;
    image->length = out.length;
    return CLNORM_OK;
}
