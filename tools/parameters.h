/* One-dimensional arrays of parameters, whatever float type they were saved in. */
#ifndef CLNORM_TOOLS_PARAMETERS_H
#define CLNORM_TOOLS_PARAMETERS_H

#include "npy.h"

/* Converts the elements to `dtype`, f32 or f64, rounding to nearest. Returns false when out of
 * memory. */
bool parameters_convert(struct npy_array *array, enum clnorm_dtype dtype);

/* Gives the array `count` elements of `dtype`, f32 or f64, all of them `value`. Returns false when
 * out of memory. */
bool parameters_fill(struct npy_array *array, enum clnorm_dtype dtype, uint64_t count,
                     double value);

#endif
