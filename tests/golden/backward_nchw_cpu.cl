// clnorm 0.1.0
// backward nchw f32 ?x64x? +scale +shift
// cpu: walk=serial lanes=8 group=1 tile=1 block=32 parts=16 resident=1048576 baked=0

#define CHANNELS 64
#define LANES 8
#define GROUP 1
#define FINISH_GROUP 8
#define BLOCK 32
#define real float
#define reals float8
#define stored float
#define vload_reals vload8
#define vstore_reals vstore8
#define vload_stored vload8
#define vstore_stored vstore8

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

void store_one(const real value, global stored *to)
{
    *to = value;
}

void store(const reals value, global stored *to)
{
    vstore_stored(value, 0, to);
}

// The first `count` lanes; the others are zero.
reals load_some(global const stored *from, const int count)
{
    real lane[LANES];
    for (int i = 0; i < LANES; i++)
        lane[i] = i < count ? load_one(from + i) : 0;
    return vload_reals(0, lane);
}

void store_some(const reals value, global stored *to, const int count)
{
    real lane[LANES];
    vstore_reals(value, 0, lane);
    for (int i = 0; i < count; i++)
        store_one(lane[i], to + i);
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

// Adds a value to the pair (sum, rest) in each lane.
void pair_add(reals *sum, reals *rest, const reals value)
{
    const reals next = *sum + value, t = next - *sum;
    *rest += (*sum - (next - t)) + (value - t);
    *sum = next;
}

// ---- Gradient sums: sum of dy, and dot, the sum of dy * xhat ----

// One channel's sums, stored as two planes of CHANNELS.
typedef struct {
    real sum, dot;
} record;

record record_none(void)
{
    const record none = {0, 0};
    return none;
}

record record_load(global const real *parts, const ulong set, const ulong channel)
{
    global const real *at = parts + set * 2 * CHANNELS + channel;
    const record r = {at[0], at[CHANNELS]};
    return r;
}

void record_store(const record r, global real *parts, const ulong set, const ulong channel)
{
    global real *at = parts + set * 2 * CHANNELS + channel;
    at[0] = r.sum;
    at[CHANNELS] = r.dot;
}

record record_merge(const record a, const record b)
{
    const record both = {a.sum + b.sum, a.dot + b.dot};
    return both;
}

typedef struct {
    global const stored *dy;
    global const stored *x;
    global const real *mean, *invstd;
} sources;

typedef struct {
    reals dy;
    reals x;
} values;

// What each lane has seen: an open block, and the sums of the blocks before it as pairs.
typedef struct {
    reals open_sum, sum, sum_rest;
    reals mean, invstd, open_dot, dot, dot_rest;
    uint open;
} tally;

values load_values(const sources from, const ulong at)
{
    values v;
    v.dy = load(from.dy + at);
    v.x = load(from.x + at);
    return v;
}

values load_some_values(const sources from, const ulong at, const int count)
{
    values v;
    v.dy = load_some(from.dy + at, count);
    v.x = load_some(from.x + at, count);
    return v;
}

tally tally_start(const sources from, const ulong channel)
{
    tally t;
    t.open_sum = t.sum = t.sum_rest = 0;
    t.mean = channel_load(from.mean, channel);
    t.invstd = channel_load(from.invstd, channel);
    t.open_dot = t.dot = t.dot_rest = 0;
    t.open = 0;
    return t;
}

void tally_close(tally *t)
{
    pair_add(&t->sum, &t->sum_rest, t->open_sum);
    t->open_sum = 0;
    pair_add(&t->dot, &t->dot_rest, t->open_dot);
    t->open_dot = 0;
    t->open = 0;
}

void tally_add(tally *t, const values v)
{
    t->open_sum += v.dy;
    t->open_dot += v.dy * (v.x - t->mean);
    if (++t->open == BLOCK)
        tally_close(t);
}

// The sums of one lane of a closed tally.
record tally_lane(const tally *t, const int lane)
{
    real sums[LANES];
    vstore_reals(t->sum + t->sum_rest, 0, sums);
    real dots[LANES];
    vstore_reals((t->dot + t->dot_rest) * t->invstd, 0, dots);
    const record r = {sums[lane], dots[lane]};
    return r;
}

// ---- Finish: gradient sums become parameter gradients and what the input gradient needs ----

typedef struct {
    global const real *mean;
    real count;
    global const real *invstd;
    global const real *scale;
    global real *dscale;
    global real *dshift;
    global real *constants;
} results;

void finish_channel(
    const results r, global const real *parts, const ulong sets, const ulong channel)
{
    record total = record_none();
    for (ulong set = 0; set < sets; set++)
        total = record_merge(total, record_load(parts, set, channel));
    const real invstd = r.invstd[channel];
    const real gain = invstd * r.scale[channel];
    r.dscale[channel] = total.dot;
    r.dshift[channel] = total.sum;
    r.constants[channel] = gain;
    r.constants[CHANNELS + channel] = r.mean[channel];
    r.constants[2ul * CHANNELS + channel] = total.sum / r.count;
    r.constants[3ul * CHANNELS + channel] = total.dot / r.count * invstd;
}

// ---- Input gradient: dx = gain * (dy - mean_dy - (x - mean) * slope), gain = invstd * scale ----

typedef struct {
    global const stored *dy;
    global const stored *x;
    global stored *dx;
    global const real *constants;
} targets;

typedef struct {
    reals gain;
    reals mean, mean_dy, slope;
} constants;

constants constants_load(const targets t, const ulong channel)
{
    constants k;
    k.gain = channel_load(t.constants, channel);
    k.mean = channel_load(t.constants + CHANNELS, channel);
    k.mean_dy = channel_load(t.constants + 2ul * CHANNELS, channel);
    k.slope = channel_load(t.constants + 3ul * CHANNELS, channel);
    return k;
}

void map_values(const targets t, const constants k, const ulong at)
{
    reals dy = load(t.dy + at);
    const reals dx = k.gain * ((dy - k.mean_dy) - (load(t.x + at) - k.mean) * k.slope);
    store(dx, t.dx + at);
}

void map_some_values(const targets t, const constants k, const ulong at, const int count)
{
    reals dy = load_some(t.dy + at, count);
    const reals dx = k.gain * ((dy - k.mean_dy) - (load_some(t.x + at, count) - k.mean) * k.slope);
    store_some(dx, t.dx + at, count);
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

void map_tile(const targets t, const extents e)
{
    const ulong channel = get_group_id(0);
    const ulong n_first = get_group_id(1) * e.batch_step;
    const ulong n_last = min(n_first + e.batch_step, e.batch);
    const ulong s_first = get_group_id(2) * e.spatial_step;
    const ulong s_last = min(s_first + e.spatial_step, e.spatial);
    const ulong vectors = (s_last - s_first) / LANES;
    const int rest = (s_last - s_first) % LANES;
    const constants k = constants_load(t, channel);
    for (ulong n = n_first; n < n_last; n++) {
        ulong at = (n * CHANNELS + channel) * e.spatial + s_first;
        for (ulong i = 0; i < vectors; i++, at += LANES)
            map_values(t, k, at);
        if (rest > 0)
            map_some_values(t, k, at, rest);
    }
}

// ---- Kernels. Every buffer comes with an offset in elements; local sizes are fixed ----

// Gradient sums of each part of each tile: one group a tile and part.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void reduce(
    global const stored *dy, const ulong dy_offset,
    global const stored *x, const ulong x_offset,
    global const real *mean, const ulong mean_offset,
    global const real *invstd, const ulong invstd_offset,
    const ulong batch, const ulong spatial, const ulong batch_step, const ulong spatial_step,
    global real *restrict parts, const ulong parts_offset)
{
    const extents e = {batch, spatial, batch_step, spatial_step};
    const sources from = {
        dy + dy_offset,
        x + x_offset, mean + mean_offset, invstd + invstd_offset,
    };
    reduce_tile(from, parts + parts_offset, e);
}

// Merges the parts of each channel: one work-item a channel.
kernel __attribute__((reqd_work_group_size(FINISH_GROUP, 1, 1)))
void finish(
    global const real *mean, const ulong mean_offset,
    global const real *invstd, const ulong invstd_offset,
    const real count,
    global const real *scale, const ulong scale_offset,
    global real *dscale, const ulong dscale_offset,
    global real *dshift, const ulong dshift_offset,
    global real *constants, const ulong constants_offset,
    global const real *parts, const ulong parts_offset, const ulong sets)
{
    const results r = {
        mean + mean_offset, count,
        invstd + invstd_offset,
        scale + scale_offset, dscale + dscale_offset,
        dshift + dshift_offset,
        constants + constants_offset
    };
    if (get_global_id(0) < CHANNELS)
        finish_channel(r, parts + parts_offset, sets, get_global_id(0));
}

// The input gradient of each part of each tile: one group a tile and part.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void map(
    global const stored *dy, const ulong dy_offset,
    global const stored *x, const ulong x_offset,
    global stored *dx, const ulong dx_offset,
    const ulong batch, const ulong spatial, const ulong batch_step, const ulong spatial_step,
    global const real *constants, const ulong constants_offset)
{
    const extents e = {batch, spatial, batch_step, spatial_step};
    const targets t = {
        dy + dy_offset,
        x + x_offset,
        dx + dx_offset,
        constants + constants_offset
    };
    map_tile(t, e);
}

