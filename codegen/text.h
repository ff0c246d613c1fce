/* A growing string. A failed allocation sets `failed` and makes further appends no-ops, so callers
 * check once. */
#ifndef CLNORM_CODEGEN_TEXT_H
#define CLNORM_CODEGEN_TEXT_H

#include <stddef.h>

struct clnorm__text {
    char *bytes; /* zero-terminated once something was appended */
    size_t length, capacity;
    int failed;
};

void clnorm__text_append(struct clnorm__text *text, const char *bytes, size_t length);

/* printf formats for integers and strings; never floating point, which the locale would change. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void clnorm__text_print(struct clnorm__text *text, const char *format, ...);

/* A letter, digit or underscore: part of an OpenCL C identifier. */
int clnorm__is_word(char c);

void clnorm__text_free(struct clnorm__text *text);

#endif
