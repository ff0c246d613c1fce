    const targets t = {
        x + x_offset,
#if ADD
        add + add_offset,
#endif
        y + y_offset,
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
