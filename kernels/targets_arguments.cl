    global stored *dx, const ulong dx_offset,
#if ADD
    global stored *dadd, const ulong dadd_offset,
#endif
