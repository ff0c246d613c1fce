#include "types.cl"
#include "optimise.cl"

// ---- Kernel. Every buffer comes with an offset in elements; the local size is fixed ----

// One work-item a channel.
kernel __attribute__((reqd_work_group_size(FINISH_GROUP, 1, 1)))
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
    const ulong channel = get_global_id(0);
    if (channel >= CHANNELS)
        return;
#include "optimiser_values.cl"
    state += state_offset;
#if SCALE
    optimise(by, scale + scale_offset, dscale[dscale_offset + channel], state, channel);
#endif
#if SCALE && SHIFT
    state += (ulong)STATES * CHANNELS;
#endif
#if SHIFT
    optimise(by, shift + shift_offset, dshift[dshift_offset + channel], state, channel);
#endif
}
