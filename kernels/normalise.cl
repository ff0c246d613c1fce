
// ---- Normalise: y = (x - mean) * gain + shift, where gain = invstd * scale ----

typedef struct {
    global const stored *x;
#if ADD
    global const stored *add;
#endif
    global stored *y;
#if INFER
    global const real *mean, *var;
#if SCALE
    global const real *scale;
#endif
#if SHIFT
    global const real *shift;
#endif
    real epsilon;
#else
    global const real *constants;
#endif
#if STREAMS
    ulong past; // 1: y is stored past the caches
#endif
#if FETCHES
    ulong ahead; // how far ahead of use values are asked for
#endif
} targets;
#if GHOST && FUSED

// Those of the next sub-batch.
void targets_next(targets *t, const ulong distance)
{
    t->x += distance;
#if ADD
    t->add += distance;
#endif
    t->y += distance;
    t->constants += 4ul * CHANNELS;
}
#endif

// What the values of WIDE channels need.
typedef struct {
    wide mean;
#if !INFER
    wide rest;
#endif
    wide gain;
#if OFFSET
    wide shift;
#endif
} factors;

factors factors_of(const targets t, const ulong chan, const int count)
{
    factors k;
#if INFER
    k.mean = wide_load(t.mean + chan, count);
    k.gain = 1 / sqrt(wide_load(t.var + chan, count) + t.epsilon);
#if SCALE
    k.gain *= wide_load(t.scale + chan, count);
#endif
#if SHIFT
    k.shift = wide_load(t.shift + chan, count);
#endif
#else
    global const real *at = t.constants + chan;
    k.mean = wide_load(at, count);
    k.rest = wide_load(at + CHANNELS, count);
    k.gain = wide_load(at + 2ul * CHANNELS, count);
#if OFFSET
    k.shift = wide_load(at + 3ul * CHANNELS, count);
#endif
#endif
    return k;
}

// The same in each lane, or those of channels side by side.
typedef struct {
    reals mean;
#if !INFER
    reals rest;
#endif
    reals gain;
#if OFFSET
    reals shift;
#endif
} constants;
#if GROUP_WALK

constants constants_load(const targets t, const ulong chan)
{
    const factors one = factors_of(t, chan, 1);
    constants k;
    k.mean = one.mean;
#if !INFER
    k.rest = one.rest;
#endif
    k.gain = one.gain;
#if OFFSET
    k.shift = one.shift;
#endif
    return k;
}
#else

// Those of a tile's channels.
typedef struct __attribute__((aligned(sizeof(reals)))) {
    real mean[TABLE];
#if !INFER
    real rest[TABLE];
#endif
    real gain[TABLE];
#if OFFSET
    real shift[TABLE];
#endif
} table;

void table_set(table *of, const uint i, const factors some)
{
    *(loose_reals *)(of->mean + i) = some.mean;
#if !INFER
    *(loose_reals *)(of->rest + i) = some.rest;
#endif
    *(loose_reals *)(of->gain + i) = some.gain;
#if OFFSET
    *(loose_reals *)(of->shift + i) = some.shift;
#endif
}
#if !CHANNELS_FIRST

void table_repeat(table *of, const uint i, const uint from)
{
    of->mean[i] = of->mean[from];
#if !INFER
    of->rest[i] = of->rest[from];
#endif
    of->gain[i] = of->gain[from];
#if OFFSET
    of->shift[i] = of->shift[from];
#endif
}
#endif

constants table_get(const table *of, const uint i)
{
    constants k;
    k.mean = lanes_of(of->mean + i);
#if !INFER
    k.rest = lanes_of(of->rest + i);
#endif
    k.gain = lanes_of(of->gain + i);
#if OFFSET
    k.shift = lanes_of(of->shift + i);
#endif
    return k;
}
#if CHANNELS_FIRST && !SCALAR

constants constants_choose(const mask_lanes which, const constants a, const constants b)
{
    constants k;
    k.mean = which ? a.mean : b.mean;
#if !INFER
    k.rest = which ? a.rest : b.rest;
#endif
    k.gain = which ? a.gain : b.gain;
#if OFFSET
    k.shift = which ? a.shift : b.shift;
#endif
    return k;
}
#endif
#endif

#if ADD
reals normalise(const constants k, const reals x, const reals add)
#else
reals normalise(const constants k, const reals x)
#endif
{
#if INFER
    reals y = (x - k.mean) * k.gain;
#else
    reals y = ((x - k.mean) - k.rest) * k.gain;
#endif
#if OFFSET
    y += k.shift;
#endif
#if ADD
    y += add;
#endif
#if RELU
    y = y <= 0 ? (reals)0 : y;
#endif
    return y;
}

#if LENGTHS
// What is not valid.
void clear_value(const targets t, const ulong at)
{
    t.y[at] = 0;
}

#endif
void map_values(const targets t, const constants k, const ulong at)
{
#if FETCHES
    FETCH(t.x + at + t.ahead);
#endif
#if ADD
    const reals y = normalise(k, load(t.x + at), load(t.add + at));
#else
    const reals y = normalise(k, load(t.x + at));
#endif
#if STREAMS
    stream(y, t.y + at, t.past);
#else
    store(y, t.y + at);
#endif
}
#if !SCALAR && !GROUP_WALK

void map_some_values(const targets t, const constants k, const ulong at, const int count)
{
    const reals x = load_some(t.x + at, count);
#if ADD
    store_some(normalise(k, x, load_some(t.add + at, count)), t.y + at, count);
#else
    store_some(normalise(k, x), t.y + at, count);
#endif
}
#endif
#if !SCALAR && !GROUP_WALK && !PIPELINE

// How many values come before the first whose place in memory is that of a vector.
ulong map_lead(const targets t, const ulong at)
{
    return -((size_t)(t.y + at) / sizeof(stored)) % LANES;
}
#endif
