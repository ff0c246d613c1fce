#if REDUCE
#include "columns.cl"

// Adds `count` rows of a tile. A column has SLOTS tallies, which take the rows in turn.
void add_rows(
    tally *t, const sources from, const ulong first, const ulong count, const extents e)
{
    const uint columns = columns_of(e);
    const ulong vectors = count * columns;
    place p = {0, 0};
    APART(DEPTH) PIPELINED
    for (ulong i = 0; i < vectors; i++) {
        const ulong at = (first + p.row) * channels_of(e) + column_first(e, p.column);
        tally_add(&t[p.column * SLOTS + p.row % SLOTS], load_values(from, at));
        p = place_next(p, columns);
    }
}

// Each tally starts from values that it will take: the channel's first may be an outlier, and cost
// all of them what it costs one.
void start_tallies(tally *t, const sources from, const extents e)
{
    const uint columns = columns_of(e);
    for (uint i = 0; i < columns; i++) {
        const ulong chan = column_first(e, i);
        PIPELINED
        for (uint slot = 0; slot < SLOTS; slot++) {
            const ulong row = min((ulong)slot, e.rows - 1);
            const values first =
                e.rows > 0 ? load_values(from, row * channels_of(e) + chan) : no_values();
            t[i * SLOTS + slot] = tally_start(from, chan, first);
        }
    }
}

void reduce_tile(const sources from, global real *parts, const extents e)
{
    const uint columns = columns_of(e);
    tally t[TALLIES * SLOTS];
    start_tallies(t, from, e);
    ulong block = FIRST_BLOCK;
    for (ulong row = 0; row < e.rows;) {
        const ulong adds = min(block * SLOTS, e.rows - row);
        add_rows(t, from, row, adds, e);
        for (uint i = 0; i < columns; i++)
            tallies_close(&t[i * SLOTS], adds);
        row += adds;
        block = BLOCK;
    }
    for (uint i = 0; i < columns; i++)
        record_store(tallies_fold(&t[i * SLOTS]), parts, 0, column_first(e, i), LANES);
}
#endif
#if MAP

// Maps `length` values from `at` on, the first of which is of the tile's first channel. Vectors go
// through the table's columns in a circle of `width`.
void map_run(
    const targets t, const table *of, ulong at, const ulong length, const uint width)
{
    const ulong vectors = length / LANES;
    uint column = 0;
    INDEPENDENT PIPELINED
    for (ulong i = 0; i < vectors; i++) {
        map_values(t, table_get(of, column), at);
        at += LANES;
        column += LANES;
        column -= column < width ? 0 : width;
    }
#if !SCALAR
    const int rest = length % LANES;
    if (rest > 0)
        map_some_values(t, table_get(of, column), at, rest);
#endif
}

// The table has the tile's channels, and the first LANES - 1 once more.
void map_tile(const targets t, const extents e)
{
    const ulong first = tile_first(e);
    const uint width = tile_last(e) - first;
    table of;
    for (uint i = 0; i < width; i += WIDE)
        table_set(&of, i, factors_of(t, first + i, min(width - i, (uint)WIDE)));
    for (uint i = width; i < width + LANES - 1; i++)
        table_repeat(&of, i, i - width);
    const ulong channels = channels_of(e);
    const ulong runs = width == channels ? min(e.rows, 1ul) : e.rows;
    const ulong length = width == channels ? e.rows * channels : width;
    for (ulong i = 0; i < runs; i++)
        map_run(t, &of, i * channels + first, length, width);
}
#endif
