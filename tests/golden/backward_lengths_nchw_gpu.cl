// clnorm 0.1.0
// backward nchw f32 ?x64x? +scale +lengths
// gpu: walk=group lanes=1 group=256 tile=1 block=32 parts=128 resident=131072 stream=0 fetch=0 baked=0

#define CHANNELS 64
#define LANES 1
#define GROUP 256
#define FINISH_GROUP 64
#define WIDE 1
#define TILE 1
#define BLOCK 32
#define FIRST_BLOCK 4
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
    global const uint *lengths;
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

ulong part_index(void)
{
    return get_group_id(1) * get_num_groups(2) + get_group_id(2);
}

// A parameter of the channel, the same in each lane.
reals channel_load(global const real *parameter, const ulong chan)
{
    return (reals)(parameter[chan]);
}

// ---- Lengths: of each sample the first `length` positions are valid ----

ulong length_of(const extents e, const ulong sample)
{
    return min((ulong)e.lengths[sample], e.spatial);
}

// The first of the samples from `first` to `last` that has a valid position from `position` on;
// `last` for none.
ulong first_sample(
    const extents e, const ulong first, const ulong last, const ulong position)
{
    ulong n = first;
    while (n < last && length_of(e, n) <= position)
        n++;
    return n;
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
    reals open_sum;
    reals open_dot, mean;
    reals sum, sum_rest;
    reals dot, dot_rest, invstd;
} tally;

values load_values(const sources from, const ulong at)
{
    values v;
    v.dy = load(from.dy + at);
    v.x = load(from.x + at);
    return v;
}

values no_values(void)
{
    values v;
    v.dy = 0;
    v.x = 0;
    return v;
}

// A tally before its first value; these sums need not know it.
tally tally_start(const sources from, const ulong chan, const values first)
{
    tally t;
    t.open_sum = t.sum = t.sum_rest = 0;
    t.mean = channel_load(from.mean, chan);
    t.invstd = channel_load(from.invstd, chan);
    t.open_dot = t.dot = t.dot_rest = 0;
    return t;
}

void tally_add(tally *t, const values v)
{
    t->open_sum += v.dy;
    t->open_dot += v.dy * (v.x - t->mean);
}

// Adds the open block, after `open` adds, to the sums.
void tally_close(tally *t, const uint open)
{
    pair_add(&t->sum, &t->sum_rest, t->open_sum);
    t->open_sum = 0;
    pair_add(&t->dot, &t->dot_rest, t->open_dot);
    t->open_dot = 0;
}

// The sums of a closed tally: of each lane where lanes are channels, otherwise of all.
record tally_total(const tally *t)
{
    const reals sum = t->sum + t->sum_rest;
    const reals dot = (t->dot + t->dot_rest) * t->invstd;
    const record r = {sum, dot};
    return r;
}

// ---- Finish: gradient sums become parameter gradients and what the input gradient needs ----

typedef struct {
    global const real *mean;
    real count;
    global const real *invstd;
    global const real *scale;
    global real *dscale;
    global real *constants;
} results;

// How many values a channel has.
real count_valid(global const uint *lengths, const ulong samples, const ulong positions)
{
    ulong count = 0;
    for (ulong n = 0; n < samples; n++)
        count += min((ulong)lengths[n], positions);
    return count;
}

// Those of `count` channels from `chan` on.
void finish_channels(
    const results r, global const real *parts, const ulong sets, const ulong chan,
    const int count)
{
    record total = record_none();
    for (ulong set = 0; set < sets; set++)
        total = record_merge(total, record_load(parts, set, chan, count));
    const wide invstd = wide_load(r.invstd + chan, count);
    const wide gain = invstd * wide_load(r.scale + chan, count);
    wide_store(total.dot, r.dscale + chan, count);
    global real *constants = r.constants + chan;
    wide_store(gain, constants, count);
    wide_store(wide_load(r.mean + chan, count), constants + CHANNELS, count);
    wide_store(total.sum / r.count, constants + 2ul * CHANNELS, count);
    wide_store(total.dot / r.count * invstd, constants + 3ul * CHANNELS, count);
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

// What is not valid.
void clear_value(const targets t, const ulong at)
{
    t.dx[at] = 0;
}

void map_values(const targets t, const constants k, const ulong at)
{
    reals dy = load(t.dy + at);
    const reals dx = gradient(k, dy, load(t.x + at));
    store(dx, t.dx + at);
}

// ---- Fold: the records of a work-group's items become TILE records, in a tree of fixed shape ----

void fold(local record *scratch, const uint item, const uint distance)
{
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item < distance)
        scratch[item] = record_merge(scratch[item], scratch[item + distance]);
}

