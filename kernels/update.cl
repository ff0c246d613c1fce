#include "types.cl"
#include "optimise.cl"

// ---- Kernel. Every buffer comes with an offset in elements; the local size is fixed ----

// One work-item for WIDE channels.
kernel __attribute__((reqd_work_group_size(FINISH_GROUP, 1, 1), vec_type_hint(wide)))
void finish(
#if SCALE
    global real *scale, const ulong scale_offset,
    global const real *dscale, const ulong dscale_offset,
#endif
#if SHIFT
    global real *shift, const ulong shift_offset,
    global const real *dshift, const ulong dshift_offset,
#endif
#include "optimiser_arguments.cl"
    global real *state, const ulong state_offset)
{
    const ulong chan = get_global_id(0) * WIDE;
    if (chan >= CHANNELS)
        return;
    const int count = min(CHANNELS - chan, (ulong)WIDE);
#include "optimiser_values.cl"
    state += state_offset + chan;
#if SCALE
    const wide scale_gradient = wide_load(dscale + dscale_offset + chan, count);
    optimise(by, scale + scale_offset + chan, scale_gradient, state, count);
#endif
#if SCALE && SHIFT
    state += (ulong)STATES * CHANNELS;
#endif
#if SHIFT
    const wide shift_gradient = wide_load(dshift + dshift_offset + chan, count);
    optimise(by, shift + shift_offset + chan, shift_gradient, state, count);
#endif
}
