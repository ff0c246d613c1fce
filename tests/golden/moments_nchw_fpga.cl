// clnorm 0.1.0
// moments nchw f32 ?x64x?
// fpga: walk=serial lanes=8 group=1 tile=8 block=64 parts=1 resident=always stream=0 fetch=0 baked=0

#define CHANNELS 64
#define LANES 8
#define GROUP 1
#define WIDE 8
#define TALLIES 8
#define BLOCK 64
#define FIRST_BLOCK 4
#define real float
#define reals float8
#define wide float8
#define stored float
#define stored_lanes float8
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

// The first `count` lanes; the others are zero.
reals load_some(global const stored *from, const int count)
{
    real lane[LANES];
    for (int i = 0; i < LANES; i++)
        lane[i] = i < count ? from[i] : 0;
    return *(const loose_reals *)lane;
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

// A parameter of the channel, the same in each lane.
reals channel_load(global const real *parameter, const ulong chan)
{
    return (reals)(parameter[chan]);
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
    global real *moments;
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
    const record kept = {total.count, mean, rest, total.m2};
    record_store(kept, r.moments, 0, chan, count);
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
    tally *of, const sources from, ulong at, const ulong length, const pace before)
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
            next = reduce_row(&t[i], from, at + i * e.spatial, length, p);
        p = next;
    }
    for (uint i = 0; i < width; i++) {
        tally_close(&t[i], p.open);
        record_store(tally_total(&t[i]), parts, part_index(), first + i, 1);
    }
}

// One work-item does a tile: its values are read again while they are still near.
void fuse(
    const sources from, global real *parts, const results r,
    const extents e)
{
    reduce_tile(from, parts, e);
    const ulong last = tile_last(e);
    for (ulong chan = tile_first(e); chan < last; chan += WIDE)
        finish_channels(r, parts, 1, chan, min(last - chan, (ulong)WIDE));
}

// ---- Kernels. Every buffer comes with an offset in elements; local sizes are fixed ----

// All of it in one launch.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void fused(
    global const stored *x, const ulong x_offset,
    global real *moments, const ulong moments_offset,
    const ulong batch, const ulong spatial,
    const ulong batch_step, const ulong spatial_step,
    const ulong tile,
    global real *parts, const ulong parts_offset)
{
    const extents e = {
        batch, spatial, batch_step, spatial_step,
        tile
    };
    const results r = {
        moments + moments_offset
    };
    const sources from = {x + x_offset};
    fuse(
        from, parts + parts_offset, r,
        e);
}
