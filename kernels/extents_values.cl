#if CHANNELS_FIRST
#if BAKED
    const extents e = {BATCH, SPATIAL, BATCH_STEP, SPATIAL_STEP};
#else
    const extents e = {batch, spatial, batch_step, spatial_step};
#endif
#else
#if BAKED
    const extents e = {ROWS, ROWS_STEP};
#else
    const extents e = {rows, rows_step};
#endif
#endif
