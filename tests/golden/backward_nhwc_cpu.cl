// clnorm 0.1.0
// backward nhwc f64 ?x17x? +scale +shift +sgd
// cpu: walk=serial lanes=4 group=1 tile=1 block=32 parts=16 resident=1048576 baked=0

#define CHANNELS 17
#define LANES 4
#define GROUP 1
#define FINISH_GROUP 4
#define TILE 4
#define BLOCK 32
#define STATES 1
#define real double
#define reals double4
#define stored double
#define vload_reals vload4
#define vstore_reals vstore4
#define vload_stored vload4
#define vstore_stored vstore4

// Rounding happens where it is written: sums that keep what they lose must not be rearranged or
// fused.
#pragma OPENCL FP_CONTRACT OFF
#pragma OPENCL EXTENSION cl_khr_fp64 : enable

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

// ---- Channels last: a tile is TILE channels side by side, its parts are runs of rows ----

typedef struct {
    ulong rows, rows_step;
} extents;

ulong tile_first(void)
{
    return get_group_id(0) * TILE;
}

ulong tile_last(void)
{
    return min(tile_first() + TILE, (ulong)CHANNELS);
}

// A parameter of the channels from `channel` on, one in each lane; the last channel stands in
// beyond the end.
reals channel_load(global const real *parameter, const ulong channel)
{
    real lane[LANES];
    for (int i = 0; i < LANES; i++)
        lane[i] = parameter[min(channel + i, (ulong)CHANNELS - 1)];
    return vload_reals(0, lane);
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

// ---- Optimiser: one step for one parameter ----

typedef struct {
    real learning_rate, weight_decay, velocity_decay;
} optimiser;

// Stochastic gradient descent with momentum, weight decay as L2 regularisation.
void optimise(
    const optimiser by, global real *parameter, const real gradient, global real *state,
    const ulong channel)
{
    const real slope = gradient + by.weight_decay * parameter[channel];
    const real velocity = by.velocity_decay * state[channel] + slope;
    state[channel] = velocity;
    parameter[channel] -= by.learning_rate * velocity;
}

// ---- Finish: gradient sums become parameter gradients and what the input gradient needs ----

typedef struct {
    global const real *mean;
    real count;
    global const real *invstd;
    global real *scale;
    global real *dscale;
    global real *shift;
    global real *dshift;
    global real *state;
    optimiser by;
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
    optimise(r.by, r.scale, total.dot, r.state, channel);
    optimise(r.by, r.shift, total.sum, r.state + (ulong)STATES * CHANNELS, channel);
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

// One work-item reduces LANES channels over the rows of its part.
void reduce_tile(const sources from, global real *parts, const extents e)
{
    const ulong channel = tile_first();
    const ulong first = get_group_id(2) * e.rows_step, last = min(first + e.rows_step, e.rows);
    tally t = tally_start(from, channel);
    const int width = tile_last() - channel;
    if (width < LANES) {
        for (ulong row = first; row < last; row++)
            tally_add(&t, load_some_values(from, row * CHANNELS + channel, width));
    } else
    for (ulong row = first; row < last; row++)
        tally_add(&t, load_values(from, row * CHANNELS + channel));
    tally_close(&t);
    for (ulong c = channel; c < tile_last(); c++)
        record_store(tally_lane(&t, c - channel), parts, get_group_id(2), c);
}

void map_tile(const targets t, const extents e)
{
    const ulong channel = tile_first();
    const ulong first = get_group_id(2) * e.rows_step, last = min(first + e.rows_step, e.rows);
    const constants k = constants_load(t, channel);
    const int width = tile_last() - channel;
    if (width < LANES) {
        for (ulong row = first; row < last; row++)
            map_some_values(t, k, row * CHANNELS + channel, width);
    } else
    for (ulong row = first; row < last; row++)
        map_values(t, k, row * CHANNELS + channel);
}

// ---- Kernels. Every buffer comes with an offset in elements; local sizes are fixed ----

// Gradient sums of each part of each tile: one group a tile and part.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void reduce(
    global const stored *dy, const ulong dy_offset,
    global const stored *x, const ulong x_offset,
    global const real *mean, const ulong mean_offset,
    global const real *invstd, const ulong invstd_offset,
    const ulong rows, const ulong rows_step,
    global real *restrict parts, const ulong parts_offset)
{
    const extents e = {rows, rows_step};
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
    global real *scale, const ulong scale_offset,
    global real *dscale, const ulong dscale_offset,
    global real *shift, const ulong shift_offset,
    global real *dshift, const ulong dshift_offset,
    const real learning_rate, const real weight_decay, const real velocity_decay,
    global real *state, const ulong state_offset,
    global real *constants, const ulong constants_offset,
    global const real *parts, const ulong parts_offset, const ulong sets)
{
    const optimiser by = {learning_rate, weight_decay, velocity_decay};
    const results r = {
        mean + mean_offset, count,
        invstd + invstd_offset,
        scale + scale_offset, dscale + dscale_offset,
        shift + shift_offset,
        dshift + dshift_offset,
        state + state_offset, by,
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
    const ulong rows, const ulong rows_step,
    global const real *constants, const ulong constants_offset)
{
    const extents e = {rows, rows_step};
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
    global real *scale, const ulong scale_offset,
    global real *dscale, const ulong dscale_offset,
    global real *shift, const ulong shift_offset,
    global real *dshift, const ulong dshift_offset,
    const real learning_rate, const real weight_decay, const real velocity_decay,
    global real *state, const ulong state_offset,
    global real *constants, const ulong constants_offset,
    const ulong rows, const ulong rows_step,
    global real *parts, const ulong parts_offset)
{
    const extents e = {rows, rows_step};
    const sources from = {
        dy + dy_offset,
        x + x_offset, mean + mean_offset, invstd + invstd_offset,
    };
    const optimiser by = {learning_rate, weight_decay, velocity_decay};
    const results r = {
        mean + mean_offset, count,
        invstd + invstd_offset,
        scale + scale_offset, dscale + dscale_offset,
        shift + shift_offset,
        dshift + dshift_offset,
        state + state_offset, by,
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
