
// ---- Storage: tensors hold `stored`, arithmetic is in `real`, and `reals` is LANES of them ----

typedef stored_lanes loose_stored __attribute__((aligned(sizeof(stored))));

reals load(global const stored *from)
{
    const stored_lanes bits = *(global const loose_stored *)from;
#if BF16
    return as_reals(convert_bits(bits) << 16); // a bfloat16 is the upper half of a float
#elif F16
    return vload_half_lanes(0, (const half *)&bits);
#else
    return bits;
#endif
}
#if FETCHES

// A hint that a value is needed soon, where the compiler can pass it on: SPIR has no word for it.
// It goes to the second cache: through the first, as many loads would have to wait for a place.
# if defined(__has_builtin) && !defined(__SPIR__)
# if __has_builtin(__builtin_prefetch)
# define FETCH(from) __builtin_prefetch((const void *)(size_t)(from), 0, 2)
# endif
# endif
# ifndef FETCH
# define FETCH(from)
# endif
#endif
#if PIPELINE && CHANNELS_FIRST && !SCALAR && REDUCE

real load_one(global const stored *from)
{
#if BF16
    return as_float((uint)*from << 16);
#elif F16
    return vload_half(0, (global const half *)from);
#else
    return *from;
#endif
}
#endif
#if !SCALAR && !GROUP_WALK && (MAP || !PIPELINE)

// The first `count` lanes; the others are zero.
reals load_some(global const stored *from, const int count)
{
    real lane[LANES];
    for (int i = 0; i < LANES; i++)
#if BF16
        lane[i] = i < count ? as_float((uint)from[i] << 16) : 0;
#elif F16
        lane[i] = i < count ? vload_half(i, (global const half *)from) : 0;
#else
        lane[i] = i < count ? from[i] : 0;
#endif
    return *(const loose_reals *)lane;
}
#endif
#if STORES

stored_lanes pack(const reals value)
{
#if BF16
    // Rounding is to nearest even; NaN stays NaN.
    const bits_of_reals bits = as_bits(value);
    const bits_of_reals rounded = bits + 0x7fff + ((bits >> 16) & 1);
    return convert_stored((isnan(value) ? bits | 0x400000 : rounded) >> 16);
#elif F16
    stored_lanes bits;
    vstore_half_lanes(value, 0, (half *)&bits);
    return bits;
#else
    return value;
#endif
}

void store(const reals value, global stored *to)
{
    *(global loose_stored *)to = pack(value);
}
#if !SCALAR && !GROUP_WALK

void store_some(const reals value, global stored *to, const int count)
{
    stored lane[LANES];
    vstore_lanes(pack(value), 0, lane);
    for (int i = 0; i < count; i++)
        to[i] = lane[i];
}
#endif
#if STREAMS

// Stores past the caches where asked to, where the place is that of a vector, and where the
// compiler knows how: a tensor larger than they are would only push out what is still needed.
# ifdef __has_builtin
# if __has_builtin(__builtin_nontemporal_store)
# define STORE_PAST(value, to) __builtin_nontemporal_store(value, to)
# endif
# endif
# ifndef STORE_PAST
# define STORE_PAST(value, to) (*(to) = (value))
# endif
void stream(const reals value, global stored *to, const ulong past)
{
    if (past && (size_t)to % sizeof(stored_lanes) == 0)
        STORE_PAST(pack(value), (global stored_lanes *)to);
    else
        store(value, to);
}
#endif
#endif
#if !SCALAR && !GROUP_WALK

mask_lanes lanes_below(const int count)
{
    return LANE_NUMBERS < count;
}
#if CHANNELS_FIRST && REDUCE

mask_lanes lanes_from(const int first)
{
    return LANE_NUMBERS >= first;
}
#endif
#endif
#if !SCALAR && (CHANNELS_FIRST || NARROW) && REDUCE

real sum_lanes(const reals value)
{
    real lane[LANES];
    *(loose_reals *)lane = value;
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            lane[i] += lane[i + width];
    return lane[0];
}
#endif
