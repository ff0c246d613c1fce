#if FUSED
#if GROUP_WALK

// One group does a tile: its values are read again while they are still near.
void fuse(
    const sources from, global real *parts, const results r,
#if MAP
    const targets t,
#endif
#if SCRATCH
    const extents e, local record *scratch)
#else
    const extents e)
#endif
{
#if SCRATCH
    reduce_tile(from, parts, e, scratch);
#else
    reduce_tile(from, parts, e);
#endif
    barrier(CLK_GLOBAL_MEM_FENCE);
    for (ulong chan = tile_first(e) + get_local_id(0); chan < tile_last(e); chan += GROUP)
        finish_channels(r, parts, 1, chan, 1);
#if MAP
    barrier(CLK_GLOBAL_MEM_FENCE);
    map_tile(t, e);
#endif
}
#else

// One work-item does a tile: its values are read again while they are still near.
void fuse(
    const sources from, global real *parts, const results r,
#if MAP
    const targets t,
#endif
    const extents e)
{
    reduce_tile(from, parts, e);
#if SPREADS
    const ulong last = tile_last(e) / SPREAD;
    for (ulong chan = tile_first(e) / SPREAD; chan < last; chan += WIDE)
        finish_channels(r, parts, SPREAD, chan, min(last - chan, (ulong)WIDE));
#else
    const ulong last = tile_last(e);
    for (ulong chan = tile_first(e); chan < last; chan += WIDE)
        finish_channels(r, parts, 1, chan, min(last - chan, (ulong)WIDE));
#endif
#if MAP
    map_tile(t, e);
#endif
}
#endif
#if GHOST

// One sub-batch after another, each while its values are near.
void fuse_ghosts(
    const sources from, global real *parts, const results r, const targets t, const extents e,
    const ulong ghosts)
{
    const ulong distance = ghost_distance(e);
    sources source = from;
    targets target = t;
    results result = r;
    for (ulong ghost = 0; ghost < ghosts; ghost++) {
        const extents one = ghost_extents(e, ghost);
        fuse(source, parts + ghost * SET, result, target, one);
        sources_next(&source, distance);
        targets_next(&target, distance);
        results_next(&result);
    }
#if BACKWARD && (SCALE || SHIFT)
    const ulong last = tile_last(e);
    for (ulong chan = tile_first(e); chan < last; chan += WIDE)
        finish_parameters(r, parts, ghosts, chan, min(last - chan, (ulong)WIDE));
#endif
}
#endif
#endif
