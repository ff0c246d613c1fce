// clnorm 0.1.0
// infer nchw f32 ?x64x? +scale +shift +relu
// cpu: walk=serial lanes=8 group=1 tile=1024 block=128 parts=16 resident=1048576 stream=33554432 fetch=1 baked=0

#define CHANNELS 64
#define LANES 8
#define GROUP 1
#define WIDE 8
#define TABLE 64
#define FAR 4096
#define NEAR 256
#define real float
#define reals float8
#define wide float8
#define stored float
#define stored_lanes float8
#define vstore_lanes vstore8
#define mask_lanes int8
#define LANE_NUMBERS ((int8)(0, 1, 2, 3, 4, 5, 6, 7))

// Rounding happens where it is written: sums that keep what they lose must not be rearranged or
// fused.
#pragma OPENCL FP_CONTRACT OFF

// Vectors that may stand wherever an element may.
typedef reals loose_reals __attribute__((aligned(sizeof(real))));

// ---- Parameters: `wide` holds those of WIDE channels side by side, or of the last `count` ----

wide wide_load(global const real *from, const int count)
{
    if (count == WIDE)
        return *(global const loose_reals *)from;
    real lane[WIDE];
    for (int i = 0; i < WIDE; i++)
        lane[i] = i < count ? from[i] : 0;
    return *(const loose_reals *)lane;
}

void wide_store(const wide value, global real *to, const int count)
{
    if (count == WIDE) {
        *(global loose_reals *)to = value;
        return;
    }
    real lane[WIDE];
    *(loose_reals *)lane = value;
    for (int i = 0; i < count; i++)
        to[i] = lane[i];
}

// ---- Storage: tensors hold `stored`, arithmetic is in `real`, and `reals` is LANES of them ----

typedef stored_lanes loose_stored __attribute__((aligned(sizeof(stored))));

reals load(global const stored *from)
{
    const stored_lanes bits = *(global const loose_stored *)from;
    return bits;
}

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

// The first `count` lanes; the others are zero.
reals load_some(global const stored *from, const int count)
{
    real lane[LANES];
    for (int i = 0; i < LANES; i++)
        lane[i] = i < count ? from[i] : 0;
    return *(const loose_reals *)lane;
}

stored_lanes pack(const reals value)
{
    return value;
}

void store(const reals value, global stored *to)
{
    *(global loose_stored *)to = pack(value);
}

void store_some(const reals value, global stored *to, const int count)
{
    stored lane[LANES];
    vstore_lanes(pack(value), 0, lane);
    for (int i = 0; i < count; i++)
        to[i] = lane[i];
}

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

mask_lanes lanes_below(const int count)
{
    return LANE_NUMBERS < count;
}

// ---- Channels first: a tile is some channels, its parts are boxes of batch x spatial ----

typedef struct {
    ulong batch, spatial, batch_step, spatial_step;
    ulong tile;
} extents;

ulong tile_first(const extents e)
{
    return get_group_id(0) * e.tile;
}

ulong tile_last(const extents e)
{
    return min(tile_first(e) + e.tile, (ulong)CHANNELS);
}

// How far ahead of use values are asked for: the same run of the next image, or, where runs are
// long, some lines.
ulong run_distance(const extents e)
{
    return e.tile * e.spatial < FAR ? CHANNELS * e.spatial : NEAR;
}

// Behind a reduction the last parts are the nearest.
ulong map_part(void)
{
    return get_group_id(1);
}

reals lanes_of(const real *one)
{
    return (reals)(*one);
}

// ---- Normalise: y = (x - mean) * gain + shift, where gain = invstd * scale ----

typedef struct {
    global const stored *x;
    global stored *y;
    global const real *mean, *var;
    global const real *scale;
    global const real *shift;
    real epsilon;
    ulong past; // 1: y is stored past the caches
    ulong ahead; // how far ahead of use values are asked for
} targets;

// What the values of WIDE channels need.
typedef struct {
    wide mean;
    wide gain;
    wide shift;
} factors;

factors factors_of(const targets t, const ulong chan, const int count)
{
    factors k;
    k.mean = wide_load(t.mean + chan, count);
    k.gain = 1 / sqrt(wide_load(t.var + chan, count) + t.epsilon);
    k.gain *= wide_load(t.scale + chan, count);
    k.shift = wide_load(t.shift + chan, count);
    return k;
}

// The same in each lane, or those of channels side by side.
typedef struct {
    reals mean;
    reals gain;
    reals shift;
} constants;

