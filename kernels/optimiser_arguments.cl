#if SGD
    const real learning_rate, const real weight_decay, const real velocity_decay,
#else
    const real learning_rate, const real weight_decay, const real weight1, const real weight2,
    const real correction1, const real correction2, const real adam_epsilon,
#endif
