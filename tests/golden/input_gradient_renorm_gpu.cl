// clnorm 0.1.0
// input-gradient nchw f32 ?x64x? +scale +shift +renorm
// gpu: walk=group lanes=1 group=256 tile=1 block=32 parts=128 resident=131072 stream=0 fetch=0 baked=0

#define CHANNELS 64
#define LANES 1
#define GROUP 256
#define FINISH_GROUP 64
#define WIDE 1
#define real float
#define reals float
#define wide float
#define stored float
#define stored_lanes float

// Rounding happens where it is written: sums that keep what they lose must not be rearranged or
// fused.
#pragma OPENCL FP_CONTRACT OFF

// Vectors that may stand wherever an element may.
typedef reals loose_reals __attribute__((aligned(sizeof(real))));

// ---- Parameters: `wide` holds those of WIDE channels side by side, or of the last `count` ----

wide wide_load(global const real *from, const int count)
{
    return *from;
}

void wide_store(const wide value, global real *to, const int count)
{
    *to = value;
}

// ---- Storage: tensors hold `stored`, arithmetic is in `real`, and `reals` is LANES of them ----

typedef stored_lanes loose_stored __attribute__((aligned(sizeof(stored))));

reals load(global const stored *from)
{
    const stored_lanes bits = *(global const loose_stored *)from;
    return bits;
}

stored_lanes pack(const reals value)
{
    return value;
}

void store(const reals value, global stored *to)
{
    *(global loose_stored *)to = pack(value);
}

// ---- Channels first: a tile is some channels, its parts are boxes of batch x spatial ----

typedef struct {
    ulong batch, spatial, batch_step, spatial_step;
} extents;

ulong tile_first(const extents e)
{
    return get_group_id(0);
}

ulong tile_last(const extents e)
{
    return get_group_id(0) + 1;
}

// ---- Gradient sums: sum of dy, and dot, the sum of dy * xhat ----

// Sums of WIDE channels, stored as two planes of CHANNELS.
typedef struct {
    wide sum, dot;
} record;

record record_none(void)
{
    const record none = {0, 0};
    return none;
}

record record_load(
    global const real *parts, const ulong set, const ulong chan, const int count)
{
    global const real *at = parts + set * 2 * CHANNELS + chan;
    record r;
    r.sum = wide_load(at, count);
    r.dot = wide_load(at + CHANNELS, count);
    return r;
}

void record_store(
    const record r, global real *parts, const ulong set, const ulong chan, const int count)
{
    global real *at = parts + set * 2 * CHANNELS + chan;
    wide_store(r.sum, at, count);
    wide_store(r.dot, at + CHANNELS, count);
}

record record_merge(const record a, const record b)
{
    const record both = {a.sum + b.sum, a.dot + b.dot};
    return both;
}

// ---- Finish: gradient sums become parameter gradients and what the input gradient needs ----

typedef struct {
    global const real *mean;
    real count;
    global const real *invstd;
    global const real *renorm_r;
    global const real *renorm_d;
    global const real *scale;
    global real *dscale;
    global real *dshift;
    global real *constants;
} results;

// Those of `count` channels from `chan` on.
void finish_channels(
    const results r, global const real *parts, const ulong sets, const ulong chan,
    const int count)
{
    record total = record_none();
    for (ulong set = 0; set < sets; set++)
        total = record_merge(total, record_load(parts, set, chan, count));
    const wide invstd = wide_load(r.invstd + chan, count);
    // dscale is the sum of dy * (xhat * renorm_r + renorm_d): both are constants to the gradient.
    const wide ratio = wide_load(r.renorm_r + chan, count);
    const wide dot = total.dot;
    total.dot = dot * ratio + total.sum * wide_load(r.renorm_d + chan, count);
    const wide gain = invstd * wide_load(r.scale + chan, count);
    wide_store(total.dot, r.dscale + chan, count);
    wide_store(total.sum, r.dshift + chan, count);
    global real *constants = r.constants + chan;
    wide_store(gain * ratio, constants, count);
    wide_store(wide_load(r.mean + chan, count), constants + CHANNELS, count);
    wide_store(total.sum / r.count, constants + 2ul * CHANNELS, count);
    wide_store(dot / r.count * invstd, constants + 3ul * CHANNELS, count);
}

// ---- Input gradient: dx = gain * (dy - mean_dy - (x - mean) * slope), gain = invstd * scale ----

typedef struct {
    global const stored *dy;
    global const stored *x;
    global stored *dx;
    global const real *constants;
} targets;

// What the values of WIDE channels need.
typedef struct {
    wide gain;
    wide mean, mean_dy, slope;
} factors;

