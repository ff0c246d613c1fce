#include "parameters.h"

#include <math.h>
#include <stdlib.h>

/* IEEE 754 binary16: 1 sign bit, 5 exponent bits with a bias of 15, 10 fraction bits. */
static double from_half(uint16_t bits)
{
    const double sign = bits & 0x8000u ? -1.0 : 1.0;
    const int exponent = (bits >> 10) & 0x1f;
    const int fraction = bits & 0x3ff;
    if (exponent == 0x1f)
        return fraction ? (double)NAN : sign * (double)INFINITY;
    return exponent ? sign * ldexp(1024 + fraction, exponent - 25) : sign * ldexp(fraction, -24);
}

static double load(const struct npy_array *array, uint64_t index)
{
    if (array->header.dtype == CLNORM_F64)
        return ((const double *)array->data)[index];
    if (array->header.dtype == CLNORM_F32)
        return ((const float *)array->data)[index];
    return from_half(((const uint16_t *)array->data)[index]);
}

static void store(void *data, enum clnorm_dtype dtype, uint64_t index, double value)
{
    if (dtype == CLNORM_F64)
        ((double *)data)[index] = value;
    else
        ((float *)data)[index] = (float)value;
}

bool parameters_convert(struct npy_array *array, enum clnorm_dtype dtype)
{
    const size_t bytes = (size_t)array->header.elements * npy_element_size(dtype);
    void *const data = malloc(bytes + 1);
    if (!data)
        return false;
    for (uint64_t i = 0; i < array->header.elements; i++)
        store(data, dtype, i, load(array, i));
    free(array->data);
    array->data = data;
    array->bytes = bytes;
    array->header.dtype = dtype;
    return true;
}

bool parameters_fill(struct npy_array *array, enum clnorm_dtype dtype, uint64_t count, double value)
{
    const size_t bytes = (size_t)count * npy_element_size(dtype);
    void *const data = malloc(bytes + 1);
    if (!data)
        return false;
    for (uint64_t i = 0; i < count; i++)
        store(data, dtype, i, value);
    free(array->data);
    *array = (struct npy_array){
        .header = {.dtype = dtype, .rank = 1, .shape = {count}, .elements = count},
        .data = data,
        .bytes = bytes,
    };
    return true;
}
