
// ---- Finish: a channel's moments become what the caller keeps and what normalising needs ----

typedef struct {
#if KEEP_MOMENTS
    global real *moments;
#else
    global real *mean, *invstd;
#if RUNNING
    global real *running_mean, *running_var;
    real momentum;
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
#if KEEP_MOMENTS
    const record kept = {total.count, mean, rest, total.m2};
    record_store(kept, r.moments, 0, chan, count);
#else
    const wide var = total.count > 0 ? total.m2 / total.count : (wide)0;
    const wide invstd = 1 / sqrt(var + r.epsilon);
    wide_store(mean, r.mean + chan, count);
    wide_store(invstd, r.invstd + chan, count);
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
    wide_store(gain, constants + 2ul * CHANNELS, count);
#if SHIFT
    wide_store(wide_load(r.shift + chan, count), constants + 3ul * CHANNELS, count);
#endif
#endif
}
