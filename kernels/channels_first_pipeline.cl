#if REDUCE

// Where a channel is being read: a row of it, and which of the vectors that have values of the row.
typedef struct {
    ulong row, column;
} place;

place place_next(const place p, const ulong columns, const extents e)
{
    const place right = {p.row, p.column + 1}, below = {p.row + channels_of(e) * e.spatial, 0};
    return p.column + 1 < columns ? right : below;
}

// Vectors lie as the tensor is cut into them, whatever its rows are: so many have values of a row
// at most.
ulong columns_of(const ulong length)
{
    return length % LANES == 0 ? length / LANES : (length + LANES - 2) / LANES + 1;
}

// Adds the values of the row in one vector. The tensor's last vector ends with it.
void add_vector(tally *t, const sources from, const place p, const extents e)
{
#if SCALAR
    tally_add(t, load_values(from, p.row + p.column));
#else
    const ulong at = p.row / LANES * LANES + p.column * LANES;
    const ulong start = min(at, e.batch * channels_of(e) * e.spatial - LANES);
    const int first = max(at, p.row) - start, last = min(at + LANES, p.row + e.spatial) - start;
    tally_add_some(t, load_values(from, start), lanes_from(first) && lanes_below(last));
#endif
}

// Values of the channel that a tally starts from: the vector's, moved into its row; in rows too
// short for one, their first.
values first_values(const sources from, const place p, const extents e)
{
#if SCALAR
    return load_values(from, p.row + p.column);
#else
    if (e.spatial < LANES)
        return load_first(from, p.row);
    const ulong at = p.row / LANES * LANES + p.column * LANES;
    return load_values(from, clamp(at, p.row, p.row + e.spatial - LANES));
#endif
}

// Each tally starts from values that it will take: the channel's first may be an outlier, and cost
// all of them what it costs one.
void start_tallies(
    tally *t, const sources from, const ulong chan, const ulong count, const extents e)
{
    const ulong columns = columns_of(e.spatial);
    place p = {chan * e.spatial, 0};
    PIPELINED
    for (uint slot = 0; slot < SLOTS; slot++) {
        t[slot] = tally_start(from, chan, count > 0 ? first_values(from, p, e) : no_values());
        p = slot + 1 < count ? place_next(p, columns, e) : p;
    }
}

// Adds `count` vectors from a place on, each to the tally whose turn it is.
place add_vectors(
    tally *t, const sources from, const place start, const ulong count, const extents e)
{
    const ulong columns = columns_of(e.spatial);
    place p = start;
    APART(DEPTH) PIPELINED
    for (ulong i = 0; i < count; i++) {
        add_vector(&t[i % SLOTS], from, p, e);
        p = place_next(p, columns, e);
    }
    return p;
}

record reduce_channel(const sources from, const ulong chan, const extents e)
{
    const ulong count = e.batch * columns_of(e.spatial);
    place p = {chan * e.spatial, 0};
    tally t[SLOTS];
    start_tallies(t, from, chan, count, e);
    ulong block = FIRST_BLOCK;
    for (ulong done = 0; done < count;) {
        const ulong adds = min(block * SLOTS, count - done);
        p = add_vectors(t, from, p, adds, e);
        tallies_close(t, adds);
        done += adds;
        block = BLOCK;
    }
    return tallies_fold(t);
}

void reduce_tile(const sources from, global real *parts, const extents e)
{
    const ulong last = tile_last(e);
    for (ulong chan = tile_first(e); chan < last; chan++)
        record_store(reduce_channel(from, chan, e), parts, 0, chan, 1);
}
#endif
#if MAP

// Maps `width` rows of `length` values that follow each other from `start` on. A vector that holds
// the end of a row also holds the start of the next.
void map_rows(
    const targets t, const table *of, const ulong start, const uint width, const ulong length)
{
    const ulong vectors = width * length / LANES;
    ulong at = start, end = start + length;
    uint row = 0;
    INDEPENDENT PIPELINED
    for (ulong i = 0; i < vectors; i++) {
#if SCALAR
        map_values(t, table_get(of, row), at);
#else
        const int left = min(end - at, (ulong)LANES);
        const uint next = min(row + 1, width - 1);
        map_values(
            t, constants_choose(lanes_below(left), table_get(of, row), table_get(of, next)), at);
#endif
        at += LANES;
        row += at >= end;
        end += at >= end ? length : 0;
    }
#if !SCALAR
    const int rest = start + width * length - at;
    if (rest > 0)
        map_some_values(t, table_get(of, width - 1), at, rest);
#endif
}

void map_tile(const targets t, const extents e)
{
    const ulong first = tile_first(e);
    const uint width = tile_last(e) - first;
    ulong at = first * e.spatial;
    table of;
    for (uint i = 0; i < width; i += WIDE)
        table_set(&of, i, factors_of(t, first + i, min(width - i, (uint)WIDE)));
    for (ulong n = 0; n < e.batch; n++, at += channels_of(e) * e.spatial) {
#if !SCALAR
        if (e.spatial < LANES) { // a vector would hold more than two rows
            for (uint i = 0; i < width; i++)
                map_some_values(t, table_get(&of, i), at + i * e.spatial, e.spatial);
            continue;
        }
#endif
        map_rows(t, &of, at, width, e.spatial);
    }
}
#endif
