// clnorm 0.1.0
// forward nhwc bf16 ?x20x? +scale +shift +running +biased
// fpga: walk=pipeline lanes=8 group=1 tile=64 block=64 parts=1 resident=always stream=0 fetch=0 baked=0

#define CHANNELS 20
#define LANES 8
#define GROUP 1
#define WIDE 8
#define TILE 64
#define TALLIES 3
#define TABLE 32
#define DEPTH 16
#define SLOTS 8
#define BLOCK 64
#define FIRST_BLOCK 4
#define real float
#define reals float8
#define wide float8
#define stored ushort
#define stored_lanes ushort8
#define vstore_lanes vstore8
#define as_reals as_float8
#define as_bits as_uint8
#define bits_of_reals uint8
#define convert_bits convert_uint8
#define convert_stored convert_ushort8
#define mask_lanes int8
#define LANE_NUMBERS ((int8)(0, 1, 2, 3, 4, 5, 6, 7))

// Rounding happens where it is written: sums that keep what they lose must not be rearranged or
// fused.
#pragma OPENCL FP_CONTRACT OFF

// ---- Hints: what compilers for FPGAs are told, in the words of each; others need no words ----

// Intel's emulator has channels, but does not say INTELFPGA_CL.
# if defined(INTELFPGA_CL) || defined(cl_intel_channels)
# define PRAGMA(text) _Pragma(#text)
# define SINGLE __attribute__((max_global_work_dim(0), uses_global_work_offset(0)))
// A value is taken on every cycle.
# define PIPELINED PRAGMA(ii 1)
// Nothing is read that one of the last `distance` iterations wrote.
# define APART(distance) PRAGMA(ivdep safelen(distance))
// No iteration reads what another wrote.
# define INDEPENDENT PRAGMA(ivdep)
# elif defined(__xilinx__)
# define SINGLE
# define PIPELINED __attribute__((xcl_pipeline_loop(1)))
# define APART(distance)
# define INDEPENDENT
# else
# define SINGLE
# define PIPELINED
# define APART(distance)
# define INDEPENDENT
# endif

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
    return as_reals(convert_bits(bits) << 16); // a bfloat16 is the upper half of a float
}

// The first `count` lanes; the others are zero.
reals load_some(global const stored *from, const int count)
{
    real lane[LANES];
    for (int i = 0; i < LANES; i++)
        lane[i] = i < count ? as_float((uint)from[i] << 16) : 0;
    return *(const loose_reals *)lane;
}

