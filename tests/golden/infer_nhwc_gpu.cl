// clnorm 0.1.0
// infer nhwc bf16 ?x257x? +scale +shift
// gpu: walk=group lanes=1 group=256 tile=32 block=32 parts=128 resident=131072 stream=0 fetch=0 baked=0

#define CHANNELS 257
#define LANES 1
#define GROUP 256
#define WIDE 1
#define TILE 32
#define real float
#define reals float
#define wide float
#define stored ushort
#define stored_lanes ushort
#define as_reals as_float
#define as_bits as_uint
#define bits_of_reals uint
#define convert_bits convert_uint
#define convert_stored convert_ushort

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
    return as_reals(convert_bits(bits) << 16); // a bfloat16 is the upper half of a float
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

// ---- Channels last: a tile is some channels side by side, its parts are runs of rows ----

typedef struct {
    ulong rows, rows_step;
} extents;

ulong tile_first(const extents e)
{
    return get_group_id(0) * TILE;
}

// The last tile takes what would not fill a vector of the next.
ulong tile_last(const extents e)
{
    return min(tile_first(e) + TILE, (ulong)CHANNELS);
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

constants constants_load(const targets t, const ulong chan)
{
    const factors one = factors_of(t, chan, 1);
    constants k;
    k.mean = one.mean;
    k.gain = one.gain;
    k.shift = one.shift;
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

// A work-group is TILE channels wide and GROUP / TILE rows deep; a work-item keeps to its channel.

void map_tile(const targets t, const extents e)
{
    const uint item = get_local_id(0);
    const ulong chan = tile_first(e) + item % TILE;
    const ulong first = get_group_id(2) * e.rows_step;
    const ulong last = chan < CHANNELS ? min(first + e.rows_step, e.rows) : 0;
    const constants k = constants_load(t, chan);
    for (ulong row = first + item / TILE; row < last; row += GROUP / TILE)
        map_values(t, k, row * CHANNELS + chan);
}

// ---- Kernel. Every buffer comes with an offset in elements; the local size is fixed ----

// One group a tile and part.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void map(
    global const stored *x, const ulong x_offset,
    global stored *y, const ulong y_offset,
    global const real *mean, const ulong mean_offset,
    global const real *var, const ulong var_offset,
    global const real *scale, const ulong scale_offset,
    global const real *shift, const ulong shift_offset,
    const ulong rows,
    const ulong rows_step,
    const real epsilon)
{
    const extents e = {
        rows, rows_step,
    };
    const targets t = {
        x + x_offset,
        y + y_offset, mean + mean_offset, var + var_offset,
        scale + scale_offset,
        shift + shift_offset,
        epsilon,
    };
    map_tile(t, e);
}
