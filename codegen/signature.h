/* Reads the kernels' argument names from emitted text: the text is the only statement of their
 * order. */
#ifndef CLNORM_CODEGEN_SIGNATURE_H
#define CLNORM_CODEGEN_SIGNATURE_H

#include <clnorm/codegen.h>

/* Fills kernels[] from zero-terminated text. 0 when a kernel has more or longer arguments than the
 * struct holds. */
int clnorm__signatures_read(const char *text, struct clnorm_kernel kernels[CLNORM_STEP_COUNT]);

#endif
