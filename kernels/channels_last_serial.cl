#if REDUCE && NARROW

// A row is shorter than a vector: COLUMNS values, some rows side by side, are whole vectors.
void reduce_tile(const sources from, global real *parts, const extents e)
{
    const ulong first = get_group_id(2) * e.rows_step, last = min(first + e.rows_step, e.rows);
    const ulong end = last * ROW;
    ulong at = first * ROW;
    tally t[TALLIES];
    for (uint i = 0; i < COLUMNS; i += LANES) {
        const int count = clamp((long)(end - at) - i, 0l, (long)LANES);
        t[i / LANES] = tally_start(from, i, load_some_values(from, at + i, count));
    }
    uint open = 0, most = FIRST_BLOCK;
    for (; at + COLUMNS <= end; at += COLUMNS) {
        for (uint i = 0; i < COLUMNS; i += LANES)
            tally_add(&t[i / LANES], load_values(from, at + i));
        if (++open == most) {
            for (uint i = 0; i < COLUMNS / LANES; i++)
                tally_close(&t[i], open);
            open = 0;
            most = BLOCK;
        }
    }
    for (uint i = 0; i < COLUMNS; i += LANES) {
        const int count = clamp((long)(end - at) - i, 0l, (long)LANES);
        tally_add_some(
            &t[i / LANES], load_some_values(from, at + i, count), lanes_below(count));
        tally_close(&t[i / LANES], open + 1);
    }
    for (uint i = 0; i < ROW; i++) {
        const tally one = tally_gather(t, i);
#if SPREADS
        record_store(
            tally_total(&one), parts, get_group_id(2) * SPREAD + i % SPREAD, i / SPREAD, 1);
#else
        record_store(tally_total(&one), parts, get_group_id(2), i, 1);
#endif
    }
}
#elif REDUCE

#if FETCHES
// Where the values are that are asked for next: some rows ahead, in the order of memory, which is
// what memory is fast at.
typedef struct {
    ulong at;
    uint column;
} pointer;

pointer fetch_next(const sources from, const pointer p, const uint vectors)
{
    fetch_values(from, p.at + p.column * LANES);
    const pointer same = {p.at, p.column + 1}, next = {p.at + ROW, 0};
    return p.column + 1 < vectors ? same : next;
}

#endif
#if SPREADS

// Stores the sums of columns, a channel's in sets of their own. A record is its planes in turn.
void record_spread(const record r, global real *parts, const ulong part, const ulong column)
{
    const ulong planes = sizeof(record) / sizeof(reals);
    const real *from = (const real *)&r;
    for (ulong plane = 0; plane < planes; plane++)
        for (ulong c = column; c < column + LANES; c++, from++) {
            const ulong set = part * SPREAD + c % SPREAD;
            parts[(set * planes + plane) * CHANNELS + c / SPREAD] = *from;
        }
}
#endif

