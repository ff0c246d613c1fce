
// A work-group walks the rows x columns of its part, GROUP vectors of LANES at a time, so that
// neighbours load neighbours. A work-item keeps its place as (row, column) and advances by a
// fixed step: no division in the loop.
typedef struct {
    ulong count, row, column, columns, row_step, column_step;
} place;

place place_start(const uint item, const ulong rows, const ulong columns)
{
    const ulong width = max(columns, 1ul);
    const place p = {
        rows * columns, item / width, item % width, width, GROUP / width, GROUP % width
    };
    return p;
}

void place_next(place *p)
{
    p->row += p->row_step;
    p->column += p->column_step;
    if (p->column >= p->columns) {
        p->column -= p->columns;
        p->row++;
    }
}
#if REDUCE

#if SCRATCH
void reduce_tile(const sources from, global real *parts, const extents e, local record *scratch)
#else
void reduce_tile(const sources from, global real *parts, const extents e)
#endif
{
    const ulong chan = get_group_id(0);
#if LENGTHS
    ulong n_first = get_group_id(1) * e.batch_step;
#else
    const ulong n_first = get_group_id(1) * e.batch_step;
#endif
    const ulong n_last = min(n_first + e.batch_step, e.batch);
    const ulong s_first = get_group_id(2) * e.spatial_step;
    const ulong s_last = min(s_first + e.spatial_step, e.spatial);
#if LENGTHS
    n_first = first_sample(e, n_first, n_last, s_first);
#endif
#if SUBGROUP
    const uint item = group_item();
#else
    const uint item = get_local_id(0);
#endif
    place p = place_start(item, n_last - n_first, (s_last - s_first) / LANES);
#if LENGTHS
    const ulong start = (n_first * CHANNELS + chan) * e.spatial + s_first;
    tally t = tally_start(
        from, chan, n_first < n_last ? load_values(from, start) : no_values());
#else
    const ulong start = ((n_first + p.row) * CHANNELS + chan) * e.spatial + s_first;
    tally t = tally_start(
        from, chan,
        item < p.count ? load_values(from, start + p.column * LANES) : no_values());
#endif
    uint open = 0, most = FIRST_BLOCK;
    for (ulong i = item; i < p.count; i += GROUP) {
#if LENGTHS
        if (s_first + p.column >= length_of(e, n_first + p.row)) {
            place_next(&p);
            continue;
        }
#endif
        const ulong row = (n_first + p.row) * CHANNELS + chan;
        tally_add(&t, load_values(from, row * e.spatial + s_first + p.column * LANES));
        if (++open == most) {
            tally_close(&t, open);
            open = 0;
            most = BLOCK;
        }
        place_next(&p);
    }
    tally_close(&t, open);
#if SCRATCH
    const record total = fold_group(scratch, item, tally_total(&t));
#else
    const record total = record_collect(tally_total(&t));
#endif
    if (item == 0)
        record_store(total, parts, part_index(), chan, 1);
}
#endif
#if MAP

void map_tile(const targets t, const extents e)
{
    const ulong chan = get_group_id(0);
    const ulong n_first = get_group_id(1) * e.batch_step;
    const ulong n_last = min(n_first + e.batch_step, e.batch);
    const ulong s_first = get_group_id(2) * e.spatial_step;
    const ulong s_last = min(s_first + e.spatial_step, e.spatial);
    const uint item = get_local_id(0);
    place p = place_start(item, n_last - n_first, (s_last - s_first) / LANES);
    const constants k = constants_load(t, chan);
    for (ulong i = item; i < p.count; i += GROUP) {
        const ulong row = (n_first + p.row) * CHANNELS + chan;
#if LENGTHS
        if (s_first + p.column >= length_of(e, n_first + p.row))
            clear_value(t, row * e.spatial + s_first + p.column);
        else
            map_values(t, k, row * e.spatial + s_first + p.column);
#else
        map_values(t, k, row * e.spatial + s_first + p.column * LANES);
#endif
        place_next(&p);
    }
}
#endif
