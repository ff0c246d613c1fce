
// ---- Finish: gradient sums become parameter gradients and what the input gradient needs ----

typedef struct {
#if KEEP_SUMS
    global real *sums;
#else
#if !FROZEN
    global const real *mean;
#if GHOST
#if LENGTHS
    global const uint *lengths; // from this sub-batch on
    ulong samples, sample_positions;
#else
    ulong positions, ghost_positions; // from this sub-batch on, and of one
#endif
#else
    real count;
#endif
#endif
    global const real *invstd;
#if RENORM
    global const real *renorm_r;
#if SCALE
    global const real *renorm_d;
#endif
#endif
#if SCALE
#if OPTIMISER
    global real *scale;
#else
    global const real *scale;
#endif
    global real *dscale;
#endif
#if SHIFT
#if OPTIMISER
    global real *shift;
#endif
    global real *dshift;
#endif
#if OPTIMISER
    global real *state;
    optimiser by;
#endif
    global real *constants;
#endif
} results;
#if LENGTHS && !FROZEN && !KEEP_SUMS

// How many values a channel has.
real count_valid(global const uint *lengths, const ulong samples, const ulong positions)
{
    ulong count = 0;
    for (ulong n = 0; n < samples; n++)
        count += min((ulong)lengths[n], positions);
    return count;
}
#endif

#if GHOST
#include "finish_backward_ghosts.cl"
#else
// Those of `count` channels from `chan` on.
void finish_channels(
    const results r, global const real *parts, const ulong sets, const ulong chan,
    const int count)
{
#if SUMS
#include "sets_total.cl"
#endif
#if KEEP_SUMS
    record_store(total, r.sums, 0, chan, count);
#else
    const wide invstd = wide_load(r.invstd + chan, count);
#if RENORM
    // dscale is the sum of dy * (xhat * renorm_r + renorm_d): both are constants to the gradient.
    const wide ratio = wide_load(r.renorm_r + chan, count);
    const wide dot = total.dot;
#if SCALE
    total.dot = dot * ratio + total.sum * wide_load(r.renorm_d + chan, count);
#endif
#endif
#if SCALE
    const wide gain = invstd * wide_load(r.scale + chan, count);
    wide_store(total.dot, r.dscale + chan, count);
#else
    const wide gain = invstd;
#endif
#if SHIFT
    wide_store(total.sum, r.dshift + chan, count);
#endif
#include "optimise_call.cl"
    global real *constants = r.constants + chan;
#if RENORM
    wide_store(gain * ratio, constants, count);
#else
    wide_store(gain, constants, count);
#endif
#if !FROZEN
    wide_store(wide_load(r.mean + chan, count), constants + CHANNELS, count);
    wide_store(total.sum / r.count, constants + 2ul * CHANNELS, count);
#if RENORM
    wide_store(dot / r.count * invstd, constants + 3ul * CHANNELS, count);
#else
    wide_store(total.dot / r.count * invstd, constants + 3ul * CHANNELS, count);
#endif
#endif
#endif
}
#endif
