#if GROUP_WALK
    local record scratch[GROUP];
#endif
    fuse(
        from, parts + parts_offset, r,
#if MAP
        t,
#endif
#if GROUP_WALK
        e, scratch);
#else
        e);
#endif
