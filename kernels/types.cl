// Rounding happens where it is written: sums that keep what they lose must not be rearranged or
// fused.
#pragma OPENCL FP_CONTRACT OFF
#if F64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif
#if PIPELINE
#include "hints.cl"
#endif

// Vectors that may stand wherever an element may.
typedef reals loose_reals __attribute__((aligned(sizeof(real))));

// ---- Parameters: `wide` holds those of WIDE channels side by side, or of the last `count` ----

wide wide_load(global const real *from, const int count)
{
#if SCALAR || GROUP_WALK
    return *from;
#else
    if (count == WIDE)
        return *(global const loose_reals *)from;
    real lane[WIDE];
    for (int i = 0; i < WIDE; i++)
        lane[i] = i < count ? from[i] : 0;
    return *(const loose_reals *)lane;
#endif
}

void wide_store(const wide value, global real *to, const int count)
{
#if SCALAR || GROUP_WALK
    *to = value;
#else
    if (count == WIDE) {
        *(global loose_reals *)to = value;
        return;
    }
    real lane[WIDE];
    *(loose_reals *)lane = value;
    for (int i = 0; i < count; i++)
        to[i] = lane[i];
#endif
}
