    const results r = {
#if KEEP_MOMENTS
        moments + moments_offset
#else
        mean + mean_offset, invstd + invstd_offset,
#if RUNNING
        running_mean + running_mean_offset, running_var + running_var_offset, momentum,
#elif RENORM
        running_mean + running_mean_offset, running_var + running_var_offset,
#endif
#if RENORM
        renorm_r + renorm_r_offset, renorm_d + renorm_d_offset, r_max, d_max,
#endif
#if SCALE
        scale + scale_offset,
#endif
#if SHIFT
        shift + shift_offset,
#endif
        constants + constants_offset, epsilon
#endif
    };