// The record of each item below TILE is that of its channel. A straight line, so that every work-item
// meets the same barriers.
record fold_group(local record *scratch, const uint item, const record r)
{
    scratch[item] = r;
    fold(scratch, item, 128);
    fold(scratch, item, 64);
    fold(scratch, item, 32);
    fold(scratch, item, 16);
    fold(scratch, item, 8);
    fold(scratch, item, 4);
    fold(scratch, item, 2);
    fold(scratch, item, 1);
    return scratch[item];
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

void reduce_tile(const sources from, global real *parts, const extents e, local record *scratch)
{
    const ulong chan = get_group_id(0);
    ulong n_first = get_group_id(1) * e.batch_step;
    const ulong n_last = min(n_first + e.batch_step, e.batch);
    const ulong s_first = get_group_id(2) * e.spatial_step;
    const ulong s_last = min(s_first + e.spatial_step, e.spatial);
    n_first = first_sample(e, n_first, n_last, s_first);
    const uint item = get_local_id(0);
    place p = place_start(item, n_last - n_first, (s_last - s_first) / LANES);
    const ulong start = (n_first * CHANNELS + chan) * e.spatial + s_first;
    tally t = tally_start(
        from, chan, n_first < n_last ? load_values(from, start) : no_values());
    uint open = 0, most = FIRST_BLOCK;
    for (ulong i = item; i < p.count; i += GROUP) {
        if (s_first + p.column >= length_of(e, n_first + p.row)) {
            place_next(&p);
            continue;
        }
        const ulong row = (n_first + p.row) * CHANNELS + chan;
        tally_add(&t, load_values(from, row * e.spatial + s_first + p.column * LANES));
        if (++open == most) {
            tally_close(&t, open);
            open = 0;
            most = BLOCK;
        }
        place_next(&p);
    }
    tally_close(&t, open);
    const record total = fold_group(scratch, item, tally_total(&t));
    if (item == 0)
        record_store(total, parts, part_index(), chan, 1);
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
        if (s_first + p.column >= length_of(e, n_first + p.row))
            clear_value(t, row * e.spatial + s_first + p.column);
        else
            map_values(t, k, row * e.spatial + s_first + p.column);
        place_next(&p);
    }
}

// One group does a tile: its values are read again while they are still near.
void fuse(
    const sources from, global real *parts, const results r,
    const targets t,
    const extents e, local record *scratch)
{
    reduce_tile(from, parts, e, scratch);
    barrier(CLK_GLOBAL_MEM_FENCE);
    for (ulong chan = tile_first(e) + get_local_id(0); chan < tile_last(e); chan += GROUP)
        finish_channels(r, parts, 1, chan, 1);
    barrier(CLK_GLOBAL_MEM_FENCE);
    map_tile(t, e);
}

// ---- Kernels. Every buffer comes with an offset in elements; local sizes are fixed ----

// Gradient sums of each part of each tile: one group a tile and part.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void reduce(
    global const stored *dy, const ulong dy_offset,
    global const stored *x, const ulong x_offset,
    global const real *mean, const ulong mean_offset,
    global const real *invstd, const ulong invstd_offset,
    global const uint *lengths, const ulong lengths_offset,
    const ulong batch, const ulong spatial,
    const ulong batch_step, const ulong spatial_step,
    global real *restrict parts, const ulong parts_offset)
{
    const extents e = {
        lengths + lengths_offset,
        batch, spatial, batch_step, spatial_step,
    };
    const sources from = {
        dy + dy_offset,
        x + x_offset, mean + mean_offset, invstd + invstd_offset,
    };
    local record scratch[GROUP];
    reduce_tile(from, parts + parts_offset, e, scratch);
}

// Merges the parts of each channel: one work-item for WIDE channels.
kernel __attribute__((reqd_work_group_size(FINISH_GROUP, 1, 1), vec_type_hint(wide)))
void finish(
    global const uint *lengths, const ulong lengths_offset,
    global const real *mean, const ulong mean_offset,
    global const real *invstd, const ulong invstd_offset,
    const real count,
    const ulong samples, const ulong sample_positions,
    global const real *scale, const ulong scale_offset,
    global real *dscale, const ulong dscale_offset,
    global real *constants, const ulong constants_offset,
    global const real *parts, const ulong parts_offset, const ulong sets)
{
    const results r = {
        mean + mean_offset,
        count > 0 ? count : count_valid(lengths + lengths_offset, samples, sample_positions),
        invstd + invstd_offset,
        scale + scale_offset, dscale + dscale_offset,
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
    global const uint *lengths, const ulong lengths_offset,
    const ulong batch, const ulong spatial,
    const ulong batch_step, const ulong spatial_step,
    global const real *constants, const ulong constants_offset)
{
    const extents e = {
        lengths + lengths_offset,
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

// All of it in one launch.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void fused(
    global const stored *dy, const ulong dy_offset,
    global const stored *x, const ulong x_offset,
    global const real *mean, const ulong mean_offset,
    global const real *invstd, const ulong invstd_offset,
    global stored *dx, const ulong dx_offset,
    const real count,
    const ulong samples, const ulong sample_positions,
    global const real *scale, const ulong scale_offset,
    global real *dscale, const ulong dscale_offset,
    global real *constants, const ulong constants_offset,
    global const uint *lengths, const ulong lengths_offset,
    const ulong batch, const ulong spatial,
    const ulong batch_step, const ulong spatial_step,
    global real *parts, const ulong parts_offset)
{
    const extents e = {
        lengths + lengths_offset,
        batch, spatial, batch_step, spatial_step,
    };
    const sources from = {
        dy + dy_offset,
        x + x_offset, mean + mean_offset, invstd + invstd_offset,
    };
    const results r = {
        mean + mean_offset,
        count > 0 ? count : count_valid(lengths + lengths_offset, samples, sample_positions),
        invstd + invstd_offset,
        scale + scale_offset, dscale + dscale_offset,
        constants + constants_offset
    };
    const targets t = {
        dy + dy_offset,
        x + x_offset,
        dx + dx_offset,
        constants + constants_offset,
    };
    local record scratch[GROUP];
    fuse(
        from, parts + parts_offset, r,
        t,
        e, scratch);
}
