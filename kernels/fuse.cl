#if FUSED
#if GROUP_WALK

// One group does a tile: its values are read again while they are still near.
void fuse(
    const sources from, global real *parts, const results r,
#if MAP
    const targets t,
#endif
    const extents e, local record *scratch)
{
    reduce_tile(from, parts, e, scratch);
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
#endif
