#if PIPELINE
    for (e.tile = 0; e.tile < tiles_of(e); e.tile++)
        fuse(
            from, parts + parts_offset, r,
#if MAP
            t,
#endif
            e);
#else
#if SCRATCH
    local record scratch[GROUP];
#endif
#if GHOST
    fuse_ghosts(
#else
    fuse(
#endif
        from, parts + parts_offset, r,
#if MAP
        t,
#endif
#if GHOST
        e,
#endif
#if GHOST
        ghosts);
#elif SCRATCH
        e, scratch);
#else
        e);
#endif
#endif
