#if PIPELINE
    for (e.tile = 0; e.tile < tiles_of(e); e.tile++)
        map_tile(t, e);
#else
    map_tile(t, e);
#endif
