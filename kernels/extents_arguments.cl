#include "lengths_arguments.cl"
#if BOUNDED
    const ulong channels,
#endif
#if CHANNELS_FIRST
#if !BAKED
    const ulong batch, const ulong spatial,
#endif
#if !PIPELINE
    const ulong batch_step, const ulong spatial_step,
#endif
#else
#if !BAKED
    const ulong rows,
#endif
#if !PIPELINE
    const ulong rows_step,
#if GHOST
    const ulong ghost_rows,
#endif
#endif
#endif
#if !GROUP_WALK && !PIPELINE
    const ulong tile,
#endif
