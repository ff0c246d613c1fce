
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
#if STREAMS
    ulong past; // 1: dx and dadd are stored past the caches
#endif
#if FETCHES
    ulong ahead; // how far ahead of use values are asked for
#endif
} targets;
#if GHOST && FUSED

// Those of the next sub-batch.
void targets_next(targets *t, const ulong distance)
{
    t->dy += distance;
    t->x += distance;
#if RELU
    t->y += distance;
#endif
    t->dx += distance;
#if ADD
    t->dadd += distance;
#endif
    t->constants += 4ul * CHANNELS;
}
#endif

// What the values of WIDE channels need.
typedef struct {
    wide gain;
#if !FROZEN
    wide mean, mean_dy, slope;
#endif
} factors;

factors factors_of(const targets t, const ulong chan, const int count)
{
    global const real *at = t.constants + chan;
    factors k;
    k.gain = wide_load(at, count);
#if !FROZEN
    k.mean = wide_load(at + CHANNELS, count);
    k.mean_dy = wide_load(at + 2ul * CHANNELS, count);
    k.slope = wide_load(at + 3ul * CHANNELS, count);
#endif
    return k;
}

// The same in each lane, or those of channels side by side.
typedef struct {
    reals gain;
#if !FROZEN
    reals mean, mean_dy, slope;
#endif
} constants;
#if GROUP_WALK

constants constants_load(const targets t, const ulong chan)
{
    const factors one = factors_of(t, chan, 1);
    constants k;
    k.gain = one.gain;
#if !FROZEN
    k.mean = one.mean;
    k.mean_dy = one.mean_dy;
    k.slope = one.slope;
#endif
    return k;
}
#else

// Those of a tile's channels.
typedef struct __attribute__((aligned(sizeof(reals)))) {
    real gain[TABLE];
#if !FROZEN
    real mean[TABLE], mean_dy[TABLE], slope[TABLE];
#endif
} table;

void table_set(table *of, const uint i, const factors some)
{
    *(loose_reals *)(of->gain + i) = some.gain;
#if !FROZEN
    *(loose_reals *)(of->mean + i) = some.mean;
    *(loose_reals *)(of->mean_dy + i) = some.mean_dy;
    *(loose_reals *)(of->slope + i) = some.slope;
#endif
}
#if !CHANNELS_FIRST

void table_repeat(table *of, const uint i, const uint from)
{
    of->gain[i] = of->gain[from];
#if !FROZEN
    of->mean[i] = of->mean[from];
    of->mean_dy[i] = of->mean_dy[from];
    of->slope[i] = of->slope[from];
#endif
}
#endif

constants table_get(const table *of, const uint i)
{
    constants k;
    k.gain = lanes_of(of->gain + i);
#if !FROZEN
    k.mean = lanes_of(of->mean + i);
    k.mean_dy = lanes_of(of->mean_dy + i);
    k.slope = lanes_of(of->slope + i);
#endif
    return k;
}
#if CHANNELS_FIRST && !SCALAR

constants constants_choose(const mask_lanes which, const constants a, const constants b)
{
    constants k;
    k.gain = which ? a.gain : b.gain;
#if !FROZEN
    k.mean = which ? a.mean : b.mean;
    k.mean_dy = which ? a.mean_dy : b.mean_dy;
    k.slope = which ? a.slope : b.slope;
#endif
    return k;
}
#endif
#endif

#if FROZEN
reals gradient(const constants k, const reals dy)
{
    return k.gain * dy;
}
#else
reals gradient(const constants k, const reals dy, const reals x)
{
    return k.gain * ((dy - k.mean_dy) - (x - k.mean) * k.slope);
}
#endif

#if LENGTHS
// What is not valid.
void clear_value(const targets t, const ulong at)
{
    t.dx[at] = 0;
#if ADD
    t.dadd[at] = 0;
#endif
}

#endif
void map_values(const targets t, const constants k, const ulong at)
{
#if FETCHES
    FETCH(t.dy + at + t.ahead);
#if !FROZEN
    FETCH(t.x + at + t.ahead);
#endif
#endif
    reals dy = load(t.dy + at);
#if RELU
    dy = load(t.y + at) <= 0 ? (reals)0 : dy;
#endif
#if FROZEN
    const reals dx = gradient(k, dy);
#else
    const reals dx = gradient(k, dy, load(t.x + at));
#endif
#if STREAMS
    stream(dx, t.dx + at, t.past);
#if ADD
    stream(dy, t.dadd + at, t.past);
#endif
#else
    store(dx, t.dx + at);
#if ADD
    store(dy, t.dadd + at);
#endif
#endif
}
#if !SCALAR && !GROUP_WALK

void map_some_values(const targets t, const constants k, const ulong at, const int count)
{
    reals dy = load_some(t.dy + at, count);
#if RELU
    dy = load_some(t.y + at, count) <= 0 ? (reals)0 : dy;
#endif
#if FROZEN
    store_some(gradient(k, dy), t.dx + at, count);
#else
    store_some(gradient(k, dy, load_some(t.x + at, count)), t.dx + at, count);
#endif
#if ADD
    store_some(dy, t.dadd + at, count);
#endif
}
#endif
#if !SCALAR && !GROUP_WALK && !PIPELINE

// How many values come before the first whose place in memory is that of a vector.
ulong map_lead(const targets t, const ulong at)
{
    return -((size_t)(t.dx + at) / sizeof(stored)) % LANES;
}
#endif
