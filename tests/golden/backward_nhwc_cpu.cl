// clnorm 0.1.0
// backward nhwc f64 ?x17x? +scale +shift +sgd
// cpu: walk=serial lanes=4 group=1 tile=1024 block=128 parts=16 resident=1048576 stream=33554432 fetch=1 baked=0

#define CHANNELS 17
#define ROW 17
#define LANES 4
#define GROUP 1
#define FINISH_GROUP 1
#define WIDE 4
#define TALLIES 5
#define TABLE 260
#define NEAR 128
#define ABREAST 2
#define AHEAD 120
#define BLOCK 128
#define FIRST_BLOCK 4
#define STATES 1
#define real double
#define reals double4
#define wide double4
#define stored double
#define stored_lanes double4
#define vstore_lanes vstore4
#define mask_lanes long4
#define LANE_NUMBERS ((long4)(0, 1, 2, 3))

// Rounding happens where it is written: sums that keep what they lose must not be rearranged or
// fused.
#pragma OPENCL FP_CONTRACT OFF
#pragma OPENCL EXTENSION cl_khr_fp64 : enable

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

// ---- Channels last: a tile is some channels side by side, its parts are runs of rows ----

typedef struct {
    ulong rows, rows_step;
    ulong tile;
} extents;

ulong tile_first(const extents e)
{
    return get_group_id(0) * e.tile;
}

// The last tile takes what would not fill a vector of the next.
ulong tile_last(const extents e)
{
    return get_group_id(0) + 1 == get_num_groups(0) ? ROW : tile_first(e) + e.tile;
}

// How far ahead of use values are asked for: the next row, or, where a run is all there is, some
// lines.
ulong run_distance(const extents e)
{
    return e.tile < ROW ? ROW : NEAR;
}

// From a value of this tile to its like in the next.
ulong tile_distance(const extents e)
{
    return e.tile;
}

// A parameter of the channels from `chan` on, one in each lane.
reals channel_load(global const real *parameter, const ulong chan)
{
    return *(global const loose_reals *)(parameter + chan);
}

// Behind a reduction the last parts are the nearest.
ulong map_part(void)
{
    return get_num_groups(2) - 1 - get_group_id(2);
}

