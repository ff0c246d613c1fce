
// ---- Optimiser: one step for the parameters of `count` channels ----

typedef struct {
#if SGD
    real learning_rate, weight_decay, velocity_decay;
#else
    real learning_rate, weight_decay, weight1, weight2, correction1, correction2, adam_epsilon;
#endif
} optimiser;

#if SGD
// Stochastic gradient descent with momentum, weight decay as L2 regularisation.
void optimise(
    const optimiser by, global real *parameter, const wide gradient, global real *state,
    const int count)
{
    const wide value = wide_load(parameter, count);
    const wide slope = gradient + by.weight_decay * value;
    const wide velocity = by.velocity_decay * wide_load(state, count) + slope;
    wide_store(velocity, state, count);
    wide_store(value - by.learning_rate * velocity, parameter, count);
}
#else
// Kingma and Ba, "Adam: a method for stochastic optimization" (2014), algorithm 1. Weights are
// 1 - beta and corrections 1 / (1 - beta^step), from the host: here they would lose digits.
void optimise(
    const optimiser by, global real *parameter, const wide gradient, global real *state,
    const int count)
{
    const wide value = wide_load(parameter, count);
    const wide slope = gradient + by.weight_decay * value;
    const wide first_before = wide_load(state, count);
    const wide second_before = wide_load(state + CHANNELS, count);
    const wide first = first_before + by.weight1 * (slope - first_before);
    const wide second = second_before + by.weight2 * (slope * slope - second_before);
    wide_store(first, state, count);
    wide_store(second, state + CHANNELS, count);
    const wide root = sqrt(second * by.correction2) + by.adam_epsilon;
    wide_store(value - by.learning_rate * (first * by.correction1) / root, parameter, count);
}
#endif
