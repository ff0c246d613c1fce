
// ---- Channels last: a tile is some channels side by side, its parts are runs of rows ----

typedef struct {
#if LENGTHS
    global const uint *lengths;
    ulong sample_rows;
#endif
#if PIPELINE
    ulong rows;
#if BOUNDED
    ulong channels;
#endif
    ulong tile; // the one at work
#else
    ulong rows, rows_step;
#endif
#if GHOST
    ulong ghost_rows;
#endif
#if !GROUP_WALK && !PIPELINE
    ulong tile;
#endif
} extents;
#if PIPELINE

#include "channels_of.cl"

ulong tiles_of(const extents e)
{
    return (channels_of(e) - LANES) / TILE + 1;
}
#endif

ulong tile_first(const extents e)
{
#if PIPELINE
    return e.tile * TILE;
#elif GROUP_WALK
    return get_group_id(0) * TILE;
#else
    return get_group_id(0) * e.tile;
#endif
}

// The last tile takes what would not fill a vector of the next.
ulong tile_last(const extents e)
{
#if PIPELINE
    return e.tile + 1 == tiles_of(e) ? channels_of(e) : tile_first(e) + TILE;
#elif GROUP_WALK
    return min(tile_first(e) + TILE, (ulong)CHANNELS);
#else
    return get_group_id(0) + 1 == get_num_groups(0) ? ROW : tile_first(e) + e.tile;
#endif
}
#if FETCHES

// How far ahead of use values are asked for: the next row, or, where a run is all there is, some
// lines.
ulong run_distance(const extents e)
{
    return e.tile < ROW ? ROW : NEAR;
}
#endif
#if FETCHES && FUSED

// From a value of this tile to its like in the next.
ulong tile_distance(const extents e)
{
    return e.tile;
}
#endif
#if DOT

// A parameter of the channels from `chan` on, one in each lane.
reals channel_load(global const real *parameter, const ulong chan)
{
#if GROUP_WALK
    return parameter[min(chan, (ulong)CHANNELS - 1)];
#elif SCALAR
    return parameter[chan];
#elif NARROW || SPREADS
    real lane[LANES];
    for (int i = 0; i < LANES; i++)
#if SPREADS
        lane[i] = parameter[(chan + i) % ROW / SPREAD];
#else
        lane[i] = parameter[(chan + i) % ROW];
#endif
    return *(const loose_reals *)lane;
#else
    return *(global const loose_reals *)(parameter + chan);
#endif
}
#endif
#if MAP && !GROUP_WALK && !PIPELINE

// Behind a reduction the last parts are the nearest.
ulong map_part(void)
{
#if REDUCE
    return get_num_groups(2) - 1 - get_group_id(2);
#else
    return get_group_id(2);
#endif
}
#endif
#if MAP && !GROUP_WALK

reals lanes_of(const real *first)
{
    return *(const loose_reals *)first;
}
#endif
#if GHOST && SPLIT

// The sub-batch that a part is of: parts do not reach from one into the next.
ulong reduce_ghost(const extents e)
{
    return get_group_id(2) * e.rows_step / e.ghost_rows;
}

ulong map_ghost(const extents e)
{
#if GROUP_WALK
    return get_group_id(2) * e.rows_step / e.ghost_rows;
#else
    return map_part() * e.rows_step / e.ghost_rows;
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
    one.rows = min(e.rows - ghost * e.ghost_rows, e.ghost_rows);
    return one;
}

ulong ghost_distance(const extents e)
{
    return e.ghost_rows * ROW;
}
#endif
