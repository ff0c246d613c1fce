#if REDUCE

// One work-item reduces LANES channels over the rows of its part.
void reduce_tile(const sources from, global real *parts, const extents e)
{
    const ulong channel = tile_first();
    const ulong first = get_group_id(2) * e.rows_step, last = min(first + e.rows_step, e.rows);
    tally t = tally_start(from, channel);
#if EDGE
    const int width = tile_last() - channel;
    if (width < LANES) {
        for (ulong row = first; row < last; row++)
            tally_add(&t, load_some_values(from, row * CHANNELS + channel, width));
    } else
#endif
    for (ulong row = first; row < last; row++)
        tally_add(&t, load_values(from, row * CHANNELS + channel));
    tally_close(&t);
    for (ulong c = channel; c < tile_last(); c++)
        record_store(tally_lane(&t, c - channel), parts, get_group_id(2), c);
}
#endif
#if MAP

void map_tile(const targets t, const extents e)
{
    const ulong channel = tile_first();
    const ulong first = get_group_id(2) * e.rows_step, last = min(first + e.rows_step, e.rows);
    const constants k = constants_load(t, channel);
#if EDGE
    const int width = tile_last() - channel;
    if (width < LANES) {
        for (ulong row = first; row < last; row++)
            map_some_values(t, k, row * CHANNELS + channel, width);
    } else
#endif
    for (ulong row = first; row < last; row++)
        map_values(t, k, row * CHANNELS + channel);
}
#endif
