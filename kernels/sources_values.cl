    const sources from = {
        dy + dy_offset,
#if DOT
#if GHOST
        x + x_offset, mean + mean_offset + ghost * CHANNELS,
        invstd + invstd_offset + ghost * CHANNELS,
#else
        x + x_offset, mean + mean_offset, invstd + invstd_offset,
#endif
#endif
#if RELU
        y + y_offset,
#endif
    };