reals lanes_of(const real *first)
{
    return *(const loose_reals *)first;
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

void fetch_values(const sources from, const ulong at)
{
    FETCH(from.dy + at);
    FETCH(from.x + at);
}

values no_values(void)
{
    values v;
    v.dy = 0;
    v.x = 0;
    return v;
}

values load_some_values(const sources from, const ulong at, const int count)
{
    values v;
    v.dy = load_some(from.dy + at, count);
    v.x = load_some(from.x + at, count);
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

void tally_add_some(tally *t, const values v, const mask_lanes kept)
{
    t->open_sum += kept ? v.dy : (reals)0;
    t->open_dot += kept ? v.dy * (v.x - t->mean) : (reals)0;
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

// ---- Optimiser: one step for the parameters of `count` channels ----

typedef struct {
    real learning_rate, weight_decay, velocity_decay;
} optimiser;

// Stochastic gradient descent with momentum, weight decay as L2 regularisation.
void optimise(
    const optimiser by, global real *parameter, const wide gradient, global real *state,
    const int count)
{
    const wide value = wide_load(parameter, count);
    const wide slope = gradient + by.weight_decay * value;
    const wide velocity = by.velocity_decay * wide_load(state, count) + slope;
    wide_store(velocity, state, count);
    wide_store(value - by.learning_rate * velocity, parameter, count);
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
    wide_store(total.sum, r.dshift + chan, count);
    global real *state = r.state + chan;
    optimise(r.by, r.scale + chan, total.dot, state, count);
    state += (ulong)STATES * CHANNELS;
    optimise(r.by, r.shift + chan, total.sum, state, count);
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
    ulong past; // 1: dx and dadd are stored past the caches
    ulong ahead; // how far ahead of use values are asked for
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

// Those of a tile's channels.
typedef struct __attribute__((aligned(sizeof(reals)))) {
    real gain[TABLE];
    real mean[TABLE], mean_dy[TABLE], slope[TABLE];
} table;

void table_set(table *of, const uint i, const factors some)
{
    *(loose_reals *)(of->gain + i) = some.gain;
    *(loose_reals *)(of->mean + i) = some.mean;
    *(loose_reals *)(of->mean_dy + i) = some.mean_dy;
    *(loose_reals *)(of->slope + i) = some.slope;
}

void table_repeat(table *of, const uint i, const uint from)
{
    of->gain[i] = of->gain[from];
    of->mean[i] = of->mean[from];
    of->mean_dy[i] = of->mean_dy[from];
    of->slope[i] = of->slope[from];
}

constants table_get(const table *of, const uint i)
{
    constants k;
    k.gain = lanes_of(of->gain + i);
    k.mean = lanes_of(of->mean + i);
    k.mean_dy = lanes_of(of->mean_dy + i);
    k.slope = lanes_of(of->slope + i);
    return k;
}

reals gradient(const constants k, const reals dy, const reals x)
{
    return k.gain * ((dy - k.mean_dy) - (x - k.mean) * k.slope);
}

void map_values(const targets t, const constants k, const ulong at)
{
    FETCH(t.dy + at + t.ahead);
    FETCH(t.x + at + t.ahead);
    reals dy = load(t.dy + at);
    const reals dx = gradient(k, dy, load(t.x + at));
    stream(dx, t.dx + at, t.past);
}

void map_some_values(const targets t, const constants k, const ulong at, const int count)
{
    reals dy = load_some(t.dy + at, count);
    store_some(gradient(k, dy, load_some(t.x + at, count)), t.dx + at, count);
}

// How many values come before the first whose place in memory is that of a vector.
ulong map_lead(const targets t, const ulong at)
{
    return -((size_t)(t.dx + at) / sizeof(stored)) % LANES;
}

// Where the values are that are asked for next: some rows ahead, in the order of memory, which is
// what memory is fast at.
typedef struct {
    ulong at;
    uint column;
} pointer;

pointer fetch_next(const sources from, const pointer p, const uint vectors)
{
    fetch_values(from, p.at + p.column * LANES);
    const pointer same = {p.at, p.column + 1}, next = {p.at + ROW, 0};
    return p.column + 1 < vectors ? same : next;
}

// One work-item reduces the tile's part, ABREAST rows at a time. The last vector of a row ends with
// it, and may overlap the one before.
void reduce_tile(const sources from, global real *parts, const extents e)
{
    const ulong chan = tile_first(e);
    const uint width = tile_last(e) - chan, vectors = (width + LANES - 1) / LANES;
    const ulong first = get_group_id(2) * e.rows_step, last = min(first + e.rows_step, e.rows);
    tally t[TALLIES];
    for (uint i = 0; i < vectors; i++) {
        const ulong c = chan + min(i * LANES, width - LANES);
        t[i] = tally_start(
            from, c, first < last ? load_values(from, first * ROW + c) : no_values());
    }
    pointer p = {(first + AHEAD) * ROW + chan, 0};
    uint most = FIRST_BLOCK;
    for (ulong row = first; row < last;) {
        const ulong begin = row, stop = min(row + most, last);
        for (; row + ABREAST <= stop; row += ABREAST)
            for (uint i = 0; i < vectors; i++) {
                ulong at = row * ROW + chan + min(i * LANES, width - LANES);
                for (uint j = 0; j < ABREAST; j++, at += ROW) {
                    p = fetch_next(from, p, vectors);
                    tally_add(&t[i], load_values(from, at));
                }
            }
        for (; row < stop; row++)
            for (uint i = 0; i < vectors; i++) {
                const ulong at = row * ROW + chan + min(i * LANES, width - LANES);
                tally_add(&t[i], load_values(from, at));
            }
        for (uint i = 0; i < vectors; i++)
            tally_close(&t[i], row - begin);
        most = BLOCK;
    }
    for (uint i = 0; i < vectors; i++) {
        const ulong c = chan + min(i * LANES, width - LANES);
        record_store(tally_total(&t[i]), parts, get_group_id(2), c, LANES);
    }
}

// Maps `length` values from `at` on, the first of which is of the tile's first channel. Vectors
// stand where memory has them and go through the table's columns in a circle.
void map_columns(
    const targets t, const table *of, ulong at, const ulong length, const uint circle)
{
    const ulong end = at + length;
    uint column = 0;
    column = min(map_lead(t, at), length);
    if (column > 0)
        map_some_values(t, table_get(of, 0), at, column);
    at += column;
    while (at + LANES <= end) {
        const ulong stop = min(at + (circle - column), end + 1 - LANES);
        for (; at < stop; at += LANES, column += LANES)
            map_values(t, table_get(of, column), at);
        if (column >= circle)
            column -= circle;
    }
    if (at < end)
        map_some_values(t, table_get(of, column), at, end - at);
}

// The table has the tile's channels as often as they fit, and once more for LANES - 1 columns.
void map_tile(const targets t, const extents e)
{
    const ulong chan = tile_first(e);
    const uint width = tile_last(e) - chan, circle = (TABLE - LANES + 1) / width * width;
    const ulong first = map_part() * e.rows_step, last = min(first + e.rows_step, e.rows);
    table of;
    for (uint i = 0; i < width; i += WIDE)
        table_set(&of, i, factors_of(t, chan + i, min(width - i, (uint)WIDE)));
    for (uint i = width; i < circle + LANES - 1; i++)
        table_repeat(&of, i, i - width);
    if (width == ROW)
        map_columns(t, &of, first * ROW, (last - first) * ROW, circle);
    else
        for (ulong row = first; row < last; row++)
            map_columns(t, &of, row * ROW + chan, width, circle);
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

// Gradient sums of each part of each tile: one group a tile and part.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void reduce(
    global const stored *dy, const ulong dy_offset,
    global const stored *x, const ulong x_offset,
    global const real *mean, const ulong mean_offset,
    global const real *invstd, const ulong invstd_offset,
    const ulong rows,
    const ulong rows_step,
    const ulong tile,
    global real *restrict parts, const ulong parts_offset)
{
    const extents e = {
        rows, rows_step,
        tile
    };
    const sources from = {
        dy + dy_offset,
        x + x_offset, mean + mean_offset, invstd + invstd_offset,
    };
    reduce_tile(from, parts + parts_offset, e);
}

// Merges the parts of each channel: one work-item for WIDE channels.
kernel __attribute__((reqd_work_group_size(FINISH_GROUP, 1, 1), vec_type_hint(wide)))
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
    const ulong rows,
    const ulong rows_step,
    const ulong tile,
    const ulong past,
    global const real *constants, const ulong constants_offset)
{
    const extents e = {
        rows, rows_step,
        tile
    };
    const ulong ahead = run_distance(e);
    const targets t = {
        dy + dy_offset,
        x + x_offset,
        dx + dx_offset,
        constants + constants_offset,
        past,
        ahead
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
    global real *scale, const ulong scale_offset,
    global real *dscale, const ulong dscale_offset,
    global real *shift, const ulong shift_offset,
    global real *dshift, const ulong dshift_offset,
    const real learning_rate, const real weight_decay, const real velocity_decay,
    global real *state, const ulong state_offset,
    global real *constants, const ulong constants_offset,
    const ulong rows,
    const ulong rows_step,
    const ulong tile,
    const ulong past,
    global real *parts, const ulong parts_offset)
{
    const extents e = {
        rows, rows_step,
        tile
    };
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
    const ulong ahead = tile_distance(e);
    const targets t = {
        dy + dy_offset,
        x + x_offset,
        dx + dx_offset,
        constants + constants_offset,
        past,
        ahead
    };
    fuse(
        from, parts + parts_offset, r,
        t,
        e);
}
