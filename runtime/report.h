/* Where a function that has no context yet puts its line on what is wrong. */
#ifndef CLNORM_RUNTIME_REPORT_H
#define CLNORM_RUNTIME_REPORT_H

#include <clnorm/codegen.h>

struct clnorm__report {
    char *message; /* may be NULL with size 0 */
    size_t size;
};

/* Writes a printf'd line and returns status. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
enum clnorm_status
clnorm__refuse(struct clnorm__report report, enum clnorm_status status, const char *format, ...);

/* What clnorm_context_error does with a text: copies what fits, and returns its full length. */
size_t clnorm__text_copy(const char *from, char *text, size_t size);

#endif
