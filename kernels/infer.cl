#include "types.cl"
#include "storage.cl"
#include "walk.cl"
#include "normalise.cl"
#include "walk_tiles.cl"

// ---- Kernel. Every buffer comes with an offset in elements; the local size is fixed ----

// One group a tile and part.
#include "tile_kernel.cl"
void map(
    global const stored *x, const ulong x_offset,
#if ADD
    global const stored *add, const ulong add_offset,
#endif
    global stored *y, const ulong y_offset,
    global const real *mean, const ulong mean_offset,
    global const real *var, const ulong var_offset,
#if SCALE
    global const real *scale, const ulong scale_offset,
#endif
#if SHIFT
    global const real *shift, const ulong shift_offset,
#endif
#include "extents_arguments.cl"
#if STREAMS
    const ulong past,
#endif
    const real epsilon)
{
#include "extents_values.cl"
    const targets t = {
        x + x_offset,
#if ADD
        add + add_offset,
#endif
        y + y_offset, mean + mean_offset, var + var_offset,
#if SCALE
        scale + scale_offset,
#endif
#if SHIFT
        shift + shift_offset,
#endif
        epsilon,
#if STREAMS
        past,
#endif
#if FETCHES
        run_distance(e)
#endif
    };
#include "map_call.cl"
}
