// clnorm 0.1.0
// forward nhwc f16 ?x64x3136 +scale +shift +add +relu +running
// cpu: walk=serial lanes=8 group=1 tile=1024 block=128 parts=16 resident=1048576 stream=33554432 fetch=1 baked=0

#define CHANNELS 64
#define ROW 64
#define LANES 8
#define GROUP 1
#define FINISH_GROUP 1
#define WIDE 8
#define TALLIES 8
#define TABLE 264
#define NEAR 512
#define ABREAST 2
#define AHEAD 128
#define BLOCK 128
#define FIRST_BLOCK 4
#define real float
#define reals float8
#define wide float8
#define stored ushort
#define stored_lanes ushort8
#define vstore_lanes vstore8
#define vload_half_lanes vload_half8
#define vstore_half_lanes vstore_half8_rte
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
    return vload_half_lanes(0, (const half *)&bits);
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
        lane[i] = i < count ? vload_half(i, (global const half *)from) : 0;
    return *(const loose_reals *)lane;
}

stored_lanes pack(const reals value)
{
    stored_lanes bits;
    vstore_half_lanes(value, 0, (half *)&bits);
    return bits;
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
    const wide gain = invstd * wide_load(r.scale + chan, count);
    wide_store(gain, constants + 2ul * CHANNELS, count);
    wide_store(wide_load(r.shift + chan, count), constants + 3ul * CHANNELS, count);
}

// ---- Normalise: y = (x - mean) * gain + shift, where gain = invstd * scale ----

typedef struct {
    global const stored *x;
    global const stored *add;
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

void table_repeat(table *of, const uint i, const uint from)
{
    of->mean[i] = of->mean[from];
    of->rest[i] = of->rest[from];
    of->gain[i] = of->gain[from];
    of->shift[i] = of->shift[from];
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

reals normalise(const constants k, const reals x, const reals add)
{
    reals y = ((x - k.mean) - k.rest) * k.gain;
    y += k.shift;
    y += add;
    y = y <= 0 ? (reals)0 : y;
    return y;
}

void map_values(const targets t, const constants k, const ulong at)
{
    FETCH(t.x + at + t.ahead);
    const reals y = normalise(k, load(t.x + at), load(t.add + at));
    stream(y, t.y + at, t.past);
}

void map_some_values(const targets t, const constants k, const ulong at, const int count)
{
    const reals x = load_some(t.x + at, count);
    store_some(normalise(k, x, load_some(t.add + at, count)), t.y + at, count);
}

// How many values come before the first whose place in memory is that of a vector.
ulong map_lead(const targets t, const ulong at)
{
    return -((size_t)(t.y + at) / sizeof(stored)) % LANES;
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

// Moments of each part of each tile: one group a tile and part.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void reduce(
    global const stored *restrict x, const ulong x_offset,
    const ulong rows,
    const ulong rows_step,
    const ulong tile,
    global real *restrict parts, const ulong parts_offset)
{
    const extents e = {
        rows, rows_step,
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
    global real *running_mean, const ulong running_mean_offset,
    global real *running_var, const ulong running_var_offset, const real momentum,
    global const real *scale, const ulong scale_offset,
    global const real *shift, const ulong shift_offset,
    global real *constants, const ulong constants_offset, const real epsilon,
    global const real *parts, const ulong parts_offset, const ulong sets)
{
    const results r = {
        mean + mean_offset, invstd + invstd_offset,
        running_mean + running_mean_offset, running_var + running_var_offset, momentum,
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
    global const stored *add, const ulong add_offset,
    global stored *y, const ulong y_offset,
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
        x + x_offset,
        add + add_offset,
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
    global const stored *add, const ulong add_offset,
    global stored *y, const ulong y_offset,
    global real *mean, const ulong mean_offset,
    global real *invstd, const ulong invstd_offset,
    global real *running_mean, const ulong running_mean_offset,
    global real *running_var, const ulong running_var_offset, const real momentum,
    global const real *scale, const ulong scale_offset,
    global const real *shift, const ulong shift_offset,
    global real *constants, const ulong constants_offset, const real epsilon,
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
    const results r = {
        mean + mean_offset, invstd + invstd_offset,
        running_mean + running_mean_offset, running_var + running_var_offset, momentum,
        scale + scale_offset,
        shift + shift_offset,
        constants + constants_offset, epsilon
    };
    const sources from = {x + x_offset};
    const ulong ahead = tile_distance(e);
    const targets t = {
        x + x_offset,
        add + add_offset,
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
