
// ---- Moments: count, mean and m2, the sum of squared deviations from the mean ----

// One channel's moments, stored as four planes of CHANNELS. The mean is the pair mean + rest.
typedef struct {
    real count, mean, rest, m2;
} record;

record record_none(void)
{
    const record none = {0, 0, 0, 0};
    return none;
}

record record_load(global const real *parts, const ulong set, const ulong channel)
{
    global const real *at = parts + set * 4 * CHANNELS + channel;
    const record r = {at[0], at[CHANNELS], at[2ul * CHANNELS], at[3ul * CHANNELS]};
    return r;
}

void record_store(const record r, global real *parts, const ulong set, const ulong channel)
{
    global real *at = parts + set * 4 * CHANNELS + channel;
    at[0] = r.count;
    at[CHANNELS] = r.mean;
    at[2ul * CHANNELS] = r.rest;
    at[3ul * CHANNELS] = r.m2;
}

// Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
// variances" (1979), eq. 2.1.
record record_merge(const record a, const record b)
{
    if (b.count == 0)
        return a;
    if (a.count == 0)
        return b;
    record both;
    both.count = a.count + b.count;
    const real delta = (b.mean - a.mean) + (b.rest - a.rest);
    const real step = delta * (b.count / both.count);
    both.mean = a.mean + step;
    both.rest = a.rest + lost(a.mean, step, both.mean);
    both.m2 = a.m2 + (b.m2 + delta * (step * a.count));
    return both;
}
#if REDUCE

typedef struct {
    global const stored *x;
} sources;

typedef struct {
    reals x;
} values;

// What each lane has seen: the moments of the blocks before, and an open block, summed as
// deviations from their mean.
typedef struct {
    reals mean, rest, m2, m2_rest;
    ulong count;
    reals sum, squares;
    uint left; // values until the block is full
} tally;

// The first block has only the first value for a mean. That may be an outlier, whose
// cancellation costs as many times the rounding error as the block has values: so it is short.
// Later blocks have the mean of all before, whose distance from theirs is part of the m2 sought,
// so that nothing can cancel.
uint block_size(const tally *t)
{
    return t->count == 0 ? FIRST_BLOCK : BLOCK;
}

values load_values(const sources from, const ulong at)
{
    const values v = {load(from.x + at)};
    return v;
}
#if !SCALAR

values load_some_values(const sources from, const ulong at, const int count)
{
    const values v = {load_some(from.x + at, count)};
    return v;
}
#endif

tally tally_start(const sources from, const ulong channel)
{
    const tally t = {0, 0, 0, 0, 0, 0, 0, FIRST_BLOCK};
    return t;
}

// Merges the open block into the lanes' moments, by the formula of record_merge.
void tally_close(tally *t)
{
    const uint open = block_size(t) - t->left;
    if (open == 0)
        return;
    const real n = open, before = t->count;
    const reals shift = t->sum / n;
    const reals delta = shift - t->rest;
    const reals step = delta * (n / (before + n));
    pair_add(&t->m2, &t->m2_rest, (t->squares - t->sum * shift) + delta * (step * before));
    pair_add(&t->mean, &t->rest, step);
    t->count += open;
    t->sum = 0;
    t->squares = 0;
    t->left = BLOCK;
}

void tally_add(tally *t, const values v)
{
    if (t->count == 0 && t->left == FIRST_BLOCK)
        t->mean = v.x;
    const reals deviation = v.x - t->mean;
    t->sum += deviation;
    t->squares += deviation * deviation;
    if (--t->left == 0)
        tally_close(t);
}

// The moments of one lane of a closed tally.
record tally_lane(const tally *t, const int lane)
{
#if SCALAR
    const real mean = t->mean, rest = t->rest, m2 = t->m2 + t->m2_rest;
#else
    real means[LANES], rests[LANES], m2s[LANES];
    vstore_reals(t->mean, 0, means);
    vstore_reals(t->rest, 0, rests);
    vstore_reals(t->m2 + t->m2_rest, 0, m2s);
    const real mean = means[lane], rest = rests[lane], m2 = m2s[lane];
#endif
    record r = {t->count, mean + rest, 0, m2 < 0 ? 0 : m2};
    r.rest = lost(mean, rest, r.mean);
    return r;
}
#endif
