/* Device binaries: out of a built cl_program, and into one. */
#ifndef CLNORM_RUNTIME_BINARY_H
#define CLNORM_RUNTIME_BINARY_H

#include "context.h"

/* The binary of a built program for the context's device, malloc'd. CLNORM_DEVICE_FAILED (the driver
 * gives none) or CLNORM_OUT_OF_MEMORY; the context's error is left alone. */
enum clnorm_status clnorm__binary_take(const struct clnorm_context *context, cl_program program,
                                       void **binary, size_t *size);

/* Makes and builds a program from a binary; no compiler is needed. The code of the OpenCL call that
 * failed, whose name is then *call, and *program NULL. */
cl_int clnorm__binary_load(const struct clnorm_context *context, const void *binary, size_t size,
                           const char *options, cl_program *program, const char **call);

#endif
