#if LENGTHS
    global const uint *lengths, const ulong lengths_offset,
#if !CHANNELS_FIRST
    const ulong sample_rows,
#endif
#endif
