// clnorm 0.1.0
// forward nchw f32 ?x64x? +scale +shift
// fpga: walk=pipeline lanes=8 group=1 tile=64 block=64 parts=1 resident=always stream=0 fetch=0 baked=0

#define CHANNELS 64
#define LANES 8
#define GROUP 1
#define WIDE 8
#define TILE 64
#define TABLE 64
#define DEPTH 16
#define SLOTS 16
#define BLOCK 64
#define FIRST_BLOCK 4
#define real float
#define reals float8
#define wide float8
#define stored float
#define stored_lanes float8
#define vstore_lanes vstore8
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
    return bits;
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
    ulong batch, spatial;
    ulong tile; // the one at work
} extents;

// The tensor's channels.
ulong channels_of(const extents e)
{
    return CHANNELS;
}

ulong tiles_of(const extents e)
{
    return (channels_of(e) + TILE - 1) / TILE;
}

ulong tile_first(const extents e)
{
    return e.tile * TILE;
}

ulong tile_last(const extents e)
{
    return min(tile_first(e) + TILE, channels_of(e));
}

// A parameter of the channel, the same in each lane.
reals channel_load(global const real *parameter, const ulong chan)
{
    return (reals)(parameter[chan]);
}

reals lanes_of(const real *one)
{
    return (reals)(*one);
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

// The value at a place, in each lane.
values load_first(const sources from, const ulong at)
{
    const values v = {(reals)load_one(from.x + at)};
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
    global real *mean, *invstd;
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

constants table_get(const table *of, const uint i)
{
    constants k;
    k.mean = lanes_of(of->mean + i);
    k.rest = lanes_of(of->rest + i);
    k.gain = lanes_of(of->gain + i);
    k.shift = lanes_of(of->shift + i);
    return k;
}

constants constants_choose(const mask_lanes which, const constants a, const constants b)
{
    constants k;
    k.mean = which ? a.mean : b.mean;
    k.rest = which ? a.rest : b.rest;
    k.gain = which ? a.gain : b.gain;
    k.shift = which ? a.shift : b.shift;
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

// Where a channel is being read: a row of it, and which of the vectors that have values of the row.
typedef struct {
    ulong row, column;
} place;

place place_next(const place p, const ulong columns, const extents e)
{
    const place right = {p.row, p.column + 1}, below = {p.row + channels_of(e) * e.spatial, 0};
    return p.column + 1 < columns ? right : below;
}

// Vectors lie as the tensor is cut into them, whatever its rows are: so many have values of a row
// at most.
ulong columns_of(const ulong length)
{
    return length % LANES == 0 ? length / LANES : (length + LANES - 2) / LANES + 1;
}

// Adds the values of the row in one vector. The tensor's last vector ends with it.
void add_vector(tally *t, const sources from, const place p, const extents e)
{
    const ulong at = p.row / LANES * LANES + p.column * LANES;
    const ulong start = min(at, e.batch * channels_of(e) * e.spatial - LANES);
    const int first = max(at, p.row) - start, last = min(at + LANES, p.row + e.spatial) - start;
    tally_add_some(t, load_values(from, start), lanes_from(first) && lanes_below(last));
}

// Values of the channel that a tally starts from: the vector's, moved into its row; in rows too
// short for one, their first.
values first_values(const sources from, const place p, const extents e)
{
    if (e.spatial < LANES)
        return load_first(from, p.row);
    const ulong at = p.row / LANES * LANES + p.column * LANES;
    return load_values(from, clamp(at, p.row, p.row + e.spatial - LANES));
}

// Each tally starts from values that it will take: the channel's first may be an outlier, and cost
// all of them what it costs one.
void start_tallies(
    tally *t, const sources from, const ulong chan, const ulong count, const extents e)
{
    const ulong columns = columns_of(e.spatial);
    place p = {chan * e.spatial, 0};
    PIPELINED
    for (uint slot = 0; slot < SLOTS; slot++) {
        t[slot] = tally_start(from, chan, count > 0 ? first_values(from, p, e) : no_values());
        p = slot + 1 < count ? place_next(p, columns, e) : p;
    }
}

// Adds `count` vectors from a place on, each to the tally whose turn it is.
place add_vectors(
    tally *t, const sources from, const place start, const ulong count, const extents e)
{
    const ulong columns = columns_of(e.spatial);
    place p = start;
    APART(DEPTH) PIPELINED
    for (ulong i = 0; i < count; i++) {
        add_vector(&t[i % SLOTS], from, p, e);
        p = place_next(p, columns, e);
    }
    return p;
}

record reduce_channel(const sources from, const ulong chan, const extents e)
{
    const ulong count = e.batch * columns_of(e.spatial);
    place p = {chan * e.spatial, 0};
    tally t[SLOTS];
    start_tallies(t, from, chan, count, e);
    ulong block = FIRST_BLOCK;
    for (ulong done = 0; done < count;) {
        const ulong adds = min(block * SLOTS, count - done);
        p = add_vectors(t, from, p, adds, e);
        tallies_close(t, adds);
        done += adds;
        block = BLOCK;
    }
    return tallies_fold(t);
}

void reduce_tile(const sources from, global real *parts, const extents e)
{
    const ulong last = tile_last(e);
    for (ulong chan = tile_first(e); chan < last; chan++)
        record_store(reduce_channel(from, chan, e), parts, 0, chan, 1);
}

// Maps `width` rows of `length` values that follow each other from `start` on. A vector that holds
// the end of a row also holds the start of the next.
void map_rows(
    const targets t, const table *of, const ulong start, const uint width, const ulong length)
{
    const ulong vectors = width * length / LANES;
    ulong at = start, end = start + length;
    uint row = 0;
    INDEPENDENT PIPELINED
    for (ulong i = 0; i < vectors; i++) {
        const int left = min(end - at, (ulong)LANES);
        const uint next = min(row + 1, width - 1);
        map_values(
            t, constants_choose(lanes_below(left), table_get(of, row), table_get(of, next)), at);
        at += LANES;
        row += at >= end;
        end += at >= end ? length : 0;
    }
    const int rest = start + width * length - at;
    if (rest > 0)
        map_some_values(t, table_get(of, width - 1), at, rest);
}

void map_tile(const targets t, const extents e)
{
    const ulong first = tile_first(e);
    const uint width = tile_last(e) - first;
    ulong at = first * e.spatial;
    table of;
    for (uint i = 0; i < width; i += WIDE)
        table_set(&of, i, factors_of(t, first + i, min(width - i, (uint)WIDE)));
    for (ulong n = 0; n < e.batch; n++, at += channels_of(e) * e.spatial) {
        if (e.spatial < LANES) { // a vector would hold more than two rows
            for (uint i = 0; i < width; i++)
                map_some_values(t, table_get(&of, i), at + i * e.spatial, e.spatial);
            continue;
        }
        map_rows(t, &of, at, width, e.spatial);
    }
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
    global const real *scale, const ulong scale_offset,
    global const real *shift, const ulong shift_offset,
    global real *constants, const ulong constants_offset, const real epsilon,
    const ulong batch, const ulong spatial,
    global real *parts, const ulong parts_offset)
{
    extents e = {batch, spatial, 0};
    const results r = {
        mean + mean_offset, invstd + invstd_offset,
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
