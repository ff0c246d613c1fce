#if PIPELINE
    for (e.tile = 0; e.tile < TILES; e.tile++)
        map_tile(t, e);
#else
    map_tile(t, e);
#endif
