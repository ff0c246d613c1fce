// clnorm 0.1.0
// moments nchw f32 ?x64x?
// fpga: walk=pipeline lanes=8 group=1 tile=64 block=64 parts=1 resident=always stream=0 fetch=0 baked=0

#define CHANNELS 64
#define LANES 8
#define GROUP 1
#define WIDE 8
#define TILE 64
#define DEPTH 16
#define SLOTS 16
#define BLOCK 64
#define FIRST_BLOCK 4
#define real float
#define reals float8
#define wide float8
#define stored float
#define stored_lanes float8
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
    global real *moments;
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
    const record kept = {total.count, mean, rest, total.m2};
    record_store(kept, r.moments, 0, chan, count);
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

// One work-item does a tile: its values are read again while they are still near.
void fuse(
    const sources from, global real *parts, const results r,
    const extents e)
{
    reduce_tile(from, parts, e);
    const ulong last = tile_last(e);
    for (ulong chan = tile_first(e); chan < last; chan += WIDE)
        finish_channels(r, parts, 1, chan, min(last - chan, (ulong)WIDE));
}

// ---- Kernels. Every buffer comes with an offset in elements; local sizes are fixed ----

// All of it in one launch.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) SINGLE
void fused(
    global const stored *x, const ulong x_offset,
    global real *moments, const ulong moments_offset,
    const ulong batch, const ulong spatial,
    global real *parts, const ulong parts_offset)
{
    extents e = {batch, spatial, 0};
    const results r = {
        moments + moments_offset
    };
    const sources from = {x + x_offset};
    for (e.tile = 0; e.tile < tiles_of(e); e.tile++)
        fuse(
            from, parts + parts_offset, r,
            e);
}
