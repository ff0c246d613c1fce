#if !BAKED
#if CHANNELS_FIRST
    const ulong batch, const ulong spatial, const ulong batch_step, const ulong spatial_step,
#else
    const ulong rows, const ulong rows_step,
#endif
#endif
