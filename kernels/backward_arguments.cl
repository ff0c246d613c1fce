#if KEEP_SUMS
    global real *sums, const ulong sums_offset,
#else
#if GHOST && !LENGTHS
    const ulong positions, const ulong ghost_positions,
#elif !GHOST && !FROZEN
    const real count,
#endif
#if LENGTHS && !FROZEN
    const ulong samples, const ulong sample_positions,
#endif
#if RENORM
    global const real *renorm_r, const ulong renorm_r_offset,
#if SCALE
    global const real *renorm_d, const ulong renorm_d_offset,
#endif
#endif
#if SCALE
#if OPTIMISER
    global real *scale, const ulong scale_offset,
#else
    global const real *scale, const ulong scale_offset,
#endif
    global real *dscale, const ulong dscale_offset,
#endif
#if SHIFT
#if OPTIMISER
    global real *shift, const ulong shift_offset,
#endif
    global real *dshift, const ulong dshift_offset,
#endif
#if OPTIMISER
#include "optimiser_arguments.cl"
    global real *state, const ulong state_offset,
#endif
    global real *constants, const ulong constants_offset,
#endif
