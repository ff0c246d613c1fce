#include "types.cl"
#if REDUCE || MAP
#include "storage.cl"
#include "walk.cl"
#endif
#include "pair.cl"
#include "moments.cl"
#include "finish_forward.cl"
#if MAP
#include "normalise.cl"
#endif
#if REDUCE || MAP
#include "walk_tiles.cl"
#endif

// ---- Kernels. Every buffer comes with an offset in elements; local sizes are fixed ----
#if SPLIT && REDUCE

// Moments of each part of each tile: one group a tile and part.
#include "tile_kernel.cl"
void reduce(
    global const stored *restrict x, const ulong x_offset,
#include "extents_arguments.cl"
    global real *restrict parts, const ulong parts_offset)
{
#include "extents_values.cl"
    const sources from = {x + x_offset};
#include "reduce_call.cl"
}
#endif
#if SPLIT

// Merges the parts of each channel: one work-item for WIDE channels.
#include "finish_kernel.cl"
void finish(
#include "forward_arguments.cl"
#if GHOST
    const ulong ghosts, const ulong ghost_sets,
#endif
    global const real *parts, const ulong parts_offset, const ulong sets)
{
#include "forward_values.cl"
#if GHOST
    const ulong chan = get_global_id(0) * WIDE;
    if (chan < CHANNELS)
        finish_ghosts(
            r, parts + parts_offset, sets, ghosts, ghost_sets, chan,
            min(CHANNELS - chan, (ulong)WIDE));
#else
#include "finish_call.cl"
#endif
}
#endif
#if SPLIT && MAP

// Normalises each part of each tile: one group a tile and part.
#include "tile_kernel.cl"
void map(
    global const stored *x, const ulong x_offset,
#if ADD
    global const stored *add, const ulong add_offset,
#endif
    global stored *y, const ulong y_offset,
#include "extents_arguments.cl"
#if STREAMS
    const ulong past,
#endif
    global const real *constants, const ulong constants_offset)
{
#include "extents_values.cl"
#if FETCHES
    const ulong ahead = run_distance(e);
#endif
#if GHOST
    const ulong ghost = map_ghost(e);
#endif
#include "normalise_values.cl"
#include "map_call.cl"
}
#endif
#if FUSED

// All of it in one launch.
#include "tile_kernel.cl"
void fused(
    global const stored *x, const ulong x_offset,
#if ADD
    global const stored *add, const ulong add_offset,
#endif
#if MAP
    global stored *y, const ulong y_offset,
#endif
#include "forward_arguments.cl"
#include "extents_arguments.cl"
#if MAP && STREAMS
    const ulong past,
#endif
#if GHOST
    const ulong ghosts,
#endif
    global real *parts, const ulong parts_offset)
{
#include "extents_values.cl"
#include "forward_values.cl"
#if GHOST
    const ulong ghost = 0;
#endif
    const sources from = {x + x_offset};
#if MAP
#if FETCHES
    const ulong ahead = tile_distance(e);
#endif
#include "normalise_values.cl"
#endif
#include "fuse_call.cl"
}
#endif
