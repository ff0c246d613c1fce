
// ---- Channels first: a tile is some channels, its parts are boxes of batch x spatial ----

typedef struct {
#if LENGTHS
    global const uint *lengths;
#endif
#if PIPELINE
    ulong batch, spatial;
#if BOUNDED
    ulong channels;
#endif
    ulong tile; // the one at work
#else
    ulong batch, spatial, batch_step, spatial_step;
#endif
#if !GROUP_WALK && !PIPELINE
    ulong tile;
#endif
} extents;

#if PIPELINE
#include "channels_of.cl"

ulong tiles_of(const extents e)
{
    return (channels_of(e) + TILE - 1) / TILE;
}

ulong tile_first(const extents e)
{
    return e.tile * TILE;
}

ulong tile_last(const extents e)
{
    return min(tile_first(e) + TILE, channels_of(e));
}
#elif GROUP_WALK
ulong tile_first(const extents e)
{
    return get_group_id(0);
}

ulong tile_last(const extents e)
{
    return get_group_id(0) + 1;
}
#else
ulong tile_first(const extents e)
{
    return get_group_id(0) * e.tile;
}

ulong tile_last(const extents e)
{
    return min(tile_first(e) + e.tile, (ulong)CHANNELS);
}
#endif
#if REDUCE && !PIPELINE

ulong part_index(void)
{
    return get_group_id(1) * get_num_groups(2) + get_group_id(2);
}
#endif
#if FETCHES

// How far ahead of use values are asked for: the same run of the next image, or, where runs are
// long, some lines.
ulong run_distance(const extents e)
{
    return e.tile * e.spatial < FAR ? CHANNELS * e.spatial : NEAR;
}
#endif
#if FETCHES && FUSED

// From a value of this tile to its like in the next.
ulong tile_distance(const extents e)
{
    return e.tile * e.spatial;
}
#endif
#if DOT

// A parameter of the channel, the same in each lane.
reals channel_load(global const real *parameter, const ulong chan)
{
    return (reals)(parameter[chan]);
}
#endif
#if MAP && !GROUP_WALK && !PIPELINE

// Behind a reduction the last parts are the nearest.
ulong map_part(void)
{
#if REDUCE
    return get_num_groups(1) - 1 - get_group_id(1);
#else
    return get_group_id(1);
#endif
}
#endif
#if MAP && !GROUP_WALK

reals lanes_of(const real *one)
{
    return (reals)(*one);
}
#endif
#if GHOST && SPLIT

// The sub-batch that a part is of: parts do not reach from one into the next.
ulong reduce_ghost(const extents e)
{
    return get_group_id(1) * e.batch_step / GHOST_BATCH;
}

ulong map_ghost(const extents e)
{
#if GROUP_WALK
    return get_group_id(1) * e.batch_step / GHOST_BATCH;
#else
    return map_part() * e.batch_step / GHOST_BATCH;
#endif
}
#endif
#if GHOST && FUSED

// A sub-batch alone, and from a value of it to its like in the next.
extents ghost_extents(const extents e, const ulong ghost)
{
    extents one = e;
#if LENGTHS
    one.lengths += ghost * GHOST_BATCH;
#endif
    one.batch = min(e.batch - ghost * GHOST_BATCH, (ulong)GHOST_BATCH);
    return one;
}

ulong ghost_distance(const extents e)
{
    return (ulong)GHOST_BATCH * CHANNELS * e.spatial;
}
#endif
