# if !defined(INTELFPGA_CL) && !defined(cl_intel_channels)
# error "this text needs a compiler that has channels: cl_intel_channels"
# endif
#pragma OPENCL EXTENSION cl_intel_channels : enable
#include "types.cl"
#include "storage.cl"
#include "walk.cl"
#include "pair.cl"
#include "moments.cl"
#include "finish_forward.cl"
#include "normalise.cl"
#include "pipeline.cl"
#include "columns.cl"
#include "dataflow_channels.cl"

// ---- Kernels. All four run at the same time. Every buffer comes with an offset in elements ----

// Reads each tile twice, once for its moments. While those are taken, the tile before is read to be
// normalised, so that memory is never idle.
#include "tile_kernel.cl"
void reader(
    global const stored *restrict x, const ulong x_offset,
#if ADD
    global const stored *restrict add, const ulong add_offset,
#endif
    const ulong rows)
{
    const extents first = {rows, 0};
    const ulong tiles = tiles_of(first);
    for (ulong tile = 0; tile <= tiles; tile++) {
        const extents now = {rows, min(tile, tiles - 1)}, before = {rows, max(tile, 1ul) - 1};
        const ulong taken = tile < tiles ? rows * columns_of(now) : 0;
        const ulong normalised = tile > 0 ? rows * columns_of(before) : 0;
        place p = {0, 0}, q = {0, 0};
        PIPELINED
        for (ulong i = 0; i < max(taken, normalised); i++) {
            if (i < taken)
                write_channel_intel(x_of_moments, load(x + x_offset + place_at(now, p)));
            if (i < normalised) {
                const ulong at = place_at(before, q);
#if ADD
                const operands v = {load(x + x_offset + at), load(add + add_offset + at)};
#else
                const operands v = {load(x + x_offset + at)};
#endif
                write_channel_intel(x_of_normaliser, v);
            }
            p = place_next(p, columns_of(now));
            q = place_next(q, columns_of(before));
        }
    }
}
#include "dataflow_moments.cl"

// Takes the moments of each tile, and sends what normalising it needs.
#include "tile_kernel.cl"
void moments(
#include "forward_arguments.cl"
    global real *restrict parts, const ulong parts_offset, const ulong rows)
{
    extents e = {rows, 0};
#include "forward_values.cl"
    targets t;
    t.constants = constants + constants_offset;
    for (e.tile = 0; e.tile < tiles_of(e); e.tile++) {
        take_tile(parts + parts_offset, e);
        for (ulong chan = tile_first(e); chan < tile_last(e); chan += LANES) {
            finish_channels(r, parts + parts_offset, 1, chan, LANES);
            write_channel_intel(factors_of_tile, factors_of(t, chan, LANES));
        }
    }
}

#include "tile_kernel.cl"
void normaliser(
    const ulong rows)
{
    extents e = {rows, 0};
    for (e.tile = 0; e.tile < tiles_of(e); e.tile++) {
        const uint columns = columns_of(e);
        const ulong vectors = e.rows * columns;
        uint column = 0;
        table of;
        for (uint i = 0; i < columns; i++)
            table_set(&of, i * LANES, read_channel_intel(factors_of_tile));
        PIPELINED
        for (ulong i = 0; i < vectors; i++) {
            const operands v = read_channel_intel(x_of_normaliser);
            const constants k = table_get(&of, column * LANES);
#if ADD
            write_channel_intel(y_of_writer, normalise(k, v.x, v.add));
#else
            write_channel_intel(y_of_writer, normalise(k, v.x));
#endif
            column = column + 1 < columns ? column + 1 : 0;
        }
    }
}

#include "tile_kernel.cl"
void writer(
    global stored *restrict y, const ulong y_offset,
    const ulong rows)
{
    extents e = {rows, 0};
    for (e.tile = 0; e.tile < tiles_of(e); e.tile++) {
        const ulong vectors = e.rows * columns_of(e);
        place p = {0, 0};
        PIPELINED
        for (ulong i = 0; i < vectors; i++) {
            store(read_channel_intel(y_of_writer), y + y_offset + place_at(e, p));
            p = place_next(p, columns_of(e));
        }
    }
}
