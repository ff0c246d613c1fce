#include "types.cl"
#include "storage.cl"
#include "walk.cl"
#if REDUCE
#include "pair.cl"
#endif
#if SUMS
#include "gradient_sums.cl"
#endif
#if OPTIMISER
#include "optimise.cl"
#endif
#include "finish_backward.cl"
#if MAP
#include "gradient.cl"
#endif
#include "walk_tiles.cl"

// ---- Kernels. Every buffer comes with an offset in elements; local sizes are fixed ----
#if SPLIT && REDUCE

// Gradient sums of each part of each tile: one group a tile and part.
#include "tile_kernel.cl"
void reduce(
#include "sources_arguments.cl"
#include "extents_arguments.cl"
    global real *restrict parts, const ulong parts_offset)
{
#include "extents_values.cl"
#if GHOST
    const ulong ghost = reduce_ghost(e);
#endif
#include "sources_values.cl"
#include "reduce_call.cl"
}
#endif
#if SPLIT

// Merges the parts of each channel: one work-item for WIDE channels.
#include "finish_kernel.cl"
void finish(
#if LENGTHS && !FROZEN && !KEEP_SUMS
    global const uint *lengths, const ulong lengths_offset,
#endif
#if !FROZEN && !KEEP_SUMS
    global const real *mean, const ulong mean_offset,
#endif
#if !KEEP_SUMS
    global const real *invstd, const ulong invstd_offset,
#endif
#include "backward_arguments.cl"
#if GHOST
    const ulong ghosts, const ulong ghost_sets,
#endif
    global const real *parts, const ulong parts_offset, const ulong sets)
{
#include "backward_values.cl"
#if GHOST
    const ulong chan = get_global_id(0) * WIDE;
    if (chan >= CHANNELS)
        return;
    const int count = min(CHANNELS - chan, (ulong)WIDE);
    finish_ghosts(r, parts + parts_offset, sets, ghosts, ghost_sets, chan, count);
#if SCALE || SHIFT
    finish_parameters(r, parts + parts_offset, sets, chan, count);
#endif
#else
#include "finish_call.cl"
#endif
}
#endif
#if SPLIT && MAP

// The input gradient of each part of each tile: one group a tile and part.
#include "tile_kernel.cl"
void map(
    global const stored *dy, const ulong dy_offset,
#if !FROZEN
    global const stored *x, const ulong x_offset,
#endif
#if RELU
    global const stored *y, const ulong y_offset,
#endif
#include "targets_arguments.cl"
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
#include "targets_values.cl"
#include "map_call.cl"
}
#endif
#if FUSED

// All of it in one launch.
#include "tile_kernel.cl"
void fused(
#include "sources_arguments.cl"
#if !DOT && !KEEP_SUMS
    global const real *invstd, const ulong invstd_offset,
#endif
#if MAP
#include "targets_arguments.cl"
#endif
#include "backward_arguments.cl"
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
#if GHOST
    const ulong ghost = 0;
#endif
#include "sources_values.cl"
#include "backward_values.cl"
#if MAP
#if FETCHES
    const ulong ahead = tile_distance(e);
#endif
#include "targets_values.cl"
#endif
#include "fuse_call.cl"
}
#endif
