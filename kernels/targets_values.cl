    const targets t = {
        dy + dy_offset,
#if !FROZEN
        x + x_offset,
#endif
#if RELU
        y + y_offset,
#endif
        dx + dx_offset,
#if ADD
        dadd + dadd_offset,
#endif
        constants + constants_offset,
#if STREAMS
        past,
#endif
#if FETCHES
        ahead
#endif
    };
