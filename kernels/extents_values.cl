#if CHANNELS_FIRST && BAKED
    const ulong batch = BATCH, spatial = SPATIAL;
#elif BAKED
    const ulong rows = ROWS;
#endif
#if CHANNELS_FIRST && BOUNDED
    extents e = {batch, spatial, channels, 0};
#elif CHANNELS_FIRST && PIPELINE
    extents e = {batch, spatial, 0};
#elif BOUNDED
    extents e = {rows, channels, 0};
#elif PIPELINE
    extents e = {rows, 0};
#elif CHANNELS_FIRST
    const extents e = {
#if LENGTHS
        lengths + lengths_offset,
#endif
        batch, spatial, batch_step, spatial_step,
#else
    const extents e = {
#if LENGTHS
        lengths + lengths_offset, sample_rows,
#endif
        rows, rows_step,
#if GHOST
        ghost_rows,
#endif
#endif
#if !GROUP_WALK && !PIPELINE
        tile
#endif
#if !PIPELINE
    };
#endif
