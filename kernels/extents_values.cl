#if CHANNELS_FIRST
#if BAKED
    const ulong batch = BATCH, spatial = SPATIAL;
#endif
    const extents e = {
#if LENGTHS
        lengths + lengths_offset,
#endif
        batch, spatial, batch_step, spatial_step,
#else
#if BAKED
    const ulong rows = ROWS;
#endif
    const extents e = {
#if LENGTHS
        lengths + lengths_offset, sample_rows,
#endif
        rows, rows_step,
#if GHOST
        ghost_rows,
#endif
#endif
#if !GROUP_WALK
        tile
#endif
    };
