    global const stored *dy, const ulong dy_offset,
#if DOT
    global const stored *x, const ulong x_offset,
    global const real *mean, const ulong mean_offset,
    global const real *invstd, const ulong invstd_offset,
#endif
#if RELU
    global const stored *y, const ulong y_offset,
#endif