factors factors_of(const targets t, const ulong chan, const int count)
{
    global const real *at = t.constants + chan;
    factors k;
    k.gain = wide_load(at, count);
    k.mean = wide_load(at + CHANNELS, count);
    k.mean_dy = wide_load(at + 2ul * CHANNELS, count);
    k.slope = wide_load(at + 3ul * CHANNELS, count);
    return k;
}

// The same in each lane, or those of channels side by side.
typedef struct {
    reals gain;
    reals mean, mean_dy, slope;
} constants;

constants constants_load(const targets t, const ulong chan)
{
    const factors one = factors_of(t, chan, 1);
    constants k;
    k.gain = one.gain;
    k.mean = one.mean;
    k.mean_dy = one.mean_dy;
    k.slope = one.slope;
    return k;
}

reals gradient(const constants k, const reals dy, const reals x)
{
    return k.gain * ((dy - k.mean_dy) - (x - k.mean) * k.slope);
}

void map_values(const targets t, const constants k, const ulong at)
{
    reals dy = load(t.dy + at);
    const reals dx = gradient(k, dy, load(t.x + at));
    store(dx, t.dx + at);
}

// A work-group walks the rows x columns of its part, GROUP vectors of LANES at a time, so that
// neighbours load neighbours. A work-item keeps its place as (row, column) and advances by a
// fixed step: no division in the loop.
typedef struct {
    ulong count, row, column, columns, row_step, column_step;
} place;

place place_start(const uint item, const ulong rows, const ulong columns)
{
    const ulong width = max(columns, 1ul);
    const place p = {
        rows * columns, item / width, item % width, width, GROUP / width, GROUP % width
    };
    return p;
}

void place_next(place *p)
{
    p->row += p->row_step;
    p->column += p->column_step;
    if (p->column >= p->columns) {
        p->column -= p->columns;
        p->row++;
    }
}

void map_tile(const targets t, const extents e)
{
    const ulong chan = get_group_id(0);
    const ulong n_first = get_group_id(1) * e.batch_step;
    const ulong n_last = min(n_first + e.batch_step, e.batch);
    const ulong s_first = get_group_id(2) * e.spatial_step;
    const ulong s_last = min(s_first + e.spatial_step, e.spatial);
    const uint item = get_local_id(0);
    place p = place_start(item, n_last - n_first, (s_last - s_first) / LANES);
    const constants k = constants_load(t, chan);
    for (ulong i = item; i < p.count; i += GROUP) {
        const ulong row = (n_first + p.row) * CHANNELS + chan;
        map_values(t, k, row * e.spatial + s_first + p.column * LANES);
        place_next(&p);
    }
}

// ---- Kernels. Every buffer comes with an offset in elements; local sizes are fixed ----

// Merges the parts of each channel: one work-item for WIDE channels.
kernel __attribute__((reqd_work_group_size(FINISH_GROUP, 1, 1), vec_type_hint(wide)))
void finish(
    global const real *mean, const ulong mean_offset,
    global const real *invstd, const ulong invstd_offset,
    const real count,
    global const real *renorm_r, const ulong renorm_r_offset,
    global const real *renorm_d, const ulong renorm_d_offset,
    global const real *scale, const ulong scale_offset,
    global real *dscale, const ulong dscale_offset,
    global real *dshift, const ulong dshift_offset,
    global real *constants, const ulong constants_offset,
    global const real *parts, const ulong parts_offset, const ulong sets)
{
    const results r = {
        mean + mean_offset, count,
        invstd + invstd_offset,
        renorm_r + renorm_r_offset,
        renorm_d + renorm_d_offset,
        scale + scale_offset, dscale + dscale_offset,
        dshift + dshift_offset,
        constants + constants_offset
    };
    const ulong chan = get_global_id(0) * WIDE;
    if (chan < CHANNELS)
        finish_channels(
            r, parts + parts_offset, sets, chan, min(CHANNELS - chan, (ulong)WIDE));
}

// The input gradient of each part of each tile: one group a tile and part.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void map(
    global const stored *dy, const ulong dy_offset,
    global const stored *x, const ulong x_offset,
    global stored *dx, const ulong dx_offset,
    const ulong batch, const ulong spatial,
    const ulong batch_step, const ulong spatial_step,
    global const real *constants, const ulong constants_offset)
{
    const extents e = {
        batch, spatial, batch_step, spatial_step,
    };
    const targets t = {
        dy + dy_offset,
        x + x_offset,
        dx + dx_offset,
        constants + constants_offset,
    };
    map_tile(t, e);
}
