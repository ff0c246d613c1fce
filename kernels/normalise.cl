
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
} targets;

typedef struct {
    reals mean;
#if !INFER
    reals rest;
#endif
    reals gain;
#if SHIFT
    reals shift;
#endif
} constants;

constants constants_load(const targets t, const ulong channel)
{
    constants k;
#if INFER
    k.mean = channel_load(t.mean, channel);
    k.gain = 1 / sqrt(channel_load(t.var, channel) + t.epsilon);
#if SCALE
    k.gain *= channel_load(t.scale, channel);
#endif
#if SHIFT
    k.shift = channel_load(t.shift, channel);
#endif
#else
    k.mean = channel_load(t.constants, channel);
    k.rest = channel_load(t.constants + CHANNELS, channel);
    k.gain = channel_load(t.constants + 2ul * CHANNELS, channel);
#if SHIFT
    k.shift = channel_load(t.constants + 3ul * CHANNELS, channel);
#endif
#endif
    return k;
}

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
#if SHIFT
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

void map_values(const targets t, const constants k, const ulong at)
{
#if ADD
    store(normalise(k, load(t.x + at), load(t.add + at)), t.y + at);
#else
    store(normalise(k, load(t.x + at)), t.y + at);
#endif
}
#if !SCALAR

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
