
// ---- Storage: tensors hold `stored`, arithmetic is in `real`, and `reals` is LANES of them ----

#if BF16
// A bfloat16 is the upper half of a float. Rounding is to nearest even; NaN stays NaN.
reals load(global const stored *from)
{
#if SCALAR
    return as_float((uint)*from << 16);
#else
    return as_reals(convert_bits(vload_stored(0, from)) << 16);
#endif
}

real load_one(global const stored *from)
{
    return as_float((uint)*from << 16);
}
#elif F16
// The bits are loaded first: some drivers take vload_half of a vector for an aligned load, which
// it is not.
reals load(global const stored *from)
{
#if SCALAR
    return vload_half(0, (global const half *)from);
#else
    const stored_lanes bits = vload_stored(0, from);
    return vload_half_lanes(0, (const half *)&bits);
#endif
}
#else
reals load(global const stored *from)
{
#if SCALAR
    return *from;
#else
    return vload_stored(0, from);
#endif
}
#endif
#if !SCALAR && !BF16

real load_one(global const stored *from)
{
#if F16
    return vload_half(0, (global const half *)from);
#else
    return *from;
#endif
}
#endif
#if STORES

#if BF16
void store_one(const real value, global stored *to)
{
    const uint bits = as_uint(value);
    const uint rounded = bits + 0x7fff + ((bits >> 16) & 1);
    *to = (isnan(value) ? bits | 0x400000 : rounded) >> 16;
}

void store(const reals value, global stored *to)
{
#if SCALAR
    store_one(value, to);
#else
    const bits_of_reals bits = as_bits(value);
    const bits_of_reals rounded = bits + 0x7fff + ((bits >> 16) & 1);
    vstore_stored(convert_stored((isnan(value) ? bits | 0x400000 : rounded) >> 16), 0, to);
#endif
}
#else
#if !SCALAR
void store_one(const real value, global stored *to)
{
#if F16
    vstore_half_rte(value, 0, (global half *)to);
#else
    *to = value;
#endif
}

#endif
void store(const reals value, global stored *to)
{
#if F16 && SCALAR
    vstore_half_rte(value, 0, (global half *)to);
#elif F16
    stored_lanes bits;
    vstore_half_lanes(value, 0, (half *)&bits);
    vstore_stored(bits, 0, to);
#elif SCALAR
    *to = value;
#else
    vstore_stored(value, 0, to);
#endif
}
#endif
#endif
#if !SCALAR

// The first `count` lanes; the others are zero.
reals load_some(global const stored *from, const int count)
{
    real lane[LANES];
    for (int i = 0; i < LANES; i++)
        lane[i] = i < count ? load_one(from + i) : 0;
    return vload_reals(0, lane);
}
#if STORES

void store_some(const reals value, global stored *to, const int count)
{
    real lane[LANES];
    vstore_reals(value, 0, lane);
    for (int i = 0; i < count; i++)
        store_one(lane[i], to + i);
}
#endif
#endif
