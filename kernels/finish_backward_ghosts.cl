// What the input gradient of a sub-batch needs, of `count` channels from `chan` on.
void finish_channels(
    const results r, global const real *parts, const ulong sets, const ulong chan,
    const int count)
{
#include "sets_total.cl"
    const wide invstd = wide_load(r.invstd + chan, count);
#if SCALE
    const wide gain = invstd * wide_load(r.scale + chan, count);
#else
    const wide gain = invstd;
#endif
#if LENGTHS
    const ulong samples = min(r.samples, (ulong)GHOST_BATCH);
    const real values = count_valid(r.lengths, samples, r.sample_positions);
#else
    const real values = min(r.positions, r.ghost_positions);
#endif
    global real *constants = r.constants + chan;
    wide_store(gain, constants, count);
    wide_store(wide_load(r.mean + chan, count), constants + CHANNELS, count);
    wide_store(total.sum / values, constants + 2ul * CHANNELS, count);
    wide_store(total.dot / values * invstd, constants + 3ul * CHANNELS, count);
}

// Those of the next sub-batch.
void results_next(results *r)
{
    r->mean += CHANNELS;
#if LENGTHS
    r->lengths += GHOST_BATCH;
    r->samples -= min(r->samples, (ulong)GHOST_BATCH);
#else
    r->positions -= min(r->positions, r->ghost_positions);
#endif
    r->invstd += CHANNELS;
    r->constants += 4ul * CHANNELS;
}
#if SPLIT
#include "finish_ghosts.cl"
#endif
#if SCALE || SHIFT

// The parameters' gradients are sums over all sub-batches.
void finish_parameters(
    const results r, global const real *parts, const ulong sets, const ulong chan,
    const int count)
{
#include "sets_total.cl"
#if SCALE
    wide_store(total.dot, r.dscale + chan, count);
#endif
#if SHIFT
    wide_store(total.sum, r.dshift + chan, count);
#endif
#include "optimise_call.cl"
}
#endif
