
// ---- Channels last: a tile is TILE channels side by side, its parts are runs of rows ----

typedef struct {
    ulong rows, rows_step;
} extents;

ulong tile_first(void)
{
    return get_group_id(0) * TILE;
}

ulong tile_last(void)
{
    return min(tile_first() + TILE, (ulong)CHANNELS);
}

// A parameter of the channels from `channel` on, one in each lane; the last channel stands in
// beyond the end.
reals channel_load(global const real *parameter, const ulong channel)
{
#if SCALAR
    return parameter[min(channel, (ulong)CHANNELS - 1)];
#else
    real lane[LANES];
    for (int i = 0; i < LANES; i++)
        lane[i] = parameter[min(channel + i, (ulong)CHANNELS - 1)];
    return vload_reals(0, lane);
#endif
}
