
// ---- Channels: vectors of a tile come through them row by row, tiles in their order ----

// What the normaliser takes of a place.
typedef struct {
    reals x;
#if ADD
    reals add;
#endif
} operands;

channel reals x_of_moments __attribute__((depth(CHANNEL_DEPTH)));
channel operands x_of_normaliser __attribute__((depth(CHANNEL_DEPTH)));
channel factors factors_of_tile __attribute__((depth(TALLIES)));
channel reals y_of_writer __attribute__((depth(CHANNEL_DEPTH)));

// Where a vector of the tile stands in a tensor.
ulong place_at(const extents e, const place p)
{
    return p.row * CHANNELS + column_first(e, p.column);
}
