#if PIPELINE
    for (e.tile = 0; e.tile < tiles_of(e); e.tile++)
        reduce_tile(from, parts + parts_offset, e);
#elif SCRATCH
    local record scratch[GROUP];
    reduce_tile(from, parts + parts_offset, e, scratch);
#else
    reduce_tile(from, parts + parts_offset, e);
#endif
