
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

void finish_channel(
    const results r, global const real *parts, const ulong sets, const ulong channel)
{
    record total = record_none();
    for (ulong set = 0; set < sets; set++)
        total = record_merge(total, record_load(parts, set, channel));
    const real mean = total.mean + total.rest;
    const real rest = lost(total.mean, total.rest, mean);
#if KEEP_MOMENTS
    const record kept = {total.count, mean, rest, total.m2};
    record_store(kept, r.moments, 0, channel);
#else
    const real var = total.count > 0 ? total.m2 / total.count : 0;
    const real invstd = 1 / sqrt(var + r.epsilon);
    r.mean[channel] = mean;
    r.invstd[channel] = invstd;
#if RUNNING
    if (total.count > 0) {
#if BIASED
        const real kept = var;
#else
        const real kept = total.count > 1 ? total.m2 / (total.count - 1) : var;
#endif
        const real mean_before = r.running_mean[channel], var_before = r.running_var[channel];
        r.running_mean[channel] = (1 - r.momentum) * mean_before + r.momentum * mean;
        r.running_var[channel] = (1 - r.momentum) * var_before + r.momentum * kept;
    }
#endif
    r.constants[channel] = mean;
    r.constants[CHANNELS + channel] = rest;
#if SCALE
    r.constants[2ul * CHANNELS + channel] = invstd * r.scale[channel];
#else
    r.constants[2ul * CHANNELS + channel] = invstd;
#endif
#if SHIFT
    r.constants[3ul * CHANNELS + channel] = r.shift[channel];
#endif
#endif
}
