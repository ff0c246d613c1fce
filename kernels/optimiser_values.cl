#if SGD
    const optimiser by = {learning_rate, weight_decay, velocity_decay};
#else
    const optimiser by = {
        learning_rate, weight_decay, beta1, beta2, correction1, correction2, adam_epsilon
    };
#endif