// Those of a tile's channels.
typedef struct __attribute__((aligned(sizeof(reals)))) {
    real mean[TABLE];
    real gain[TABLE];
    real shift[TABLE];
} table;

void table_set(table *of, const uint i, const factors some)
{
    *(loose_reals *)(of->mean + i) = some.mean;
    *(loose_reals *)(of->gain + i) = some.gain;
    *(loose_reals *)(of->shift + i) = some.shift;
}

constants table_get(const table *of, const uint i)
{
    constants k;
    k.mean = lanes_of(of->mean + i);
    k.gain = lanes_of(of->gain + i);
    k.shift = lanes_of(of->shift + i);
    return k;
}

constants constants_choose(const mask_lanes which, const constants a, const constants b)
{
    constants k;
    k.mean = which ? a.mean : b.mean;
    k.gain = which ? a.gain : b.gain;
    k.shift = which ? a.shift : b.shift;
    return k;
}

reals normalise(const constants k, const reals x)
{
    reals y = (x - k.mean) * k.gain;
    y += k.shift;
    y = y <= 0 ? (reals)0 : y;
    return y;
}

void map_values(const targets t, const constants k, const ulong at)
{
    FETCH(t.x + at + t.ahead);
    const reals y = normalise(k, load(t.x + at));
    stream(y, t.y + at, t.past);
}

void map_some_values(const targets t, const constants k, const ulong at, const int count)
{
    const reals x = load_some(t.x + at, count);
    store_some(normalise(k, x), t.y + at, count);
}

// How many values come before the first whose place in memory is that of a vector.
ulong map_lead(const targets t, const ulong at)
{
    return -((size_t)(t.y + at) / sizeof(stored)) % LANES;
}

// Maps `width` rows of `length` values that follow each other from `at` on. Vectors stand where
// memory has them; one that holds the end of a row also holds the start of the next.
void map_rows(
    const targets t, const table *of, ulong at, const uint width, const ulong length)
{
    constants k = table_get(of, 0);
    ulong end = at + length;
    const int lead = min(map_lead(t, at), length);
    if (lead > 0)
        map_some_values(t, k, at, lead);
    at += lead;
    for (uint i = 1; i <= width; i++, end += length) {
        for (; at + LANES <= end; at += LANES)
            map_values(t, k, at);
        const int rest = end - at;
        if (i == width) {
            if (rest > 0)
                map_some_values(t, k, at, rest);
            return;
        }
        const constants next = table_get(of, i);
        if (rest > 0) {
            map_values(t, constants_choose(lanes_below(rest), k, next), at);
            at += LANES;
        }
        k = next;
    }
}

void map_tile(const targets t, const extents e)
{
    const ulong first = tile_first(e);
    const uint width = tile_last(e) - first;
    const ulong n_first = map_part() * e.batch_step;
    const ulong n_last = min(n_first + e.batch_step, e.batch);
    const ulong s_first = get_group_id(2) * e.spatial_step;
    const ulong s_last = min(s_first + e.spatial_step, e.spatial);
    const ulong length = s_last - s_first;
    ulong at = (n_first * CHANNELS + first) * e.spatial + s_first;
    table of;
    for (uint i = 0; i < width; i += WIDE)
        table_set(&of, i, factors_of(t, first + i, min(width - i, (uint)WIDE)));
    for (ulong n = n_first; n < n_last; n++, at += CHANNELS * e.spatial) {
        if (length < LANES) { // a vector would hold more than two rows
            for (uint i = 0; i < width; i++)
                map_some_values(t, table_get(&of, i), at + i * length, length);
            continue;
        }
        map_rows(t, &of, at, width, length);
    }
}

// ---- Kernel. Every buffer comes with an offset in elements; the local size is fixed ----

// One group a tile and part.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void map(
    global const stored *x, const ulong x_offset,
    global stored *y, const ulong y_offset,
    global const real *mean, const ulong mean_offset,
    global const real *var, const ulong var_offset,
    global const real *scale, const ulong scale_offset,
    global const real *shift, const ulong shift_offset,
    const ulong batch, const ulong spatial,
    const ulong batch_step, const ulong spatial_step,
    const ulong tile,
    const ulong past,
    const real epsilon)
{
    const extents e = {
        batch, spatial, batch_step, spatial_step,
        tile
    };
    const targets t = {
        x + x_offset,
        y + y_offset, mean + mean_offset, var + var_offset,
        scale + scale_offset,
        shift + shift_offset,
        epsilon,
        past,
        run_distance(e)
    };
    map_tile(t, e);
}
