
// ---- Input gradient: dx = gain * (dy - mean_dy - (x - mean) * slope), gain = invstd * scale ----

typedef struct {
    global const stored *dy;
#if !FROZEN
    global const stored *x;
#endif
#if RELU
    global const stored *y;
#endif
    global stored *dx;
#if ADD
    global stored *dadd;
#endif
    global const real *constants;
} targets;

typedef struct {
    reals gain;
#if !FROZEN
    reals mean, mean_dy, slope;
#endif
} constants;

constants constants_load(const targets t, const ulong channel)
{
    constants k;
    k.gain = channel_load(t.constants, channel);
#if !FROZEN
    k.mean = channel_load(t.constants + CHANNELS, channel);
    k.mean_dy = channel_load(t.constants + 2ul * CHANNELS, channel);
    k.slope = channel_load(t.constants + 3ul * CHANNELS, channel);
#endif
    return k;
}

void map_values(const targets t, const constants k, const ulong at)
{
    reals dy = load(t.dy + at);
#if RELU
    dy = load(t.y + at) <= 0 ? (reals)0 : dy;
#endif
#if FROZEN
    const reals dx = k.gain * dy;
#else
    const reals dx = k.gain * ((dy - k.mean_dy) - (load(t.x + at) - k.mean) * k.slope);
#endif
    store(dx, t.dx + at);
#if ADD
    store(dy, t.dadd + at);
#endif
}
#if !SCALAR

void map_some_values(const targets t, const constants k, const ulong at, const int count)
{
    reals dy = load_some(t.dy + at, count);
#if RELU
    dy = load_some(t.y + at, count) <= 0 ? (reals)0 : dy;
#endif
#if FROZEN
    const reals dx = k.gain * dy;
#else
    const reals dx = k.gain * ((dy - k.mean_dy) - (load_some(t.x + at, count) - k.mean) * k.slope);
#endif
    store_some(dx, t.dx + at, count);
#if ADD
    store_some(dy, t.dadd + at, count);
#endif
}
#endif
