// clnorm 0.1.0
// merge nchw f32 ?x64x?
// cpu: walk=serial lanes=8 group=1 tile=1024 block=128 parts=16 resident=1048576 stream=33554432 fetch=1 baked=0

#define CHANNELS 64
#define FINISH_GROUP 1
#define WIDE 8
#define real float
#define reals float8
#define wide float8
#define stored float

// Rounding happens where it is written: sums that keep what they lose must not be rearranged or
// fused.
#pragma OPENCL FP_CONTRACT OFF

// Vectors that may stand wherever an element may.
typedef reals loose_reals __attribute__((aligned(sizeof(real))));

// ---- Parameters: `wide` holds those of WIDE channels side by side, or of the last `count` ----

wide wide_load(global const real *from, const int count)
{
    if (count == WIDE)
        return *(global const loose_reals *)from;
    real lane[WIDE];
    for (int i = 0; i < WIDE; i++)
        lane[i] = i < count ? from[i] : 0;
    return *(const loose_reals *)lane;
}

void wide_store(const wide value, global real *to, const int count)
{
    if (count == WIDE) {
        *(global loose_reals *)to = value;
        return;
    }
    real lane[WIDE];
    *(loose_reals *)lane = value;
    for (int i = 0; i < count; i++)
        to[i] = lane[i];
}

// ---- Pairs: a number as the nearest real and the rest it lacks ----

// What a + b lost when it was rounded to sum, exactly (Knuth, The Art of Computer Programming 2,
// section 4.2.2).
wide lost(const wide a, const wide b, const wide sum)
{
    const wide t = sum - a;
    return (a - (sum - t)) + (b - t);
}

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

// ---- Finish: a channel's moments become what the caller keeps and what normalising needs ----

typedef struct {
    global real *moments;
} results;

// Those of `count` channels from `chan` on.
void finish_channels(
    const results r, global const real *parts, const ulong sets, const ulong chan,
    const int count)
{
    record total = record_none();
    for (ulong set = 0; set < sets; set++)
        total = record_merge(total, record_load(parts, set, chan, count));
    const wide mean = total.mean + total.rest;
    const wide rest = lost(total.mean, total.rest, mean);
    const record kept = {total.count, mean, rest, total.m2};
    record_store(kept, r.moments, 0, chan, count);
}

// ---- Kernels. Every buffer comes with an offset in elements; local sizes are fixed ----

// Merges the parts of each channel: one work-item for WIDE channels.
kernel __attribute__((reqd_work_group_size(FINISH_GROUP, 1, 1), vec_type_hint(wide)))
void finish(
    global real *moments, const ulong moments_offset,
    global const real *parts, const ulong parts_offset, const ulong sets)
{
    const results r = {
        moments + moments_offset
    };
    const ulong chan = get_global_id(0) * WIDE;
    if (chan < CHANNELS)
        finish_channels(
            r, parts + parts_offset, sets, chan, min(CHANNELS - chan, (ulong)WIDE));
}
