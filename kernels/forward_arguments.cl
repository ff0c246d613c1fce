#if KEEP_MOMENTS
    global real *moments, const ulong moments_offset,
#else
    global real *mean, const ulong mean_offset,
    global real *invstd, const ulong invstd_offset,
#if RUNNING
    global real *running_mean, const ulong running_mean_offset,
    global real *running_var, const ulong running_var_offset, const real momentum,
#elif RENORM
    global const real *running_mean, const ulong running_mean_offset,
    global const real *running_var, const ulong running_var_offset,
#endif
#if RENORM
    global real *renorm_r, const ulong renorm_r_offset,
    global real *renorm_d, const ulong renorm_d_offset, const real r_max, const real d_max,
#endif
#if SCALE
    global const real *scale, const ulong scale_offset,
#endif
#if SHIFT
    global const real *shift, const ulong shift_offset,
#endif
    global real *constants, const ulong constants_offset, const real epsilon,
#endif
