
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
#if FETCHES

void fetch_values(const sources from, const ulong at)
{
    FETCH(from.x + at);
}
#endif

values no_values(void)
{
    const values v = {0};
    return v;
}
#if !SCALAR && !GROUP_WALK

values load_some_values(const sources from, const ulong at, const int count)
{
    const values v = {load_some(from.x + at, count)};
    return v;
}
#endif

// A tally before its first value, which must be a value of the channel, or of none if there is
// none.
tally tally_start(const sources from, const ulong channel, const values first)
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
#if !SCALAR && !GROUP_WALK

void tally_add_some(tally *t, const values v, const mask_lanes kept)
{
    const reals deviation = kept ? v.x - t->mean : (reals)0;
    t->sum += deviation;
    t->squares += deviation * deviation;
    t->missing += kept ? (reals)0 : (reals)1;
}
#endif

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
#if SCALAR

// The moments of a closed tally.
record tally_total(const tally *t)
{
    const real m2 = t->m2 + t->m2_rest;
    record r = {t->count, t->mean + t->rest, 0, m2 < 0 ? 0 : m2};
    r.rest = lost(t->mean, t->rest, r.mean);
    return r;
}
#elif CHANNELS_FIRST

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
#elif NARROW

// The moments of one lane of a closed tally.
record tally_lane(const tally *t, const int lane)
{
    real counts[LANES], means[LANES], rests[LANES], m2s[LANES];
    *(loose_reals *)counts = t->count;
    *(loose_reals *)means = t->mean;
    *(loose_reals *)rests = t->rest;
    *(loose_reals *)m2s = t->m2 + t->m2_rest;
    const real mean = means[lane], rest = rests[lane], m2 = m2s[lane];
    record r = {counts[lane], mean + rest, 0, m2 < 0 ? 0 : m2};
    r.rest = lost(mean, rest, r.mean);
    return r;
}
#else

// Stores the moments of a closed tally, whose lanes are the channels from `channel` on.
void tally_store(const tally *t, global real *parts, const ulong set, const ulong channel)
{
    global real *at = parts + set * 4 * CHANNELS + channel;
    const reals mean = t->mean + t->rest, added = mean - t->mean, m2 = t->m2 + t->m2_rest;
    *(global loose_reals *)at = t->count;
    *(global loose_reals *)(at + CHANNELS) = mean;
    *(global loose_reals *)(at + 2ul * CHANNELS) = (t->mean - (mean - added)) + (t->rest - added);
    *(global loose_reals *)(at + 3ul * CHANNELS) = m2 < 0 ? (reals)0 : m2;
}
#endif
#endif
