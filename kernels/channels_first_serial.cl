#if REDUCE

// How many adds are open, and how many close a block.
typedef struct {
    uint open, most;
} pace;

values first_values(const sources from, const ulong at, const ulong length)
{
#if SCALAR
    return length > 0 ? load_values(from, at) : no_values();
#else
    return length < LANES ? load_some_values(from, at, length) : load_values(from, at);
#endif
}

// Adds a row of `length` values to a tally. The values beyond whole vectors come first, in a
// vector that ends with the row.
#if FETCHES
pace reduce_row(
    tally *of, const sources from, ulong at, const ulong length, const ulong ahead,
    const pace before)
#else
pace reduce_row(
    tally *of, const sources from, ulong at, const ulong length, const pace before)
#endif
{
    tally t = *of;
    pace p = before;
    const ulong vectors = length / LANES;
#if !SCALAR
    const int rest = length % LANES;
    if (rest > 0 && vectors > 0)
        tally_add_some(&t, load_values(from, at + length - LANES), lanes_from(LANES - rest));
    else if (rest > 0)
        tally_add_some(&t, load_some_values(from, at, rest), lanes_below(rest));
    p.open += rest > 0;
#endif
    ulong i = 0;
    do {
        const ulong stop = min(vectors, i + max(p.most, p.open + 1) - p.open);
        p.open += stop - i;
        for (; i < stop; i++, at += LANES) {
#if FETCHES
            fetch_values(from, at + ahead);
#endif
            tally_add(&t, load_values(from, at));
        }
        if (p.open >= p.most) {
            tally_close(&t, p.open);
            p.open = 0;
            p.most = BLOCK;
        }
    } while (i < vectors);
    *of = t;
    return p;
}

// One work-item reduces the tile's part, row by row as they lie in memory.
void reduce_tile(const sources from, global real *parts, const extents e)
{
    const ulong first = tile_first(e);
    const uint width = tile_last(e) - first;
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
    const ulong length = n_first < n_last ? row_length(e, n_first, s_first, s_last) : 0;
#else
    const ulong length = n_first < n_last ? s_last - s_first : 0;
#endif
    ulong at = (n_first * CHANNELS + first) * e.spatial + s_first;
    tally t[TALLIES];
    for (uint i = 0; i < width; i++)
        t[i] = tally_start(from, first + i, first_values(from, at + i * e.spatial, length));
    pace p = {0, FIRST_BLOCK};
    for (ulong n = n_first; n < n_last; n++, at += CHANNELS * e.spatial) {
        pace next = p;
#if LENGTHS
        const ulong length = row_length(e, n, s_first, s_last);
#endif
        for (uint i = 0; i < width; i++)
#if FETCHES
            next = reduce_row(&t[i], from, at + i * e.spatial, length, run_distance(e), p);
#else
            next = reduce_row(&t[i], from, at + i * e.spatial, length, p);
#endif
        p = next;
    }
    for (uint i = 0; i < width; i++) {
        tally_close(&t[i], p.open);
        record_store(tally_total(&t[i]), parts, part_index(), first + i, 1);
    }
}
#endif
#if MAP

#if LENGTHS
// Maps `length` values of a row from `at` on. Vectors stand where memory has them.
void map_row(const targets t, const constants k, ulong at, const ulong length)
{
    const ulong end = at + length;
#if !SCALAR
    const int lead = min(map_lead(t, at), length);
    if (lead > 0)
        map_some_values(t, k, at, lead);
    at += lead;
#endif
    for (; at + LANES <= end; at += LANES)
        map_values(t, k, at);
#if !SCALAR
    if (at < end)
        map_some_values(t, k, at, end - at);
#endif
}
#else
// Maps `width` rows of `length` values that follow each other from `at` on. Vectors stand where
// memory has them; one that holds the end of a row also holds the start of the next.
void map_rows(
    const targets t, const table *of, ulong at, const uint width, const ulong length)
{
#if SCALAR
    for (uint i = 0; i < width; i++) {
        const constants k = table_get(of, i);
        for (const ulong end = at + length; at < end; at++)
            map_values(t, k, at);
    }
#else
    constants k = table_get(of, 0);
    ulong end = at + length;
    const int lead = min(map_lead(t, at), length);
    if (lead > 0)
        map_some_values(t, k, at, lead);
    at += lead;
    for (uint i = 1; i <= width; i++, end += length) {
        for (; at + LANES <= end; at += LANES)
            map_values(t, k, at);
        const int rest = end - at;
        if (i == width) {
            if (rest > 0)
                map_some_values(t, k, at, rest);
            return;
        }
        const constants next = table_get(of, i);
        if (rest > 0) {
            map_values(t, constants_choose(lanes_below(rest), k, next), at);
            at += LANES;
        }
        k = next;
    }
#endif
}
#endif

void map_tile(const targets t, const extents e)
{
    const ulong first = tile_first(e);
    const uint width = tile_last(e) - first;
    const ulong n_first = map_part() * e.batch_step;
    const ulong n_last = min(n_first + e.batch_step, e.batch);
    const ulong s_first = get_group_id(2) * e.spatial_step;
    const ulong s_last = min(s_first + e.spatial_step, e.spatial);
    const ulong length = s_last - s_first;
    ulong at = (n_first * CHANNELS + first) * e.spatial + s_first;
    table of;
    for (uint i = 0; i < width; i += WIDE)
        table_set(&of, i, factors_of(t, first + i, min(width - i, (uint)WIDE)));
    for (ulong n = n_first; n < n_last; n++, at += CHANNELS * e.spatial) {
#if LENGTHS
        const ulong valid = row_length(e, n, s_first, s_last);
        for (uint i = 0; i < width; i++) {
            map_row(t, table_get(&of, i), at + i * e.spatial, valid);
            for (ulong s = valid; s < length; s++)
                clear_value(t, at + i * e.spatial + s);
        }
#else
#if !SCALAR
        if (length < LANES) { // a vector would hold more than two rows
            for (uint i = 0; i < width; i++)
                map_some_values(t, table_get(&of, i), at + i * length, length);
            continue;
        }
#endif
        map_rows(t, &of, at, width, length);
#endif
    }
}
#endif
