// clnorm 0.1.0
// infer nchw f32 ?x64x? +scale +shift +relu
// cpu: walk=serial lanes=8 group=1 tile=1 block=32 parts=16 resident=1048576 baked=0

#define CHANNELS 64
#define LANES 8
#define GROUP 1
#define real float
#define reals float8
#define stored float
#define vload_reals vload8
#define vstore_reals vstore8
#define vload_stored vload8
#define vstore_stored vstore8

// Rounding happens where it is written: sums that keep what they lose must not be rearranged or
// fused.
#pragma OPENCL FP_CONTRACT OFF

// ---- Storage: tensors hold `stored`, arithmetic is in `real`, and `reals` is LANES of them ----

reals load(global const stored *from)
{
    return vload_stored(0, from);
}

real load_one(global const stored *from)
{
    return *from;
}

void store_one(const real value, global stored *to)
{
    *to = value;
}

void store(const reals value, global stored *to)
{
    vstore_stored(value, 0, to);
}

// The first `count` lanes; the others are zero.
reals load_some(global const stored *from, const int count)
{
    real lane[LANES];
    for (int i = 0; i < LANES; i++)
        lane[i] = i < count ? load_one(from + i) : 0;
    return vload_reals(0, lane);
}

void store_some(const reals value, global stored *to, const int count)
{
    real lane[LANES];
    vstore_reals(value, 0, lane);
    for (int i = 0; i < count; i++)
        store_one(lane[i], to + i);
}

// ---- Channels first: a tile is one channel, its parts are boxes of batch x spatial positions ----

typedef struct {
    ulong batch, spatial, batch_step, spatial_step;
} extents;

// A parameter of the channel, the same in each lane.
reals channel_load(global const real *parameter, const ulong channel)
{
    return (reals)(parameter[channel]);
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

typedef struct {
    reals mean;
    reals gain;
    reals shift;
} constants;

constants constants_load(const targets t, const ulong channel)
{
    constants k;
    k.mean = channel_load(t.mean, channel);
    k.gain = 1 / sqrt(channel_load(t.var, channel) + t.epsilon);
    k.gain *= channel_load(t.scale, channel);
    k.shift = channel_load(t.shift, channel);
    return k;
}

reals normalise(const constants k, const reals x)
{
    reals y = (x - k.mean) * k.gain;
    y += k.shift;
    y = y <= 0 ? (reals)0 : y;
    return y;
}

void map_values(const targets t, const constants k, const ulong at)
{
    store(normalise(k, load(t.x + at)), t.y + at);
}

void map_some_values(const targets t, const constants k, const ulong at, const int count)
{
    const reals x = load_some(t.x + at, count);
    store_some(normalise(k, x), t.y + at, count);
}

void map_tile(const targets t, const extents e)
{
    const ulong channel = get_group_id(0);
    const ulong n_first = get_group_id(1) * e.batch_step;
    const ulong n_last = min(n_first + e.batch_step, e.batch);
    const ulong s_first = get_group_id(2) * e.spatial_step;
    const ulong s_last = min(s_first + e.spatial_step, e.spatial);
    const ulong vectors = (s_last - s_first) / LANES;
    const int rest = (s_last - s_first) % LANES;
    const constants k = constants_load(t, channel);
    for (ulong n = n_first; n < n_last; n++) {
        ulong at = (n * CHANNELS + channel) * e.spatial + s_first;
        for (ulong i = 0; i < vectors; i++, at += LANES)
            map_values(t, k, at);
        if (rest > 0)
            map_some_values(t, k, at, rest);
    }
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
    const ulong batch, const ulong spatial, const ulong batch_step, const ulong spatial_step,
    const real epsilon)
{
    const extents e = {batch, spatial, batch_step, spatial_step};
    const targets t = {
        x + x_offset,
        y + y_offset, mean + mean_offset, var + var_offset,
        scale + scale_offset,
        shift + shift_offset,
        epsilon
    };
    map_tile(t, e);
}
