/*
 * Stored elements <-> double: f16 and bf16 by our own arithmetic, round to nearest, ties to even,
 * with denormals, infinities and NaN. Independent of the kernels on purpose.
 */
#ifndef CLNORM_VERIFY_CONVERT_H
#define CLNORM_VERIFY_CONVERT_H

#include <clnorm/codegen.h>

double clnorm_convert_from_half(uint16_t bits);
uint16_t clnorm_convert_to_half(double value);
double clnorm_convert_from_bf16(uint16_t bits);
uint16_t clnorm_convert_to_bf16(double value);

/* Element `index` of an array of dtype at `base`, which needs no alignment. */
double clnorm_convert_load(enum clnorm_dtype dtype, const void *base, size_t index);
void clnorm_convert_store(enum clnorm_dtype dtype, void *base, size_t index, double value);

/* The stored value nearest to `value`. */
double clnorm_convert_round(enum clnorm_dtype dtype, double value);

/* The distance between stored neighbours at |value|; that of the denormals near zero; 0 for NaN and
 * infinity. */
double clnorm_convert_ulp(enum clnorm_dtype dtype, double value);

/* The smallest positive normal value. A device may flush what is smaller to zero. */
double clnorm_convert_smallest(enum clnorm_dtype dtype);

/* The type of statistics and parameters that go with tensors of dtype. */
enum clnorm_dtype clnorm_convert_parameter(enum clnorm_dtype dtype);

#endif
