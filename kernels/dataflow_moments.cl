
// Adds `count` rows of a tile from row `first` on. Tallies start from the first value they take.
void take_rows(tally *t, const ulong first, const ulong count, const extents e)
{
    const uint columns = columns_of(e);
    const ulong vectors = count * columns;
    const sources nowhere = {0};
    place p = {first, 0};
    APART(DEPTH) PIPELINED
    for (ulong i = 0; i < vectors; i++) {
        const values v = {read_channel_intel(x_of_moments)};
        tally *of = &t[p.column * SLOTS + p.row % SLOTS];
        if (p.row < SLOTS)
            *of = tally_start(nowhere, 0, v);
        tally_add(of, v);
        p = place_next(p, columns);
    }
}

void take_tile(global real *parts, const extents e)
{
    const uint columns = columns_of(e);
    const sources nowhere = {0};
    tally t[TALLIES * SLOTS];
    for (uint i = 0; i < columns * SLOTS; i++)
        t[i] = tally_start(nowhere, 0, no_values());
    ulong block = FIRST_BLOCK;
    for (ulong row = 0; row < e.rows;) {
        const ulong adds = min(block * SLOTS, e.rows - row);
        take_rows(t, row, adds, e);
        for (uint i = 0; i < columns; i++)
            tallies_close(&t[i * SLOTS], adds);
        row += adds;
        block = BLOCK;
    }
    for (uint i = 0; i < columns; i++)
        record_store(tallies_fold(&t[i * SLOTS]), parts, 0, column_first(e, i), LANES);
}
