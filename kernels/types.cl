// Rounding happens where it is written: sums that keep what they lose must not be rearranged or
// fused.
#pragma OPENCL FP_CONTRACT OFF
#if F64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif
