// clnorm 0.1.0
// moments nchw f32 ?x64x?
// fpga: walk=serial lanes=8 group=1 tile=1 block=64 parts=1 resident=always baked=0

#define CHANNELS 64
#define LANES 8
#define GROUP 1
#define BLOCK 64
#define FIRST_BLOCK 4
#define real float
#define reals float8
#define stored float
#define vload_reals vload8
#define vstore_reals vstore8
#define vload_stored vload8

// Rounding happens where it is written: sums that keep what they lose must not be rearranged or
// fused.
#pragma OPENCL FP_CONTRACT OFF

// ---- Storage: tensors hold `stored`, arithmetic is in `real`, and `reals` is LANES of them ----

reals load(global const stored *from)
{
    return vload_stored(0, from);
}

real load_one(global const stored *from)
{
    return *from;
}

// The first `count` lanes; the others are zero.
reals load_some(global const stored *from, const int count)
{
    real lane[LANES];
    for (int i = 0; i < LANES; i++)
        lane[i] = i < count ? load_one(from + i) : 0;
    return vload_reals(0, lane);
}

// ---- Channels first: a tile is one channel, its parts are boxes of batch x spatial positions ----

typedef struct {
    ulong batch, spatial, batch_step, spatial_step;
} extents;

ulong tile_first(void)
{
    return get_group_id(0);
}

ulong tile_last(void)
{
    return get_group_id(0) + 1;
}

ulong part_index(void)
{
    return get_group_id(1) * get_num_groups(2) + get_group_id(2);
}

// A parameter of the channel, the same in each lane.
reals channel_load(global const real *parameter, const ulong channel)
{
    return (reals)(parameter[channel]);
}

// ---- Pairs: a number as the nearest real and the rest it lacks ----

// What a + b lost when it was rounded to sum, exactly (Knuth, The Art of Computer Programming 2,
// section 4.2.2).
real lost(const real a, const real b, const real sum)
{
    const real t = sum - a;
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

// One channel's moments, stored as four planes of CHANNELS. The mean is the pair mean + rest.
typedef struct {
    real count, mean, rest, m2;
} record;

record record_none(void)
{
    const record none = {0, 0, 0, 0};
    return none;
}

record record_load(global const real *parts, const ulong set, const ulong channel)
{
    global const real *at = parts + set * 4 * CHANNELS + channel;
    const record r = {at[0], at[CHANNELS], at[2ul * CHANNELS], at[3ul * CHANNELS]};
    return r;
}

void record_store(const record r, global real *parts, const ulong set, const ulong channel)
{
    global real *at = parts + set * 4 * CHANNELS + channel;
    at[0] = r.count;
    at[CHANNELS] = r.mean;
    at[2ul * CHANNELS] = r.rest;
    at[3ul * CHANNELS] = r.m2;
}

// Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
// variances" (1979), eq. 2.1.
record record_merge(const record a, const record b)
{
    if (b.count == 0)
        return a;
    if (a.count == 0)
        return b;
    record both;
    both.count = a.count + b.count;
    const real delta = (b.mean - a.mean) + (b.rest - a.rest);
    const real step = delta * (b.count / both.count);
    both.mean = a.mean + step;
    both.rest = a.rest + lost(a.mean, step, both.mean);
    both.m2 = a.m2 + (b.m2 + delta * (step * a.count));
    return both;
}

typedef struct {
    global const stored *x;
} sources;

typedef struct {
    reals x;
} values;

// What each lane has seen: the moments of the blocks before, and an open block, summed as
// deviations from their mean.
typedef struct {
    reals mean, rest, m2, m2_rest;
    ulong count;
    reals sum, squares;
    uint left; // values until the block is full
} tally;

// The first block has only the first value for a mean. That may be an outlier, whose
// cancellation costs as many times the rounding error as the block has values: so it is short.
// Later blocks have the mean of all before, whose distance from theirs is part of the m2 sought,
// so that nothing can cancel.
uint block_size(const tally *t)
{
    return t->count == 0 ? FIRST_BLOCK : BLOCK;
}

values load_values(const sources from, const ulong at)
{
    const values v = {load(from.x + at)};
    return v;
}

values load_some_values(const sources from, const ulong at, const int count)
{
    const values v = {load_some(from.x + at, count)};
    return v;
}

tally tally_start(const sources from, const ulong channel)
{
    const tally t = {0, 0, 0, 0, 0, 0, 0, FIRST_BLOCK};
    return t;
}

// Merges the open block into the lanes' moments, by the formula of record_merge.
void tally_close(tally *t)
{
    const uint open = block_size(t) - t->left;
    if (open == 0)
        return;
    const real n = open, before = t->count;
    const reals shift = t->sum / n;
    const reals delta = shift - t->rest;
    const reals step = delta * (n / (before + n));
    pair_add(&t->m2, &t->m2_rest, (t->squares - t->sum * shift) + delta * (step * before));
    pair_add(&t->mean, &t->rest, step);
    t->count += open;
    t->sum = 0;
    t->squares = 0;
    t->left = BLOCK;
}

void tally_add(tally *t, const values v)
{
    if (t->count == 0 && t->left == FIRST_BLOCK)
        t->mean = v.x;
    const reals deviation = v.x - t->mean;
    t->sum += deviation;
    t->squares += deviation * deviation;
    if (--t->left == 0)
        tally_close(t);
}

// The moments of one lane of a closed tally.
record tally_lane(const tally *t, const int lane)
{
    real means[LANES], rests[LANES], m2s[LANES];
    vstore_reals(t->mean, 0, means);
    vstore_reals(t->rest, 0, rests);
    vstore_reals(t->m2 + t->m2_rest, 0, m2s);
    const real mean = means[lane], rest = rests[lane], m2 = m2s[lane];
    record r = {t->count, mean + rest, 0, m2 < 0 ? 0 : m2};
    r.rest = lost(mean, rest, r.mean);
    return r;
}

// ---- Finish: a channel's moments become what the caller keeps and what normalising needs ----

typedef struct {
    global real *moments;
} results;

void finish_channel(
    const results r, global const real *parts, const ulong sets, const ulong channel)
{
    record total = record_none();
    for (ulong set = 0; set < sets; set++)
        total = record_merge(total, record_load(parts, set, channel));
    const real mean = total.mean + total.rest;
    const real rest = lost(total.mean, total.rest, mean);
    const record kept = {total.count, mean, rest, total.m2};
    record_store(kept, r.moments, 0, channel);
}

// One work-item reduces the channel's part, LANES positions at a time; lanes beyond the end of a
// row go to a tally of their own.
void reduce_tile(const sources from, global real *parts, const extents e)
{
    const ulong channel = get_group_id(0);
    const ulong n_first = get_group_id(1) * e.batch_step;
    const ulong n_last = min(n_first + e.batch_step, e.batch);
    const ulong s_first = get_group_id(2) * e.spatial_step;
    const ulong s_last = min(s_first + e.spatial_step, e.spatial);
    const ulong vectors = (s_last - s_first) / LANES;
    const int rest = (s_last - s_first) % LANES;
    tally edge = tally_start(from, channel);
    tally body = tally_start(from, channel);
    for (ulong n = n_first; n < n_last; n++) {
        ulong at = (n * CHANNELS + channel) * e.spatial + s_first;
        for (ulong i = 0; i < vectors; i++, at += LANES)
            tally_add(&body, load_values(from, at));
        if (rest > 0)
            tally_add(&edge, load_some_values(from, at, rest));
    }
    record total = record_none();
    tally_close(&body);
    for (int lane = 0; lane < LANES; lane++)
        total = record_merge(total, tally_lane(&body, lane));
    tally_close(&edge);
    for (int lane = 0; lane < rest; lane++)
        total = record_merge(total, tally_lane(&edge, lane));
    record_store(total, parts, part_index(), channel);
}

// ---- Kernels. Every buffer comes with an offset in elements; local sizes are fixed ----

// All of it, one group a tile: its values are read again while they are still near.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void fused(
    global const stored *x, const ulong x_offset,
    global real *moments, const ulong moments_offset,
    const ulong batch, const ulong spatial, const ulong batch_step, const ulong spatial_step,
    global real *parts, const ulong parts_offset)
{
    const extents e = {batch, spatial, batch_step, spatial_step};
    const results r = {
        moments + moments_offset
    };
    const sources from = {x + x_offset};
    reduce_tile(from, parts + parts_offset, e);
    for (ulong channel = tile_first() + get_local_id(0); channel < tile_last(); channel += GROUP)
        finish_channel(r, parts + parts_offset, 1, channel);
}
