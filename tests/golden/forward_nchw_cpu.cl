// clnorm 0.1.0
// forward nchw f32 ?x64x? +scale +shift
// cpu: walk=serial lanes=8 group=1 tile=1024 block=128 parts=16 resident=1048576 stream=33554432 fetch=1 baked=0

#define CHANNELS 64
#define LANES 8
#define GROUP 1
#define FINISH_GROUP 1
#define WIDE 8
#define TALLIES 16
#define TABLE 64
#define FAR 4096
#define NEAR 256
#define BLOCK 128
#define FIRST_BLOCK 4
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

mask_lanes lanes_from(const int first)
{
    return LANE_NUMBERS >= first;
}

real sum_lanes(const reals value)
{
    real lane[LANES];
    *(loose_reals *)lane = value;
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            lane[i] += lane[i + width];
    return lane[0];
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

ulong part_index(void)
{
    return get_group_id(1) * get_num_groups(2) + get_group_id(2);
}

// How far ahead of use values are asked for: the same run of the next image, or, where runs are
// long, some lines.
ulong run_distance(const extents e)
{
    return e.tile * e.spatial < FAR ? CHANNELS * e.spatial : NEAR;
}

// From a value of this tile to its like in the next.
ulong tile_distance(const extents e)
{
    return e.tile * e.spatial;
}

// A parameter of the channel, the same in each lane.
reals channel_load(global const real *parameter, const ulong chan)
{
    return (reals)(parameter[chan]);
}

// Behind a reduction the last parts are the nearest.
ulong map_part(void)
{
    return get_num_groups(1) - 1 - get_group_id(1);
}

reals lanes_of(const real *one)
{
    return (reals)(*one);
}

// ---- Pairs: a number as the nearest real and the rest it lacks ----

// What a + b lost when it was rounded to sum, exactly (Knuth, The Art of Computer Programming 2,
// section 4.2.2).
wide lost(const wide a, const wide b, const wide sum)
{
    const wide t = sum - a;
    return (a - (sum - t)) + (b - t);
}

// Adds a value to the pair (sum, rest) in each lane.
void pair_add(reals *sum, reals *rest, const reals value)
{
    const reals next = *sum + value, t = next - *sum;
    *rest += (*sum - (next - t)) + (value - t);
    *sum = next;
}

// ---- Moments: count, mean and m2, the sum of squared deviations from the mean ----

// Moments of WIDE channels, stored as four planes of CHANNELS. The mean is the pair mean + rest.
typedef struct {
    wide count, mean, rest, m2;
} record;

record record_none(void)
{
    const record none = {0, 0, 0, 0};
    return none;
}

record record_load(
    global const real *parts, const ulong set, const ulong chan, const int count)
{
    global const real *at = parts + set * 4 * CHANNELS + chan;
    record r;
    r.count = wide_load(at, count);
    r.mean = wide_load(at + CHANNELS, count);
    r.rest = wide_load(at + 2ul * CHANNELS, count);
    r.m2 = wide_load(at + 3ul * CHANNELS, count);
    return r;
}

void record_store(
    const record r, global real *parts, const ulong set, const ulong chan, const int count)
{
    global real *at = parts + set * 4 * CHANNELS + chan;
    wide_store(r.count, at, count);
    wide_store(r.mean, at + CHANNELS, count);
    wide_store(r.rest, at + 2ul * CHANNELS, count);
    wide_store(r.m2, at + 3ul * CHANNELS, count);
}

// Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
// variances" (1979), eq. 2.1. What has no values changes nothing, whatever its mean is.
record record_merge(const record a, const record b)
{
    record both;
    both.count = a.count + b.count;
    const wide delta = (b.mean - a.mean) + (b.rest - a.rest);
    const wide step = delta * (b.count / both.count);
    const wide mean = a.mean + step;
    both.mean = b.count == 0 ? a.mean : a.count == 0 ? b.mean : mean;
    both.rest = b.count == 0   ? a.rest
                : a.count == 0 ? b.rest
                               : a.rest + lost(a.mean, step, mean);
    both.m2 = b.count == 0   ? a.m2
              : a.count == 0 ? b.m2
                             : a.m2 + (b.m2 + delta * (step * a.count));
    return both;
}

typedef struct {
    global const stored *x;
} sources;

typedef struct {
    reals x;
} values;

// What each lane has seen: the moments of the blocks before, and an open block, summed as
// deviations from their mean. Lanes that were left out of an add are counted in `missing`.
//
// The first block has only the first value for a mean. That may be an outlier, whose
// cancellation costs as many times the rounding error as the block has values: so it is short.
// Later blocks have the mean of all before, whose distance from theirs is part of the m2 sought,
// so that nothing can cancel.
typedef struct {
    reals mean, sum, squares;
    reals rest, m2, m2_rest, count, missing;
} tally;

values load_values(const sources from, const ulong at)
{
    const values v = {load(from.x + at)};
    return v;
}

void fetch_values(const sources from, const ulong at)
{
    FETCH(from.x + at);
}

values no_values(void)
{
    const values v = {0};
    return v;
}

values load_some_values(const sources from, const ulong at, const int count)
{
    const values v = {load_some(from.x + at, count)};
    return v;
}

// A tally before its first value, which must be a value of the channel, or of none if there is
// none.
tally tally_start(const sources from, const ulong chan, const values first)
{
    const tally t = {first.x, 0, 0, 0, 0, 0, 0, 0};
    return t;
}

void tally_add(tally *t, const values v)
{
    const reals deviation = v.x - t->mean;
    t->sum += deviation;
    t->squares += deviation * deviation;
}

void tally_add_some(tally *t, const values v, const mask_lanes kept)
{
    const reals deviation = kept ? v.x - t->mean : (reals)0;
    t->sum += deviation;
    t->squares += deviation * deviation;
    t->missing += kept ? (reals)0 : (reals)1;
}

// Merges the open block, after `open` adds, into the lanes' moments, by the formula of
// record_merge.
void tally_close(tally *t, const uint open)
{
    const reals n = (real)open - t->missing, before = t->count;
    t->count = before + n;
    const reals shift = t->sum / max(n, (reals)1);
    const reals delta = shift - t->rest;
    const reals step = delta * (n / max(t->count, (reals)1));
    pair_add(&t->m2, &t->m2_rest, (t->squares - t->sum * shift) + delta * (step * before));
    pair_add(&t->mean, &t->rest, step);
    t->sum = t->squares = t->missing = 0;
}

// The moments of all lanes of a closed tally: their means as distances from that of lane 0.
record tally_total(const tally *t)
{
    const real base = t->mean.s0, count = sum_lanes(t->count);
    const reals distance = (t->mean - base) + t->rest;
    const real step = sum_lanes(t->count > 0 ? t->count * distance : (reals)0) / count;
    const reals off = t->count > 0 ? distance - step : (reals)0;
    const real m2 = sum_lanes((t->m2 + t->m2_rest) + t->count * (off * off));
    record r = {count, base + step, 0, m2 < 0 ? 0 : m2};
    r.rest = lost(base, step, r.mean);
    return r;
}

// ---- Finish: a channel's moments become what the caller keeps and what normalising needs ----

typedef struct {
    global real *mean, *invstd;
    global const real *scale;
    global const real *shift;
    global real *constants;
    real epsilon;
} results;

// Those of `count` channels from `chan` on.
void finish_channels(
    const results r, global const real *parts, const ulong sets, const ulong chan,
    const int count)
{
    record total = record_none();
    for (ulong set = 0; set < sets; set++)
        total = record_merge(total, record_load(parts, set, chan, count));
    const wide mean = total.mean + total.rest;
    const wide rest = lost(total.mean, total.rest, mean);
    const wide var = total.count > 0 ? total.m2 / total.count : (wide)0;
    const wide invstd = 1 / sqrt(var + r.epsilon);
    wide_store(mean, r.mean + chan, count);
    wide_store(invstd, r.invstd + chan, count);
    global real *constants = r.constants + chan;
    wide_store(mean, constants, count);
    wide_store(rest, constants + CHANNELS, count);
    const wide gain = invstd * wide_load(r.scale + chan, count);
    wide_store(gain, constants + 2ul * CHANNELS, count);
    wide_store(wide_load(r.shift + chan, count), constants + 3ul * CHANNELS, count);
}

// ---- Normalise: y = (x - mean) * gain + shift, where gain = invstd * scale ----

typedef struct {
    global const stored *x;
    global stored *y;
    global const real *constants;
    ulong past; // 1: y is stored past the caches
    ulong ahead; // how far ahead of use values are asked for
} targets;

// What the values of WIDE channels need.
typedef struct {
    wide mean;
    wide rest;
    wide gain;
    wide shift;
} factors;

factors factors_of(const targets t, const ulong chan, const int count)
{
    factors k;
    global const real *at = t.constants + chan;
    k.mean = wide_load(at, count);
    k.rest = wide_load(at + CHANNELS, count);
    k.gain = wide_load(at + 2ul * CHANNELS, count);
    k.shift = wide_load(at + 3ul * CHANNELS, count);
    return k;
}

// The same in each lane, or those of channels side by side.
typedef struct {
    reals mean;
    reals rest;
    reals gain;
    reals shift;
} constants;

// Those of a tile's channels.
typedef struct __attribute__((aligned(sizeof(reals)))) {
    real mean[TABLE];
    real rest[TABLE];
    real gain[TABLE];
    real shift[TABLE];
} table;

void table_set(table *of, const uint i, const factors some)
{
    *(loose_reals *)(of->mean + i) = some.mean;
    *(loose_reals *)(of->rest + i) = some.rest;
    *(loose_reals *)(of->gain + i) = some.gain;
    *(loose_reals *)(of->shift + i) = some.shift;
}

constants table_get(const table *of, const uint i)
{
    constants k;
    k.mean = lanes_of(of->mean + i);
    k.rest = lanes_of(of->rest + i);
    k.gain = lanes_of(of->gain + i);
    k.shift = lanes_of(of->shift + i);
    return k;
}

constants constants_choose(const mask_lanes which, const constants a, const constants b)
{
    constants k;
    k.mean = which ? a.mean : b.mean;
    k.rest = which ? a.rest : b.rest;
    k.gain = which ? a.gain : b.gain;
    k.shift = which ? a.shift : b.shift;
    return k;
}

reals normalise(const constants k, const reals x)
{
    reals y = ((x - k.mean) - k.rest) * k.gain;
    y += k.shift;
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

// How many adds are open, and how many close a block.
typedef struct {
    uint open, most;
} pace;

values first_values(const sources from, const ulong at, const ulong length)
{
    return length < LANES ? load_some_values(from, at, length) : load_values(from, at);
}

// Adds a row of `length` values to a tally. The values beyond whole vectors come first, in a
// vector that ends with the row.
pace reduce_row(
    tally *of, const sources from, ulong at, const ulong length, const ulong ahead,
    const pace before)
{
    tally t = *of;
    pace p = before;
    const ulong vectors = length / LANES;
    const int rest = length % LANES;
    if (rest > 0 && vectors > 0)
        tally_add_some(&t, load_values(from, at + length - LANES), lanes_from(LANES - rest));
    else if (rest > 0)
        tally_add_some(&t, load_some_values(from, at, rest), lanes_below(rest));
    p.open += rest > 0;
    ulong i = 0;
    do {
        const ulong stop = min(vectors, i + max(p.most, p.open + 1) - p.open);
        p.open += stop - i;
        for (; i < stop; i++, at += LANES) {
            fetch_values(from, at + ahead);
            tally_add(&t, load_values(from, at));
        }
        if (p.open >= p.most) {
            tally_close(&t, p.open);
            p.open = 0;
            p.most = BLOCK;
        }
    } while (i < vectors);
    *of = t;
    return p;
}

// One work-item reduces the tile's part, row by row as they lie in memory.
void reduce_tile(const sources from, global real *parts, const extents e)
{
    const ulong first = tile_first(e);
    const uint width = tile_last(e) - first;
    const ulong n_first = get_group_id(1) * e.batch_step;
    const ulong n_last = min(n_first + e.batch_step, e.batch);
    const ulong s_first = get_group_id(2) * e.spatial_step;
    const ulong s_last = min(s_first + e.spatial_step, e.spatial);
    const ulong length = n_first < n_last ? s_last - s_first : 0;
    ulong at = (n_first * CHANNELS + first) * e.spatial + s_first;
    tally t[TALLIES];
    for (uint i = 0; i < width; i++)
        t[i] = tally_start(from, first + i, first_values(from, at + i * e.spatial, length));
    pace p = {0, FIRST_BLOCK};
    for (ulong n = n_first; n < n_last; n++, at += CHANNELS * e.spatial) {
        pace next = p;
        for (uint i = 0; i < width; i++)
            next = reduce_row(&t[i], from, at + i * e.spatial, length, run_distance(e), p);
        p = next;
    }
    for (uint i = 0; i < width; i++) {
        tally_close(&t[i], p.open);
        record_store(tally_total(&t[i]), parts, part_index(), first + i, 1);
    }
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

// One work-item does a tile: its values are read again while they are still near.
void fuse(
    const sources from, global real *parts, const results r,
    const targets t,
    const extents e)
{
    reduce_tile(from, parts, e);
    const ulong last = tile_last(e);
    for (ulong chan = tile_first(e); chan < last; chan += WIDE)
        finish_channels(r, parts, 1, chan, min(last - chan, (ulong)WIDE));
    map_tile(t, e);
}

// ---- Kernels. Every buffer comes with an offset in elements; local sizes are fixed ----

// Moments of each part of each tile: one group a tile and part.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void reduce(
    global const stored *restrict x, const ulong x_offset,
    const ulong batch, const ulong spatial,
    const ulong batch_step, const ulong spatial_step,
    const ulong tile,
    global real *restrict parts, const ulong parts_offset)
{
    const extents e = {
        batch, spatial, batch_step, spatial_step,
        tile
    };
    const sources from = {x + x_offset};
    reduce_tile(from, parts + parts_offset, e);
}

// Merges the parts of each channel: one work-item for WIDE channels.
kernel __attribute__((reqd_work_group_size(FINISH_GROUP, 1, 1), vec_type_hint(wide)))
void finish(
    global real *mean, const ulong mean_offset,
    global real *invstd, const ulong invstd_offset,
    global const real *scale, const ulong scale_offset,
    global const real *shift, const ulong shift_offset,
    global real *constants, const ulong constants_offset, const real epsilon,
    global const real *parts, const ulong parts_offset, const ulong sets)
{
    const results r = {
        mean + mean_offset, invstd + invstd_offset,
        scale + scale_offset,
        shift + shift_offset,
        constants + constants_offset, epsilon
    };
    const ulong chan = get_global_id(0) * WIDE;
    if (chan < CHANNELS)
        finish_channels(
            r, parts + parts_offset, sets, chan, min(CHANNELS - chan, (ulong)WIDE));
}

// Normalises each part of each tile: one group a tile and part.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void map(
    global const stored *x, const ulong x_offset,
    global stored *y, const ulong y_offset,
    const ulong batch, const ulong spatial,
    const ulong batch_step, const ulong spatial_step,
    const ulong tile,
    const ulong past,
    global const real *constants, const ulong constants_offset)
{
    const extents e = {
        batch, spatial, batch_step, spatial_step,
        tile
    };
    const ulong ahead = run_distance(e);
    const targets t = {
        x + x_offset,
        y + y_offset,
        constants + constants_offset,
        past,
        ahead
    };
    map_tile(t, e);
}

// All of it in one launch.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void fused(
    global const stored *x, const ulong x_offset,
    global stored *y, const ulong y_offset,
    global real *mean, const ulong mean_offset,
    global real *invstd, const ulong invstd_offset,
    global const real *scale, const ulong scale_offset,
    global const real *shift, const ulong shift_offset,
    global real *constants, const ulong constants_offset, const real epsilon,
    const ulong batch, const ulong spatial,
    const ulong batch_step, const ulong spatial_step,
    const ulong tile,
    const ulong past,
    global real *parts, const ulong parts_offset)
{
    const extents e = {
        batch, spatial, batch_step, spatial_step,
        tile
    };
    const results r = {
        mean + mean_offset, invstd + invstd_offset,
        scale + scale_offset,
        shift + shift_offset,
        constants + constants_offset, epsilon
    };
    const sources from = {x + x_offset};
    const ulong ahead = tile_distance(e);
    const targets t = {
        x + x_offset,
        y + y_offset,
        constants + constants_offset,
        past,
        ahead
    };
    fuse(
        from, parts + parts_offset, r,
        t,
        e);
}
