
// ---- Gradient sums: sum of dy, and dot, the sum of dy * xhat ----

// One channel's sums, stored as two planes of CHANNELS.
typedef struct {
    real sum, dot;
} record;

record record_none(void)
{
    const record none = {0, 0};
    return none;
}

record record_load(global const real *parts, const ulong set, const ulong channel)
{
    global const real *at = parts + set * 2 * CHANNELS + channel;
    const record r = {at[0], at[CHANNELS]};
    return r;
}

void record_store(const record r, global real *parts, const ulong set, const ulong channel)
{
    global real *at = parts + set * 2 * CHANNELS + channel;
    at[0] = r.sum;
    at[CHANNELS] = r.dot;
}

record record_merge(const record a, const record b)
{
    const record both = {a.sum + b.sum, a.dot + b.dot};
    return both;
}
#if REDUCE

typedef struct {
    global const stored *dy;
#if DOT
    global const stored *x;
    global const real *mean, *invstd;
#endif
#if RELU
    global const stored *y;
#endif
} sources;

typedef struct {
    reals dy;
#if DOT
    reals x;
#endif
} values;

// What each lane has seen: an open block, and the sums of the blocks before it as pairs.
typedef struct {
    reals open_sum, sum, sum_rest;
#if DOT
    reals mean, invstd, open_dot, dot, dot_rest;
#endif
    uint open;
} tally;

values load_values(const sources from, const ulong at)
{
    values v;
    v.dy = load(from.dy + at);
#if RELU
    v.dy = load(from.y + at) <= 0 ? (reals)0 : v.dy;
#endif
#if DOT
    v.x = load(from.x + at);
#endif
    return v;
}
#if !SCALAR

values load_some_values(const sources from, const ulong at, const int count)
{
    values v;
    v.dy = load_some(from.dy + at, count);
#if RELU
    v.dy = load_some(from.y + at, count) <= 0 ? (reals)0 : v.dy;
#endif
#if DOT
    v.x = load_some(from.x + at, count);
#endif
    return v;
}
#endif

tally tally_start(const sources from, const ulong channel)
{
    tally t;
    t.open_sum = t.sum = t.sum_rest = 0;
#if DOT
    t.mean = channel_load(from.mean, channel);
    t.invstd = channel_load(from.invstd, channel);
    t.open_dot = t.dot = t.dot_rest = 0;
#endif
    t.open = 0;
    return t;
}

void tally_close(tally *t)
{
    pair_add(&t->sum, &t->sum_rest, t->open_sum);
    t->open_sum = 0;
#if DOT
    pair_add(&t->dot, &t->dot_rest, t->open_dot);
    t->open_dot = 0;
#endif
    t->open = 0;
}

void tally_add(tally *t, const values v)
{
    t->open_sum += v.dy;
#if DOT
    t->open_dot += v.dy * (v.x - t->mean);
#endif
    if (++t->open == BLOCK)
        tally_close(t);
}

// The sums of one lane of a closed tally.
record tally_lane(const tally *t, const int lane)
{
#if SCALAR
    const real sum = t->sum + t->sum_rest;
#if DOT
    const real dot = (t->dot + t->dot_rest) * t->invstd;
#else
    const real dot = 0;
#endif
    const record r = {sum, dot};
#else
    real sums[LANES];
    vstore_reals(t->sum + t->sum_rest, 0, sums);
#if DOT
    real dots[LANES];
    vstore_reals((t->dot + t->dot_rest) * t->invstd, 0, dots);
    const record r = {sums[lane], dots[lane]};
#else
    const record r = {sums[lane], 0};
#endif
#endif
    return r;
}
#endif
