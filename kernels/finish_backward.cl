
// ---- Finish: gradient sums become parameter gradients and what the input gradient needs ----

typedef struct {
#if KEEP_SUMS
    global real *sums;
#else
#if !FROZEN
    global const real *mean;
    real count;
#endif
    global const real *invstd;
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

void finish_channel(
    const results r, global const real *parts, const ulong sets, const ulong channel)
{
#if SUMS
    record total = record_none();
    for (ulong set = 0; set < sets; set++)
        total = record_merge(total, record_load(parts, set, channel));
#endif
#if KEEP_SUMS
    record_store(total, r.sums, 0, channel);
#else
    const real invstd = r.invstd[channel];
#if SCALE
    const real gain = invstd * r.scale[channel];
    r.dscale[channel] = total.dot;
#else
    const real gain = invstd;
#endif
#if SHIFT
    r.dshift[channel] = total.sum;
#endif
#if OPTIMISER
#if SCALE
    optimise(r.by, r.scale, total.dot, r.state, channel);
#if SHIFT
    optimise(r.by, r.shift, total.sum, r.state + (ulong)STATES * CHANNELS, channel);
#endif
#else
    optimise(r.by, r.shift, total.sum, r.state, channel);
#endif
#endif
    r.constants[channel] = gain;
#if !FROZEN
    r.constants[CHANNELS + channel] = r.mean[channel];
    r.constants[2ul * CHANNELS + channel] = total.sum / r.count;
    r.constants[3ul * CHANNELS + channel] = total.dot / r.count * invstd;
#endif
#endif
}
