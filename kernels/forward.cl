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
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void reduce(
    global const stored *restrict x, const ulong x_offset,
#include "extents_arguments.cl"
    global real *restrict parts, const ulong parts_offset)
{
#include "extents_values.cl"
    const sources from = {x + x_offset};
#if GROUP_WALK
    local record scratch[GROUP];
    reduce_tile(from, parts + parts_offset, e, scratch);
#else
    reduce_tile(from, parts + parts_offset, e);
#endif
}
#endif
#if SPLIT

// Merges the parts of each channel: one work-item a channel.
kernel __attribute__((reqd_work_group_size(FINISH_GROUP, 1, 1)))
void finish(
#include "forward_arguments.cl"
    global const real *parts, const ulong parts_offset, const ulong sets)
{
#include "forward_values.cl"
    if (get_global_id(0) < CHANNELS)
        finish_channel(r, parts + parts_offset, sets, get_global_id(0));
}
#endif
#if SPLIT && MAP

// Normalises each part of each tile: one group a tile and part.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
void map(
    global const stored *x, const ulong x_offset,
#if ADD
    global const stored *add, const ulong add_offset,
#endif
    global stored *y, const ulong y_offset,
#include "extents_arguments.cl"
    global const real *constants, const ulong constants_offset)
{
#include "extents_values.cl"
    const targets t = {
        x + x_offset,
#if ADD
        add + add_offset,
#endif
        y + y_offset,
        constants + constants_offset
    };
    map_tile(t, e);
}
#endif
#if FUSED

// All of it, one group a tile: its values are read again while they are still near.
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1)))
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
    global real *parts, const ulong parts_offset)
{
#include "extents_values.cl"
#include "forward_values.cl"
    const sources from = {x + x_offset};
#if GROUP_WALK
    local record scratch[GROUP];
    reduce_tile(from, parts + parts_offset, e, scratch);
    barrier(CLK_GLOBAL_MEM_FENCE);
#else
    reduce_tile(from, parts + parts_offset, e);
#endif
    for (ulong channel = tile_first() + get_local_id(0); channel < tile_last(); channel += GROUP)
        finish_channel(r, parts + parts_offset, 1, channel);
#if MAP
#if GROUP_WALK
    barrier(CLK_GLOBAL_MEM_FENCE);
#endif
    const targets t = {
        x + x_offset,
#if ADD
        add + add_offset,
#endif
        y + y_offset,
        constants + constants_offset
    };
    map_tile(t, e);
#endif
}
#endif
