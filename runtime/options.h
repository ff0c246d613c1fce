/* Options structs of callers that were compiled against an earlier version of the header. */
#ifndef CLNORM_RUNTIME_OPTIONS_H
#define CLNORM_RUNTIME_OPTIONS_H

#include <stddef.h>

/*
 * Copies a caller's options struct, which begins with its size, into *to of `full` bytes; what the
 * caller's version did not have yet is zero, which means default. `sizes` are those that the struct
 * had in earlier versions, ended by 0. Returns 0 when the caller's size is none of them.
 */
int clnorm__options_copy(void *to, size_t full, const void *from, const size_t *sizes);

#endif
