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
#if GHOST
        constants + constants_offset + ghost * 4 * CHANNELS,
#else
        constants + constants_offset,
#endif
#if STREAMS
        past,
#endif
#if FETCHES
        ahead
#endif
    };