stored_lanes pack(const reals value)
{
    // Rounding is to nearest even; NaN stays NaN.
    const bits_of_reals bits = as_bits(value);
    const bits_of_reals rounded = bits + 0x7fff + ((bits >> 16) & 1);
    return convert_stored((isnan(value) ? bits | 0x400000 : rounded) >> 16);
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

mask_lanes lanes_below(const int count)
{
    return LANE_NUMBERS < count;
}

// ---- Channels last: a tile is some channels side by side, its parts are runs of rows ----

typedef struct {
    ulong rows;
    ulong tile; // the one at work
} extents;

// The tensor's channels.
ulong channels_of(const extents e)
{
    return CHANNELS;
}

ulong tiles_of(const extents e)
{
    return (channels_of(e) - LANES) / TILE + 1;
}

ulong tile_first(const extents e)
{
    return e.tile * TILE;
}

// The last tile takes what would not fill a vector of the next.
ulong tile_last(const extents e)
{
    return e.tile + 1 == tiles_of(e) ? channels_of(e) : tile_first(e) + TILE;
}

// A parameter of the channels from `chan` on, one in each lane.
reals channel_load(global const real *parameter, const ulong chan)
{
    return *(global const loose_reals *)(parameter + chan);
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
    const wide kept = var;
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
    global stored *y;
    global const real *constants;
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

reals normalise(const constants k, const reals x)
{
    reals y = ((x - k.mean) - k.rest) * k.gain;
    y += k.shift;
    return y;
}

void map_values(const targets t, const constants k, const ulong at)
{
    const reals y = normalise(k, load(t.x + at));
    store(y, t.y + at);
}

void map_some_values(const targets t, const constants k, const ulong at, const int count)
{
    const reals x = load_some(t.x + at, count);
    store_some(normalise(k, x), t.y + at, count);
}

// ---- Pipeline: tallies take values in turn, so that no add waits for the one before ----

// Merges the open blocks of tallies that took `adds` values in turn.
void tallies_close(tally *t, const ulong adds)
{
    PIPELINED
    for (uint slot = 0; slot < SLOTS; slot++)
        tally_close(&t[slot], adds / SLOTS + (slot < adds % SLOTS));
}

// What closed tallies have together: a tree of fixed shape.
record tallies_fold(const tally *t)
{
    record r[SLOTS];
    PIPELINED
    for (uint slot = 0; slot < SLOTS; slot++)
        r[slot] = tally_total(&t[slot]);
    for (uint distance = SLOTS / 2; distance > 0; distance /= 2) {
        INDEPENDENT PIPELINED
        for (uint slot = 0; slot < distance; slot++)
            r[slot] = record_merge(r[slot], r[slot + distance]);
    }
    return r[0];
}

// Where a tile is being read: a row, and which of its vectors.
typedef struct {
    ulong row;
    uint column;
} place;

place place_next(const place p, const uint columns)
{
    const place right = {p.row, p.column + 1}, below = {p.row + 1, 0};
    return p.column + 1 < columns ? right : below;
}

// The first channel of a tile's column. The last one ends with the tile, and may overlap the one
// before.
ulong column_first(const extents e, const uint column)
{
    const ulong first = tile_first(e);
    return min(first + column * LANES, tile_last(e) - LANES);
}

uint columns_of(const extents e)
{
    return (tile_last(e) - tile_first(e) + LANES - 1) / LANES;
}

// Adds `count` rows of a tile. A column has SLOTS tallies, which take the rows in turn.
void add_rows(
    tally *t, const sources from, const ulong first, const ulong count, const extents e)
{
    const uint columns = columns_of(e);
    const ulong vectors = count * columns;
    place p = {0, 0};
    APART(DEPTH) PIPELINED
    for (ulong i = 0; i < vectors; i++) {
        const ulong at = (first + p.row) * channels_of(e) + column_first(e, p.column);
        tally_add(&t[p.column * SLOTS + p.row % SLOTS], load_values(from, at));
        p = place_next(p, columns);
    }
}

// Each tally starts from values that it will take: the channel's first may be an outlier, and cost
// all of them what it costs one.
void start_tallies(tally *t, const sources from, const extents e)
{
    const uint columns = columns_of(e);
    for (uint i = 0; i < columns; i++) {
        const ulong chan = column_first(e, i);
        PIPELINED
        for (uint slot = 0; slot < SLOTS; slot++) {
            const ulong row = min((ulong)slot, e.rows - 1);
            const values first =
                e.rows > 0 ? load_values(from, row * channels_of(e) + chan) : no_values();
            t[i * SLOTS + slot] = tally_start(from, chan, first);
        }
    }
}

void reduce_tile(const sources from, global real *parts, const extents e)
{
    const uint columns = columns_of(e);
    tally t[TALLIES * SLOTS];
    start_tallies(t, from, e);
    ulong block = FIRST_BLOCK;
    for (ulong row = 0; row < e.rows;) {
        const ulong adds = min(block * SLOTS, e.rows - row);
        add_rows(t, from, row, adds, e);
        for (uint i = 0; i < columns; i++)
            tallies_close(&t[i * SLOTS], adds);
        row += adds;
        block = BLOCK;
    }
    for (uint i = 0; i < columns; i++)
        record_store(tallies_fold(&t[i * SLOTS]), parts, 0, column_first(e, i), LANES);
}

// Maps `length` values from `at` on, the first of which is of the tile's first channel. Vectors go
// through the table's columns in a circle of `width`.
void map_run(
    const targets t, const table *of, ulong at, const ulong length, const uint width)
{
    const ulong vectors = length / LANES;
    uint column = 0;
    INDEPENDENT PIPELINED
    for (ulong i = 0; i < vectors; i++) {
        map_values(t, table_get(of, column), at);
        at += LANES;
        column += LANES;
        column -= column < width ? 0 : width;
    }
    const int rest = length % LANES;
    if (rest > 0)
        map_some_values(t, table_get(of, column), at, rest);
}

// The table has the tile's channels, and the first LANES - 1 once more.
void map_tile(const targets t, const extents e)
{
    const ulong first = tile_first(e);
    const uint width = tile_last(e) - first;
    table of;
    for (uint i = 0; i < width; i += WIDE)
        table_set(&of, i, factors_of(t, first + i, min(width - i, (uint)WIDE)));
    for (uint i = width; i < width + LANES - 1; i++)
        table_repeat(&of, i, i - width);
    const ulong channels = channels_of(e);
    const ulong runs = width == channels ? min(e.rows, 1ul) : e.rows;
    const ulong length = width == channels ? e.rows * channels : width;
    for (ulong i = 0; i < runs; i++)
        map_run(t, &of, i * channels + first, length, width);
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

// All of it in one launch.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) SINGLE
void fused(
    global const stored *x, const ulong x_offset,
    global stored *y, const ulong y_offset,
    global real *mean, const ulong mean_offset,
    global real *invstd, const ulong invstd_offset,
    global real *running_mean, const ulong running_mean_offset,
    global real *running_var, const ulong running_var_offset, const real momentum,
    global const real *scale, const ulong scale_offset,
    global const real *shift, const ulong shift_offset,
    global real *constants, const ulong constants_offset, const real epsilon,
    const ulong rows,
    global real *parts, const ulong parts_offset)
{
    extents e = {rows, 0};
    const results r = {
        mean + mean_offset, invstd + invstd_offset,
        running_mean + running_mean_offset, running_var + running_var_offset, momentum,
        scale + scale_offset,
        shift + shift_offset,
        constants + constants_offset, epsilon
    };
    const sources from = {x + x_offset};
    const targets t = {
        x + x_offset,
        y + y_offset,
        constants + constants_offset,
    };
    for (e.tile = 0; e.tile < tiles_of(e); e.tile++)
        fuse(
            from, parts + parts_offset, r,
            t,
            e);
}
