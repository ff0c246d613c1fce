
// Where a tile is being read: a row, and which of its vectors.
typedef struct {
    ulong row;
    uint column;
} place;

place place_next(const place p, const uint columns)
{
    const place right = {p.row, p.column + 1}, below = {p.row + 1, 0};
    return p.column + 1 < columns ? right : below;
}

// The first channel of a tile's column. The last one ends with the tile, and may overlap the one
// before.
ulong column_first(const extents e, const uint column)
{
    const ulong first = tile_first(e);
    return min(first + column * LANES, tile_last(e) - LANES);
}

uint columns_of(const extents e)
{
    return (tile_last(e) - tile_first(e) + LANES - 1) / LANES;
}
