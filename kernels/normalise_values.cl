    const targets t = {
        x + x_offset,
#if ADD
        add + add_offset,
#endif
        y + y_offset,
        constants + constants_offset,
#if STREAMS
        past,
#endif
#if FETCHES
        ahead
#endif
    };
