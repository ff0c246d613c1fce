
// ---- Gradient sums: sum of dy, and dot, the sum of dy * xhat ----

// Sums of WIDE channels, stored as two planes of CHANNELS.
typedef struct {
    wide sum, dot;
} record;

record record_none(void)
{
    const record none = {0, 0};
    return none;
}

record record_load(
    global const real *parts, const ulong set, const ulong chan, const int count)
{
    global const real *at = parts + set * 2 * CHANNELS + chan;
    record r;
    r.sum = wide_load(at, count);
    r.dot = wide_load(at + CHANNELS, count);
    return r;
}

void record_store(
    const record r, global real *parts, const ulong set, const ulong chan, const int count)
{
    global real *at = parts + set * 2 * CHANNELS + chan;
    wide_store(r.sum, at, count);
    wide_store(r.dot, at + CHANNELS, count);
}

record record_merge(const record a, const record b)
{
    const record both = {a.sum + b.sum, a.dot + b.dot};
    return both;
}
#if SUBGROUP && REDUCE

// That of the item `distance` away.
record record_shuffle(const record r, const uint distance)
{
    record other;
    other.sum = sub_group_shuffle_xor(r.sum, distance);
    other.dot = sub_group_shuffle_xor(r.dot, distance);
    return other;
}
#endif
#if COLLECTIVE && REDUCE

// The sums of all items of a group.
record record_collect(const record r)
{
    const record all = {work_group_reduce_add(r.sum), work_group_reduce_add(r.dot)};
    return all;
}
#endif
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
#if GHOST && FUSED

// Those of the next sub-batch.
void sources_next(sources *from, const ulong distance)
{
    from->dy += distance;
    from->x += distance;
    from->mean += CHANNELS;
    from->invstd += CHANNELS;
#if RELU
    from->y += distance;
#endif
}
#endif

typedef struct {
    reals dy;
#if DOT
    reals x;
#endif
} values;

// What each lane has seen: an open block, and the sums of the blocks before it as pairs.
typedef struct {
    reals open_sum;
#if DOT
    reals open_dot, mean;
#endif
    reals sum, sum_rest;
#if DOT
    reals dot, dot_rest, invstd;
#endif
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
#if FETCHES

void fetch_values(const sources from, const ulong at)
{
    FETCH(from.dy + at);
#if DOT
    FETCH(from.x + at);
#endif
}
#endif

values no_values(void)
{
    values v;
    v.dy = 0;
#if DOT
    v.x = 0;
#endif
    return v;
}
#if PIPELINE && CHANNELS_FIRST && !SCALAR

// These sums need not know the first value.
values load_first(const sources from, const ulong at)
{
    return no_values();
}
#endif
#if !SCALAR && !GROUP_WALK && !PIPELINE

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

// A tally before its first value; these sums need not know it.
tally tally_start(const sources from, const ulong chan, const values first)
{
    tally t;
    t.open_sum = t.sum = t.sum_rest = 0;
#if DOT
    t.mean = channel_load(from.mean, chan);
    t.invstd = channel_load(from.invstd, chan);
    t.open_dot = t.dot = t.dot_rest = 0;
#endif
    return t;
}

void tally_add(tally *t, const values v)
{
    t->open_sum += v.dy;
#if DOT
    t->open_dot += v.dy * (v.x - t->mean);
#endif
}
#if !SCALAR && !GROUP_WALK

void tally_add_some(tally *t, const values v, const mask_lanes kept)
{
    t->open_sum += kept ? v.dy : (reals)0;
#if DOT
    t->open_dot += kept ? v.dy * (v.x - t->mean) : (reals)0;
#endif
}
#endif

// Adds the open block, after `open` adds, to the sums.
void tally_close(tally *t, const uint open)
{
    pair_add(&t->sum, &t->sum_rest, t->open_sum);
    t->open_sum = 0;
#if DOT
    pair_add(&t->dot, &t->dot_rest, t->open_dot);
    t->open_dot = 0;
#endif
}

// The sums of a closed tally: of each lane where lanes are channels, otherwise of all.
record tally_total(const tally *t)
{
    const reals sum = t->sum + t->sum_rest;
#if DOT
    const reals dot = (t->dot + t->dot_rest) * t->invstd;
#else
    const reals dot = 0;
#endif
#if SCALAR || (!CHANNELS_FIRST && !NARROW)
    const record r = {sum, dot};
#else
    const record r = {sum_lanes(sum), sum_lanes(dot)};
#endif
    return r;
}
#if NARROW

// The lanes that are a channel's of closed tallies side by side, as one tally.
tally tally_gather(const tally *t, const uint chan)
{
    real sum[LANES], sum_rest[LANES];
#if DOT
    real dot[LANES], dot_rest[LANES], invstd[LANES];
#endif
    for (uint i = 0; i < LANES; i++) {
        const uint column = i * ROW + chan, lane = column % LANES;
        const tally *from = t + column / LANES;
        sum[i] = ((const real *)&from->sum)[lane];
        sum_rest[i] = ((const real *)&from->sum_rest)[lane];
#if DOT
        dot[i] = ((const real *)&from->dot)[lane];
        dot_rest[i] = ((const real *)&from->dot_rest)[lane];
        invstd[i] = ((const real *)&from->invstd)[lane];
#endif
    }
    tally one;
    one.sum = *(const loose_reals *)sum;
    one.sum_rest = *(const loose_reals *)sum_rest;
#if DOT
    one.dot = *(const loose_reals *)dot;
    one.dot_rest = *(const loose_reals *)dot_rest;
    one.invstd = *(const loose_reals *)invstd;
#endif
    return one;
}
#endif
#endif
