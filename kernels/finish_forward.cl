
// ---- Finish: a channel's moments become what the caller keeps and what normalising needs ----

typedef struct {
#if KEEP_MOMENTS
    global real *moments;
#else
    global real *mean, *invstd;
#if RUNNING
    global real *running_mean, *running_var;
    real momentum;
#elif RENORM
    global const real *running_mean, *running_var;
#endif
#if RENORM
    global real *renorm_r, *renorm_d;
    real r_max, d_max;
#endif
#if SCALE
    global const real *scale;
#endif
#if SHIFT
    global const real *shift;
#endif
    global real *constants;
    real epsilon;
#endif
} results;
#if RENORM

// NaN stays NaN.
wide clip(const wide value, const wide low, const wide high)
{
    return value < low ? low : value > high ? high : value;
}
#endif

#if GHOST
// Those of a sub-batch, of `count` channels from `chan` on. Running statistics take the sub-batches
// one after another, as Hoffer, Hubara and Soudry, "Train longer, generalize better" (2017),
// algorithm 1, has it.
#else
// Those of `count` channels from `chan` on.
#endif
void finish_channels(
    const results r, global const real *parts, const ulong sets, const ulong chan,
    const int count)
{
#include "sets_total.cl"
    const wide mean = total.mean + total.rest;
    const wide rest = lost(total.mean, total.rest, mean);
#if KEEP_MOMENTS
    const record kept = {total.count, mean, rest, total.m2};
    record_store(kept, r.moments, 0, chan, count);
#else
    const wide var = total.count > 0 ? total.m2 / total.count : (wide)0;
    const wide invstd = 1 / sqrt(var + r.epsilon);
    wide_store(mean, r.mean + chan, count);
    wide_store(invstd, r.invstd + chan, count);
#if RENORM
    // Ioffe, "Batch renormalization: towards reducing minibatch dependence in batch-normalized
    // models" (2017), algorithm 1; the moving averages are those from before this batch.
    const wide moving_var = wide_load(r.running_var + chan, count) + r.epsilon;
    const wide drift = (mean - wide_load(r.running_mean + chan, count)) + rest;
    const wide ratio_clipped =
        clip(sqrt((var + r.epsilon) / moving_var), (wide)(1 / r.r_max), (wide)r.r_max);
    const wide drift_clipped = clip(drift / sqrt(moving_var), (wide)-r.d_max, (wide)r.d_max);
    const wide ratio = total.count == 0 ? (wide)1 : ratio_clipped;
    const wide offset = total.count == 0 ? (wide)0 : drift_clipped;
    wide_store(ratio, r.renorm_r + chan, count);
    wide_store(offset, r.renorm_d + chan, count);
#endif
#if RUNNING
#if BIASED
    const wide kept = var;
#else
    const wide kept = total.count > 1 ? total.m2 / (total.count - 1) : var;
#endif
    const wide mean_before = wide_load(r.running_mean + chan, count);
    const wide var_before = wide_load(r.running_var + chan, count);
    const wide mean_after = (1 - r.momentum) * mean_before + r.momentum * mean;
    const wide var_after = (1 - r.momentum) * var_before + r.momentum * kept;
    wide_store(total.count > 0 ? mean_after : mean_before, r.running_mean + chan, count);
    wide_store(total.count > 0 ? var_after : var_before, r.running_var + chan, count);
#endif
    global real *constants = r.constants + chan;
    wide_store(mean, constants, count);
    wide_store(rest, constants + CHANNELS, count);
#if SCALE
    const wide gain = invstd * wide_load(r.scale + chan, count);
#else
    const wide gain = invstd;
#endif
#if RENORM
    wide_store(gain * ratio, constants + 2ul * CHANNELS, count);
    wide shift = offset;
#if SCALE
    shift *= wide_load(r.scale + chan, count);
#endif
#if SHIFT
    shift += wide_load(r.shift + chan, count);
#endif
    wide_store(shift, constants + 3ul * CHANNELS, count);
#else
    wide_store(gain, constants + 2ul * CHANNELS, count);
#if SHIFT
    wide_store(wide_load(r.shift + chan, count), constants + 3ul * CHANNELS, count);
#endif
#endif
#endif
}
#if GHOST

// Those of the next sub-batch.
void results_next(results *r)
{
    r->mean += CHANNELS;
    r->invstd += CHANNELS;
    r->constants += 4ul * CHANNELS;
}
#if SPLIT
#include "finish_ghosts.cl"
#endif
#endif
