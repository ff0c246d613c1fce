#if OPTIMISER
    global real *state = r.state + chan;
#if SCALE
    optimise(r.by, r.scale + chan, total.dot, state, count);
    state += (ulong)STATES * CHANNELS;
#endif
#if SHIFT
    optimise(r.by, r.shift + chan, total.sum, state, count);
#endif
#endif
