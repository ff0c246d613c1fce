    const sources from = {
        dy + dy_offset,
#if DOT
        x + x_offset, mean + mean_offset, invstd + invstd_offset,
#endif
#if RELU
        y + y_offset,
#endif
    };
