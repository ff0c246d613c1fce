    const results r = {
#if KEEP_MOMENTS
        moments + moments_offset
#else
        mean + mean_offset, invstd + invstd_offset,
#if RUNNING
        running_mean + running_mean_offset, running_var + running_var_offset, momentum,
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
