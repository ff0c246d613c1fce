#if PIPELINE
    for (ulong chan = 0; chan < CHANNELS; chan += WIDE)
#else
    const ulong chan = get_global_id(0) * WIDE;
    if (chan < CHANNELS)
#endif
        finish_channels(
            r, parts + parts_offset, sets, chan, min(CHANNELS - chan, (ulong)WIDE));
