
// ---- Moments: count, mean and m2, the sum of squared deviations from the mean ----

// Moments of WIDE channels, stored as four planes of CHANNELS. The mean is the pair mean + rest.
typedef struct {
    wide count, mean, rest, m2;
} record;

record record_none(void)
{
    const record none = {0, 0, 0, 0};
    return none;
}

record record_load(
    global const real *parts, const ulong set, const ulong chan, const int count)
{
    global const real *at = parts + set * 4 * CHANNELS + chan;
    record r;
    r.count = wide_load(at, count);
    r.mean = wide_load(at + CHANNELS, count);
    r.rest = wide_load(at + 2ul * CHANNELS, count);
    r.m2 = wide_load(at + 3ul * CHANNELS, count);
    return r;
}

void record_store(
    const record r, global real *parts, const ulong set, const ulong chan, const int count)
{
    global real *at = parts + set * 4 * CHANNELS + chan;
    wide_store(r.count, at, count);
    wide_store(r.mean, at + CHANNELS, count);
    wide_store(r.rest, at + 2ul * CHANNELS, count);
    wide_store(r.m2, at + 3ul * CHANNELS, count);
}

// Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
// variances" (1979), eq. 2.1. What has no values changes nothing, whatever its mean is.
record record_merge(const record a, const record b)
{
    record both;
    both.count = a.count + b.count;
    const wide delta = (b.mean - a.mean) + (b.rest - a.rest);
    const wide step = delta * (b.count / both.count);
    const wide mean = a.mean + step;
    both.mean = b.count == 0 ? a.mean : a.count == 0 ? b.mean : mean;
    both.rest = b.count == 0   ? a.rest
                : a.count == 0 ? b.rest
                               : a.rest + lost(a.mean, step, mean);
    both.m2 = b.count == 0   ? a.m2
              : a.count == 0 ? b.m2
                             : a.m2 + (b.m2 + delta * (step * a.count));
    return both;
}
#if SUBGROUP && REDUCE

// That of the item `distance` away.
record record_shuffle(const record r, const uint distance)
{
    record other;
    other.count = sub_group_shuffle_xor(r.count, distance);
    other.mean = sub_group_shuffle_xor(r.mean, distance);
    other.rest = sub_group_shuffle_xor(r.rest, distance);
    other.m2 = sub_group_shuffle_xor(r.m2, distance);
    return other;
}
#endif
#if COLLECTIVE && REDUCE

// The moments of all items of a group: their means as distances from that of the first, which at
// least began with a value if any item has one.
record record_collect(const record r)
{
    const wide base = work_group_broadcast(r.mean, 0), count = work_group_reduce_add(r.count);
    const wide distance = (r.mean - base) + r.rest;
    const wide moment = r.count > 0 ? r.count * distance : 0;
    const wide step = work_group_reduce_add(moment) / max(count, (wide)1);
    const wide off = r.count > 0 ? distance - step : 0;
    record all = {count, base + step, 0, work_group_reduce_add(r.m2 + r.count * (off * off))};
    all.rest = lost(base, step, all.mean);
    return all;
}
#endif
#if REDUCE

typedef struct {
    global const stored *x;
} sources;
#if GHOST && FUSED

// Those of the next sub-batch.
void sources_next(sources *from, const ulong distance)
{
    from->x += distance;
}
#endif

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
#if PIPELINE && CHANNELS_FIRST && !SCALAR

// The value at a place, in each lane.
values load_first(const sources from, const ulong at)
{
    const values v = {(reals)load_one(from.x + at)};
    return v;
}
#endif
#if !SCALAR && !GROUP_WALK && !PIPELINE

values load_some_values(const sources from, const ulong at, const int count)
{
    const values v = {load_some(from.x + at, count)};
    return v;
}
#endif

// A tally before its first value, which must be a value of the channel, or of none if there is
// none.
tally tally_start(const sources from, const ulong chan, const values first)
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
#if SCALAR || (!CHANNELS_FIRST && !NARROW)

// The moments of a closed tally, whose lanes are channels.
record tally_total(const tally *t)
{
    const reals m2 = t->m2 + t->m2_rest;
    record r = {t->count, t->mean + t->rest, 0, m2 < 0 ? (reals)0 : m2};
    r.rest = lost(t->mean, t->rest, r.mean);
    return r;
}
#else

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
#endif
#if NARROW

// The lanes that are a channel's of closed tallies side by side, as one tally.
tally tally_gather(const tally *t, const uint chan)
{
    real mean[LANES], rest[LANES], m2[LANES], m2_rest[LANES], count[LANES];
    for (uint i = 0; i < LANES; i++) {
        const uint column = i * ROW + chan, lane = column % LANES;
        const tally *from = t + column / LANES;
        mean[i] = ((const real *)&from->mean)[lane];
        rest[i] = ((const real *)&from->rest)[lane];
        m2[i] = ((const real *)&from->m2)[lane];
        m2_rest[i] = ((const real *)&from->m2_rest)[lane];
        count[i] = ((const real *)&from->count)[lane];
    }
    tally one;
    one.mean = *(const loose_reals *)mean;
    one.rest = *(const loose_reals *)rest;
    one.m2 = *(const loose_reals *)m2;
    one.m2_rest = *(const loose_reals *)m2_rest;
    one.count = *(const loose_reals *)count;
    return one;
}
#endif
#endif