// All of it, one group a tile: its values are read again while they are still near.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void fused(
    global const stored *dy, const ulong dy_offset,
    global const stored *x, const ulong x_offset,
    global const real *mean, const ulong mean_offset,
    global const real *invstd, const ulong invstd_offset,
    global stored *dx, const ulong dx_offset,
    const real count,
    global const real *scale, const ulong scale_offset,
    global real *dscale, const ulong dscale_offset,
    global real *dshift, const ulong dshift_offset,
    global real *constants, const ulong constants_offset,
    const ulong batch, const ulong spatial, const ulong batch_step, const ulong spatial_step,
    global real *parts, const ulong parts_offset)
{
    const extents e = {batch, spatial, batch_step, spatial_step};
    const sources from = {
        dy + dy_offset,
        x + x_offset, mean + mean_offset, invstd + invstd_offset,
    };
    const results r = {
        mean + mean_offset, count,
        invstd + invstd_offset,
        scale + scale_offset, dscale + dscale_offset,
        dshift + dshift_offset,
        constants + constants_offset
    };
    reduce_tile(from, parts + parts_offset, e);
    for (ulong channel = tile_first() + get_local_id(0); channel < tile_last(); channel += GROUP)
        finish_channel(r, parts + parts_offset, 1, channel);
    const targets t = {
        dy + dy_offset,
        x + x_offset,
        dx + dx_offset,
        constants + constants_offset
    };
    map_tile(t, e);
}
