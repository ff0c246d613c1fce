// clnorm 0.1.0
// forward nchw f32 ?x64x? +running +ghost=32
// gpu: walk=group lanes=1 group=256 tile=1 block=32 parts=128 resident=131072 stream=0 fetch=0 baked=0

#define CHANNELS 64
#define LANES 1
#define GROUP 256
#define FINISH_GROUP 64
#define WIDE 1
#define TILE 1
#define BLOCK 32
#define FIRST_BLOCK 4
#define GHOST_BATCH 32
#define SET 256
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

ulong part_index(void)
{
    return get_group_id(1) * get_num_groups(2) + get_group_id(2);
}

// A parameter of the channel, the same in each lane.
reals channel_load(global const real *parameter, const ulong chan)
{
    return (reals)(parameter[chan]);
}

// The sub-batch that a part is of: parts do not reach from one into the next.
ulong reduce_ghost(const extents e)
{
    return get_group_id(1) * e.batch_step / GHOST_BATCH;
}

ulong map_ghost(const extents e)
{
    return get_group_id(1) * e.batch_step / GHOST_BATCH;
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

// The moments of a closed tally, whose lanes are channels.
record tally_total(const tally *t)
{
    const reals m2 = t->m2 + t->m2_rest;
    record r = {t->count, t->mean + t->rest, 0, m2 < 0 ? (reals)0 : m2};
    r.rest = lost(t->mean, t->rest, r.mean);
    return r;
}

// ---- Finish: a channel's moments become what the caller keeps and what normalising needs ----

typedef struct {
    global real *mean, *invstd;
    global real *running_mean, *running_var;
    real momentum;
    global real *constants;
    real epsilon;
} results;

// Those of a sub-batch, of `count` channels from `chan` on. Running statistics take the sub-batches
// one after another, as Hoffer, Hubara and Soudry, "Train longer, generalize better" (2017),
// algorithm 1, has it.
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
    const wide kept = total.count > 1 ? total.m2 / (total.count - 1) : var;
    const wide mean_before = wide_load(r.running_mean + chan, count);
    const wide var_before = wide_load(r.running_var + chan, count);
    const wide mean_after = (1 - r.momentum) * mean_before + r.momentum * mean;
    const wide var_after = (1 - r.momentum) * var_before + r.momentum * kept;
    wide_store(total.count > 0 ? mean_after : mean_before, r.running_mean + chan, count);
    wide_store(total.count > 0 ? var_after : var_before, r.running_var + chan, count);
    global real *constants = r.constants + chan;
    wide_store(mean, constants, count);
    wide_store(rest, constants + CHANNELS, count);
    const wide gain = invstd;
    wide_store(gain, constants + 2ul * CHANNELS, count);
}

// Those of the next sub-batch.
void results_next(results *r)
{
    r->mean += CHANNELS;
    r->invstd += CHANNELS;
    r->constants += 4ul * CHANNELS;
}

// All sub-batches, whose sums are `each` sets: of the last one those that are left.
void finish_ghosts(
    const results r, global const real *parts, const ulong sets, const ulong ghosts,
    const ulong each, const ulong chan, const int count)
{
    results result = r;
    for (ulong ghost = 0; ghost < ghosts; ghost++) {
        const ulong first = min(ghost * each, sets);
        finish_channels(result, parts + first * SET, min(each, sets - first), chan, count);
        results_next(&result);
    }
}

// ---- Normalise: y = (x - mean) * gain + shift, where gain = invstd * scale ----

typedef struct {
    global const stored *x;
    global stored *y;
    global const real *constants;
} targets;

// What the values of WIDE channels need.
typedef struct {
    wide mean;
    wide rest;
    wide gain;
} factors;

factors factors_of(const targets t, const ulong chan, const int count)
{
    factors k;
    global const real *at = t.constants + chan;
    k.mean = wide_load(at, count);
    k.rest = wide_load(at + CHANNELS, count);
    k.gain = wide_load(at + 2ul * CHANNELS, count);
    return k;
}

// The same in each lane, or those of channels side by side.
typedef struct {
    reals mean;
    reals rest;
    reals gain;
} constants;

constants constants_load(const targets t, const ulong chan)
{
    const factors one = factors_of(t, chan, 1);
    constants k;
    k.mean = one.mean;
    k.rest = one.rest;
    k.gain = one.gain;
    return k;
}

reals normalise(const constants k, const reals x)
{
    reals y = ((x - k.mean) - k.rest) * k.gain;
    return y;
}

void map_values(const targets t, const constants k, const ulong at)
{
    const reals y = normalise(k, load(t.x + at));
    store(y, t.y + at);
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
    const ulong n_first = get_group_id(1) * e.batch_step;
    const ulong n_last = min(n_first + e.batch_step, e.batch);
    const ulong s_first = get_group_id(2) * e.spatial_step;
    const ulong s_last = min(s_first + e.spatial_step, e.spatial);
    const uint item = get_local_id(0);
    place p = place_start(item, n_last - n_first, (s_last - s_first) / LANES);
    const ulong start = ((n_first + p.row) * CHANNELS + chan) * e.spatial + s_first;
    tally t = tally_start(
        from, chan,
        item < p.count ? load_values(from, start + p.column * LANES) : no_values());
    uint open = 0, most = FIRST_BLOCK;
    for (ulong i = item; i < p.count; i += GROUP) {
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
        map_values(t, k, row * e.spatial + s_first + p.column * LANES);
        place_next(&p);
    }
}

// ---- Kernels. Every buffer comes with an offset in elements; local sizes are fixed ----

// Moments of each part of each tile: one group a tile and part.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void reduce(
    global const stored *restrict x, const ulong x_offset,
    const ulong batch, const ulong spatial,
    const ulong batch_step, const ulong spatial_step,
    global real *restrict parts, const ulong parts_offset)
{
    const extents e = {
        batch, spatial, batch_step, spatial_step,
    };
    const sources from = {x + x_offset};
    local record scratch[GROUP];
    reduce_tile(from, parts + parts_offset, e, scratch);
}

// Merges the parts of each channel: one work-item for WIDE channels.
kernel __attribute__((reqd_work_group_size(FINISH_GROUP, 1, 1), vec_type_hint(wide)))
void finish(
    global real *mean, const ulong mean_offset,
    global real *invstd, const ulong invstd_offset,
    global real *running_mean, const ulong running_mean_offset,
    global real *running_var, const ulong running_var_offset, const real momentum,
    global real *constants, const ulong constants_offset, const real epsilon,
    const ulong ghosts, const ulong ghost_sets,
    global const real *parts, const ulong parts_offset, const ulong sets)
{
    const results r = {
        mean + mean_offset, invstd + invstd_offset,
        running_mean + running_mean_offset, running_var + running_var_offset, momentum,
        constants + constants_offset, epsilon
    };
    const ulong chan = get_global_id(0) * WIDE;
    if (chan < CHANNELS)
        finish_ghosts(
            r, parts + parts_offset, sets, ghosts, ghost_sets, chan,
            min(CHANNELS - chan, (ulong)WIDE));
}

// Normalises each part of each tile: one group a tile and part.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void map(
    global const stored *x, const ulong x_offset,
    global stored *y, const ulong y_offset,
    const ulong batch, const ulong spatial,
    const ulong batch_step, const ulong spatial_step,
    global const real *constants, const ulong constants_offset)
{
    const extents e = {
        batch, spatial, batch_step, spatial_step,
    };
    const ulong ghost = map_ghost(e);
    const targets t = {
        x + x_offset,
        y + y_offset,
        constants + constants_offset + ghost * 4 * CHANNELS,
    };
    map_tile(t, e);
}
