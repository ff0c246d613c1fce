#if REDUCE

// One work-item reduces the channel's part, LANES positions at a time; lanes beyond the end of a
// row go to a tally of their own.
void reduce_tile(const sources from, global real *parts, const extents e)
{
    const ulong channel = get_group_id(0);
    const ulong n_first = get_group_id(1) * e.batch_step;
    const ulong n_last = min(n_first + e.batch_step, e.batch);
    const ulong s_first = get_group_id(2) * e.spatial_step;
    const ulong s_last = min(s_first + e.spatial_step, e.spatial);
    const ulong vectors = (s_last - s_first) / LANES;
#if !SCALAR
    const int rest = (s_last - s_first) % LANES;
    tally edge = tally_start(from, channel);
#endif
    tally body = tally_start(from, channel);
    for (ulong n = n_first; n < n_last; n++) {
        ulong at = (n * CHANNELS + channel) * e.spatial + s_first;
        for (ulong i = 0; i < vectors; i++, at += LANES)
            tally_add(&body, load_values(from, at));
#if !SCALAR
        if (rest > 0)
            tally_add(&edge, load_some_values(from, at, rest));
#endif
    }
    record total = record_none();
    tally_close(&body);
    for (int lane = 0; lane < LANES; lane++)
        total = record_merge(total, tally_lane(&body, lane));
#if !SCALAR
    tally_close(&edge);
    for (int lane = 0; lane < rest; lane++)
        total = record_merge(total, tally_lane(&edge, lane));
#endif
    record_store(total, parts, part_index(), channel);
}
#endif
#if MAP

void map_tile(const targets t, const extents e)
{
    const ulong channel = get_group_id(0);
    const ulong n_first = get_group_id(1) * e.batch_step;
    const ulong n_last = min(n_first + e.batch_step, e.batch);
    const ulong s_first = get_group_id(2) * e.spatial_step;
    const ulong s_last = min(s_first + e.spatial_step, e.spatial);
    const ulong vectors = (s_last - s_first) / LANES;
#if !SCALAR
    const int rest = (s_last - s_first) % LANES;
#endif
    const constants k = constants_load(t, channel);
    for (ulong n = n_first; n < n_last; n++) {
        ulong at = (n * CHANNELS + channel) * e.spatial + s_first;
        for (ulong i = 0; i < vectors; i++, at += LANES)
            map_values(t, k, at);
#if !SCALAR
        if (rest > 0)
            map_some_values(t, k, at, rest);
#endif
    }
}
#endif
