#if OPTIMISER
#include "optimiser_values.cl"
#endif
    const results r = {
#if KEEP_SUMS
        sums + sums_offset
#else
#if !FROZEN
#if GHOST && LENGTHS
        mean + mean_offset, lengths + lengths_offset, samples, sample_positions,
#elif GHOST
        mean + mean_offset, positions, ghost_positions,
#else
#if LENGTHS
        mean + mean_offset,
        count > 0 ? count : count_valid(lengths + lengths_offset, samples, sample_positions),
#else
        mean + mean_offset, count,
#endif
#endif
#endif
        invstd + invstd_offset,
#if RENORM
        renorm_r + renorm_r_offset,
#if SCALE
        renorm_d + renorm_d_offset,
#endif
#endif
#if SCALE
        scale + scale_offset, dscale + dscale_offset,
#endif
#if SHIFT
#if OPTIMISER
        shift + shift_offset,
#endif
        dshift + dshift_offset,
#endif
#if OPTIMISER
        state + state_offset, by,
#endif
        constants + constants_offset
#endif
    };
