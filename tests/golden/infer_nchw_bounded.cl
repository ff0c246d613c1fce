// clnorm 0.1.0
// infer nchw f16 ?x256x? +scale +shift
// fpga: walk=pipeline lanes=8 group=1 tile=64 block=64 parts=1 resident=always stream=0 fetch=0 baked=0 bound=256

#define CHANNELS 256
#define LANES 8
#define GROUP 1
#define WIDE 8
#define TILE 64
#define TABLE 64
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
    return vload_half_lanes(0, (const half *)&bits);
}

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

mask_lanes lanes_below(const int count)
{
    return LANE_NUMBERS < count;
}

// ---- Channels first: a tile is some channels, its parts are boxes of batch x spatial ----

typedef struct {
    ulong batch, spatial;
    ulong channels;
    ulong tile; // the one at work
} extents;

// The tensor's channels: CHANNELS is their bound.
ulong channels_of(const extents e)
{
    return e.channels;
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

reals lanes_of(const real *one)
{
    return (reals)(*one);
}

// ---- Normalise: y = (x - mean) * gain + shift, where gain = invstd * scale ----

typedef struct {
    global const stored *x;
    global stored *y;
    global const real *mean, *var;
    global const real *scale;
    global const real *shift;
    real epsilon;
} targets;

// What the values of WIDE channels need.
typedef struct {
    wide mean;
    wide gain;
    wide shift;
} factors;

factors factors_of(const targets t, const ulong chan, const int count)
{
    factors k;
    k.mean = wide_load(t.mean + chan, count);
    k.gain = 1 / sqrt(wide_load(t.var + chan, count) + t.epsilon);
    k.gain *= wide_load(t.scale + chan, count);
    k.shift = wide_load(t.shift + chan, count);
    return k;
}

// The same in each lane, or those of channels side by side.
typedef struct {
    reals mean;
    reals gain;
    reals shift;
} constants;

// Those of a tile's channels.
typedef struct __attribute__((aligned(sizeof(reals)))) {
    real mean[TABLE];
    real gain[TABLE];
    real shift[TABLE];
} table;

void table_set(table *of, const uint i, const factors some)
{
    *(loose_reals *)(of->mean + i) = some.mean;
    *(loose_reals *)(of->gain + i) = some.gain;
    *(loose_reals *)(of->shift + i) = some.shift;
}

constants table_get(const table *of, const uint i)
{
    constants k;
    k.mean = lanes_of(of->mean + i);
    k.gain = lanes_of(of->gain + i);
    k.shift = lanes_of(of->shift + i);
    return k;
}

constants constants_choose(const mask_lanes which, const constants a, const constants b)
{
    constants k;
    k.mean = which ? a.mean : b.mean;
    k.gain = which ? a.gain : b.gain;
    k.shift = which ? a.shift : b.shift;
    return k;
}

reals normalise(const constants k, const reals x)
{
    reals y = (x - k.mean) * k.gain;
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

// ---- Kernel. Every buffer comes with an offset in elements; the local size is fixed ----

// One group a tile and part.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) SINGLE
void map(
    global const stored *x, const ulong x_offset,
    global stored *y, const ulong y_offset,
    global const real *mean, const ulong mean_offset,
    global const real *var, const ulong var_offset,
    global const real *scale, const ulong scale_offset,
    global const real *shift, const ulong shift_offset,
    const ulong channels,
    const ulong batch, const ulong spatial,
    const real epsilon)
{
    extents e = {batch, spatial, channels, 0};
    const targets t = {
        x + x_offset,
        y + y_offset, mean + mean_offset, var + var_offset,
        scale + scale_offset,
        shift + shift_offset,
        epsilon,
    };
    for (e.tile = 0; e.tile < tiles_of(e); e.tile++)
        map_tile(t, e);
}
