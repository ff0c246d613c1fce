
// ---- Channels first: a tile is one channel, its parts are boxes of batch x spatial positions ----

typedef struct {
    ulong batch, spatial, batch_step, spatial_step;
} extents;

#if FUSED
ulong tile_first(void)
{
    return get_group_id(0);
}

ulong tile_last(void)
{
    return get_group_id(0) + 1;
}

#endif
#if REDUCE
ulong part_index(void)
{
    return get_group_id(1) * get_num_groups(2) + get_group_id(2);
}

#endif
// A parameter of the channel, the same in each lane.
reals channel_load(global const real *parameter, const ulong channel)
{
    return (reals)(parameter[channel]);
}