// One work-item reduces the tile's part, ABREAST rows at a time. The last vector of a row ends with
// it, and may overlap the one before.
void reduce_tile(const sources from, global real *parts, const extents e)
{
    const ulong chan = tile_first(e);
    const uint width = tile_last(e) - chan, vectors = (width + LANES - 1) / LANES;
    const ulong first = get_group_id(2) * e.rows_step, last = min(first + e.rows_step, e.rows);
    tally t[TALLIES];
#if LENGTHS
    const ulong known = first_row(e, first, last);
#endif
    for (uint i = 0; i < vectors; i++) {
        const ulong c = chan + min(i * LANES, width - LANES);
#if LENGTHS
        t[i] = tally_start(
            from, c, known < last ? load_values(from, known * ROW + c) : no_values());
#else
        t[i] = tally_start(
            from, c, first < last ? load_values(from, first * ROW + c) : no_values());
#endif
    }
#if FETCHES
    pointer p = {(first + AHEAD) * ROW + chan, 0};
#endif
    uint most = FIRST_BLOCK;
#if LENGTHS
    for (ulong row = known; row < last; row = first_row(e, row, last)) {
        const ulong begin = row, stop = min(row + most, run_end(e, row, last));
#else
    for (ulong row = first; row < last;) {
        const ulong begin = row, stop = min(row + most, last);
#endif
        for (; row + ABREAST <= stop; row += ABREAST)
            for (uint i = 0; i < vectors; i++) {
                ulong at = row * ROW + chan + min(i * LANES, width - LANES);
                for (uint j = 0; j < ABREAST; j++, at += ROW) {
#if FETCHES
                    p = fetch_next(from, p, vectors);
#endif
                    tally_add(&t[i], load_values(from, at));
                }
            }
        for (; row < stop; row++)
            for (uint i = 0; i < vectors; i++) {
                const ulong at = row * ROW + chan + min(i * LANES, width - LANES);
                tally_add(&t[i], load_values(from, at));
            }
        for (uint i = 0; i < vectors; i++)
            tally_close(&t[i], row - begin);
        most = BLOCK;
    }
    for (uint i = 0; i < vectors; i++) {
        const ulong c = chan + min(i * LANES, width - LANES);
#if SPREADS
        record_spread(tally_total(&t[i]), parts, get_group_id(2), c);
#else
        record_store(tally_total(&t[i]), parts, get_group_id(2), c, LANES);
#endif
    }
}
#endif
#if MAP

// Maps `length` values from `at` on, the first of which is of the tile's first channel. Vectors
// stand where memory has them and go through the table's columns in a circle.
void map_columns(
    const targets t, const table *of, ulong at, const ulong length, const uint circle)
{
    const ulong end = at + length;
    uint column = 0;
#if !SCALAR
    column = min(map_lead(t, at), length);
    if (column > 0)
        map_some_values(t, table_get(of, 0), at, column);
    at += column;
#endif
    while (at + LANES <= end) {
        const ulong stop = min(at + (circle - column), end + 1 - LANES);
        for (; at < stop; at += LANES, column += LANES)
            map_values(t, table_get(of, column), at);
        if (column >= circle)
            column -= circle;
    }
#if !SCALAR
    if (at < end)
        map_some_values(t, table_get(of, column), at, end - at);
#endif
}

// The table has the tile's channels as often as they fit, and once more for LANES - 1 columns.
void map_tile(const targets t, const extents e)
{
    const ulong chan = tile_first(e);
    const uint width = tile_last(e) - chan, circle = (TABLE - LANES + 1) / width * width;
    const ulong first = map_part() * e.rows_step, last = min(first + e.rows_step, e.rows);
    table of;
#if SPREADS
    const uint chans = width / SPREAD;
    for (uint i = 0; i < chans; i += WIDE)
        table_set(&of, i, factors_of(t, chan / SPREAD + i, min(chans - i, (uint)WIDE)));
    for (uint i = width; i-- > 0;)
        table_repeat(&of, i, i / SPREAD);
#else
    for (uint i = 0; i < width; i += WIDE)
        table_set(&of, i, factors_of(t, chan + i, min(width - i, (uint)WIDE)));
#endif
    for (uint i = width; i < circle + LANES - 1; i++)
        table_repeat(&of, i, i - width);
#if LENGTHS
    for (ulong row = first; row < last;) {
        const ulong end = run_end(e, row, last);
        if (width == ROW)
            map_columns(t, &of, row * ROW, (end - row) * ROW, circle);
        else
            for (ulong valid = row; valid < end; valid++)
                map_columns(t, &of, valid * ROW + chan, width, circle);
        const ulong next = first_row(e, end, last);
        for (row = end; row < next; row++)
            for (uint i = 0; i < width; i++)
                clear_value(t, row * ROW + chan + i);
    }
#else
    if (width == ROW)
        map_columns(t, &of, first * ROW, (last - first) * ROW, circle);
    else
        for (ulong row = first; row < last; row++)
            map_columns(t, &of, row * ROW + chan, width, circle);
#endif
}
#endif
