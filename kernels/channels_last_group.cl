
// A work-group is TILE channels wide and GROUP / TILE rows deep; a work-item keeps to its channel.
#if REDUCE
void reduce_tile(const sources from, global real *parts, const extents e, local record *scratch)
{
    const uint item = get_local_id(0);
    const ulong channel = tile_first() + item % TILE;
    const ulong first = get_group_id(2) * e.rows_step;
    const ulong last = channel < CHANNELS ? min(first + e.rows_step, e.rows) : 0;
    tally t = tally_start(from, channel);
    for (ulong row = first + item / TILE; row < last; row += GROUP / TILE)
        tally_add(&t, load_values(from, row * CHANNELS + channel));
    tally_close(&t);
    scratch[item] = tally_lane(&t, 0);
    fold_group(scratch, item);
    if (item < TILE && channel < CHANNELS)
        record_store(scratch[item], parts, get_group_id(2), channel);
}
#endif
#if MAP

void map_tile(const targets t, const extents e)
{
    const uint item = get_local_id(0);
    const ulong channel = tile_first() + item % TILE;
    const ulong first = get_group_id(2) * e.rows_step;
    const ulong last = channel < CHANNELS ? min(first + e.rows_step, e.rows) : 0;
    const constants k = constants_load(t, channel);
    for (ulong row = first + item / TILE; row < last; row += GROUP / TILE)
        map_values(t, k, row * CHANNELS + channel);
}
#endif
