#include "convert.h"

#include <math.h>
#include <string.h>

/* An IEEE 754 binary format: explicit mantissa bits, exponent bits. */
struct format {
    int mantissa, exponent;
};

static const struct format formats[CLNORM_DTYPE_COUNT] = {
    [CLNORM_F32] = {23, 8},
    [CLNORM_F64] = {52, 11},
    [CLNORM_F16] = {10, 5},
    [CLNORM_BF16] = {7, 8},
};

static int bias_of(const struct format format)
{
    return (1 << (format.exponent - 1)) - 1;
}

static double from_bits(const struct format format, const uint32_t bits)
{
    const uint32_t fraction = bits & ((1u << format.mantissa) - 1);
    const int field = (int)(bits >> format.mantissa) & ((1 << format.exponent) - 1);
    const double sign = (bits >> (format.mantissa + format.exponent)) & 1 ? -1 : 1;
    if (field == (1 << format.exponent) - 1)
        return fraction ? (double)NAN : sign * (double)INFINITY;
    if (field == 0)
        return sign * ldexp(fraction, 1 - bias_of(format) - format.mantissa);
    return sign * ldexp(fraction + (double)(1u << format.mantissa),
                        field - bias_of(format) - format.mantissa);
}

/* The exponent of the binade of a finite value, that of the smallest normal number for anything
 * smaller. */
static int binade(const struct format format, const double value)
{
    const int lowest = 1 - bias_of(format);
    if (value == 0)
        return lowest;
    const int exponent = ilogb(value);
    return exponent < lowest ? lowest : exponent;
}

static uint32_t to_bits(const struct format format, const double value)
{
    const uint32_t sign = (signbit(value) ? 1u : 0u) << (format.mantissa + format.exponent);
    const uint32_t infinity = ((1u << format.exponent) - 1) << format.mantissa;
    if (isnan(value))
        return sign | infinity | 1u << (format.mantissa - 1);
    if (isinf(value))
        return sign | infinity;
    /* nearbyint rounds to even under the default rounding mode; scaling by a power of two is exact.
       A rounding up that leaves the binade carries into the exponent field by itself. */
    const int exponent = binade(format, value);
    if (exponent > bias_of(format))
        return sign | infinity;
    const uint32_t steps = (uint32_t)nearbyint(ldexp(fabs(value), format.mantissa - exponent));
    const uint32_t bits = ((uint32_t)(exponent + bias_of(format) - 1) << format.mantissa) + steps;
    return sign | (bits > infinity ? infinity : bits);
}

double clnorm_convert_from_half(const uint16_t bits)
{
    return from_bits(formats[CLNORM_F16], bits);
}

uint16_t clnorm_convert_to_half(const double value)
{
    return (uint16_t)to_bits(formats[CLNORM_F16], value);
}

double clnorm_convert_from_bf16(const uint16_t bits)
{
    return from_bits(formats[CLNORM_BF16], bits);
}

uint16_t clnorm_convert_to_bf16(const double value)
{
    return (uint16_t)to_bits(formats[CLNORM_BF16], value);
}

double clnorm_convert_load(const enum clnorm_dtype dtype, const void *const base,
                           const size_t index)
{
    const unsigned char *const place =
        (const unsigned char *)base + index * clnorm_dtype_size(dtype);
    union {
        float single;
        double full;
        uint16_t half;
    } element;
    memcpy(&element, place, clnorm_dtype_size(dtype));
    switch (dtype) {
    case CLNORM_F32: return (double)element.single;
    case CLNORM_F64: return element.full;
    default: return from_bits(formats[dtype], element.half);
    }
}

void clnorm_convert_store(const enum clnorm_dtype dtype, void *const base, const size_t index,
                          const double value)
{
    union {
        float single;
        double full;
        uint16_t half;
    } element;
    switch (dtype) {
    case CLNORM_F32: element.single = (float)value; break;
    case CLNORM_F64: element.full = value; break;
    default: element.half = (uint16_t)to_bits(formats[dtype], value); break;
    }
    memcpy((unsigned char *)base + index * clnorm_dtype_size(dtype), &element,
           clnorm_dtype_size(dtype));
}

double clnorm_convert_round(const enum clnorm_dtype dtype, const double value)
{
    switch (dtype) {
    case CLNORM_F32: return (double)(float)value;
    case CLNORM_F64: return value;
    default: return from_bits(formats[dtype], to_bits(formats[dtype], value));
    }
}

double clnorm_convert_ulp(const enum clnorm_dtype dtype, const double value)
{
    if (!isfinite(value))
        return 0;
    return ldexp(1, binade(formats[dtype], value) - formats[dtype].mantissa);
}

double clnorm_convert_smallest(const enum clnorm_dtype dtype)
{
    return ldexp(1, 1 - bias_of(formats[dtype]));
}

enum clnorm_dtype clnorm_convert_parameter(const enum clnorm_dtype dtype)
{
    return dtype == CLNORM_F64 ? CLNORM_F64 : CLNORM_F32;
}
