// clnorm 0.1.0
// merge nchw f32 ?x64x?
// cpu: walk=serial lanes=8 group=1 tile=1024 block=32 parts=16 resident=1048576 stream=16777216 fetch=1 baked=0

#define CHANNELS 64
#define FINISH_GROUP 8
#define real float
#define stored float

// Rounding happens where it is written: sums that keep what they lose must not be rearranged or
// fused.
#pragma OPENCL FP_CONTRACT OFF

// ---- Pairs: a number as the nearest real and the rest it lacks ----

// What a + b lost when it was rounded to sum, exactly (Knuth, The Art of Computer Programming 2,
// section 4.2.2).
real lost(const real a, const real b, const real sum)
{
    const real t = sum - a;
    return (a - (sum - t)) + (b - t);
}

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

// ---- Finish: a channel's moments become what the caller keeps and what normalising needs ----

typedef struct {
    global real *moments;
} results;

void finish_channel(
    const results r, global const real *parts, const ulong sets, const ulong channel)
{
    record total = record_none();
    for (ulong set = 0; set < sets; set++)
        total = record_merge(total, record_load(parts, set, channel));
    const real mean = total.mean + total.rest;
    const real rest = lost(total.mean, total.rest, mean);
    const record kept = {total.count, mean, rest, total.m2};
    record_store(kept, r.moments, 0, channel);
}

// ---- Kernels. Every buffer comes with an offset in elements; local sizes are fixed ----

// Merges the parts of each channel: one work-item a channel.
kernel __attribute__((reqd_work_group_size(FINISH_GROUP, 1, 1)))
void finish(
    global real *moments, const ulong moments_offset,
    global const real *parts, const ulong parts_offset, const ulong sets)
{
    const results r = {
        moments + moments_offset
    };
    if (get_global_id(0) < CHANNELS)
        finish_channel(r, parts + parts_offset, sets, get_global_id(0));
}
