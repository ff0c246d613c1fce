
// A work-group is TILE channels wide and GROUP / TILE rows deep; a work-item keeps to its channel.
#if REDUCE
#if SCRATCH
void reduce_tile(const sources from, global real *parts, const extents e, local record *scratch)
#else
void reduce_tile(const sources from, global real *parts, const extents e)
#endif
{
#if SUBGROUP
    const uint item = group_item();
#else
    const uint item = get_local_id(0);
#endif
    const ulong chan = tile_first(e) + item % TILE;
    const ulong first = get_group_id(2) * e.rows_step;
    const ulong last = chan < CHANNELS ? min(first + e.rows_step, e.rows) : 0;
    const ulong start = first + item / TILE;
#if LENGTHS
    const ulong known = first_row(e, first, last);
    tally t = tally_start(
        from, chan,
        known < last ? load_values(from, known * CHANNELS + chan) : no_values());
#else
    tally t = tally_start(
        from, chan,
        start < last ? load_values(from, start * CHANNELS + chan) : no_values());
#endif
    uint open = 0, most = FIRST_BLOCK;
    for (ulong row = start; row < last; row += GROUP / TILE) {
#if LENGTHS
        if (!row_is_valid(e, row))
            continue;
#endif
        tally_add(&t, load_values(from, row * CHANNELS + chan));
        if (++open == most) {
            tally_close(&t, open);
            open = 0;
            most = BLOCK;
        }
    }
    tally_close(&t, open);
#if SCRATCH
    const record total = fold_group(scratch, item, tally_total(&t));
#else
    const record total = record_collect(tally_total(&t));
#endif
    if (item < TILE && chan < CHANNELS)
        record_store(total, parts, get_group_id(2), chan, 1);
}
#endif
#if MAP

void map_tile(const targets t, const extents e)
{
    const uint item = get_local_id(0);
    const ulong chan = tile_first(e) + item % TILE;
    const ulong first = get_group_id(2) * e.rows_step;
    const ulong last = chan < CHANNELS ? min(first + e.rows_step, e.rows) : 0;
    const constants k = constants_load(t, chan);
    for (ulong row = first + item / TILE; row < last; row += GROUP / TILE)
#if LENGTHS
        if (row_is_valid(e, row))
            map_values(t, k, row * CHANNELS + chan);
        else
            clear_value(t, row * CHANNELS + chan);
#else
        map_values(t, k, row * CHANNELS + chan);
#endif
}
#endif
