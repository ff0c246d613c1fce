#include "types.cl"
#include "optimise.cl"

// ---- Kernel. Every buffer comes with an offset in elements; the local size is fixed ----

// One work-item for WIDE channels.
#include "finish_kernel.cl"
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
#include "optimiser_values.cl"
#if PIPELINE
    for (ulong chan = 0; chan < CHANNELS; chan += WIDE) {
#else
    const ulong chan = get_global_id(0) * WIDE;
    if (chan < CHANNELS) {
#endif
        const int count = min(CHANNELS - chan, (ulong)WIDE);
        global real *at = state + state_offset + chan;
#if SCALE
        const wide scale_gradient = wide_load(dscale + dscale_offset + chan, count);
        optimise(by, scale + scale_offset + chan, scale_gradient, at, count);
#endif
#if SCALE && SHIFT
        at += (ulong)STATES * CHANNELS;
#endif
#if SHIFT
        const wide shift_gradient = wide_load(dshift + dshift_offset + chan, count);
        optimise(by, shift + shift_offset + chan, shift_gradient, at, count);
#endif
    }
}
