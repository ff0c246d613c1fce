#include "lengths_arguments.cl"
#if CHANNELS_FIRST
#if !BAKED
    const ulong batch, const ulong spatial,
#endif
    const ulong batch_step, const ulong spatial_step,
#else
#if !BAKED
    const ulong rows,
#endif
    const ulong rows_step,
#if GHOST
    const ulong ghost_rows,
#endif
#endif
#if !GROUP_WALK
    const ulong tile,
#endif
