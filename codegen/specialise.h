/*
 * The specialiser: OpenCL C with #include and #if over structure symbols in, straight text out. It
 * understands what the kernel files use of the C preprocessor (#include "file",
 * #if/#elif/#else/#endif with names, !, &&, ||, parentheses) and resolves it; everything else stays
 * as it is. That goes for directives with a blank after the #, too: `# if` is for the compiler that
 * reads the text, to say what it knows. The C preprocessor itself, given the same symbols, is the
 * oracle.
 */
#ifndef CLNORM_CODEGEN_SPECIALISE_H
#define CLNORM_CODEGEN_SPECIALISE_H

#include "text.h"

struct clnorm__symbol {
    const char *name;
    int value; /* 0 or 1 */
};

/* A kernel file, embedded by the build. The table ends with a NULL name. */
struct clnorm__file {
    const char *name, *text;
};
extern const struct clnorm__file clnorm__files[];

/*
 * Appends the specialised text of a kernel file. Returns NULL, or a static sentence on what is
 * wrong with the kernel file (an unknown file or symbol, an unbalanced #if): an error of clnorm
 * itself, never of the caller.
 */
const char *clnorm__specialise(const char *file, const struct clnorm__symbol *symbols,
                               struct clnorm__text *out);

#endif
