#if SGD
    const optimiser by = {learning_rate, weight_decay, velocity_decay};
#else
    const optimiser by = {
        learning_rate, weight_decay, weight1, weight2, correction1, correction2, adam_epsilon
    };
#endif
