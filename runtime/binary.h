/* Device binaries: out of a built cl_program, and into one. */
#ifndef CLNORM_RUNTIME_BINARY_H
#define CLNORM_RUNTIME_BINARY_H

#include "context.h"

/*
 * Both return the OpenCL code of the call that failed, and which that was: CL_OUT_OF_HOST_MEMORY also
 * when clnorm's own memory is short, CL_INVALID_PROGRAM_EXECUTABLE when the driver gives no binary.
 * The context's error is left alone.
 */

/* The binary of a built program for the context's device, malloc'd. */
cl_int clnorm__binary_take(const struct clnorm_context *context, cl_program program, void **binary,
                           size_t *size, const char **call);

/* Makes and builds a program from a binary; no compiler is needed. On failure *program is NULL. */
cl_int clnorm__binary_load(const struct clnorm_context *context, const void *binary, size_t size,
                           const char *options, cl_program *program, const char **call);

#endif
