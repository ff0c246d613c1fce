
// ---- Optimiser: one step for one parameter ----

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
    const optimiser by, global real *parameter, const real gradient, global real *state,
    const ulong channel)
{
    const real slope = gradient + by.weight_decay * parameter[channel];
    const real velocity = by.velocity_decay * state[channel] + slope;
    state[channel] = velocity;
    parameter[channel] -= by.learning_rate * velocity;
}
#else
// Kingma and Ba, "Adam: a method for stochastic optimization" (2014), algorithm 1. Weights are
// 1 - beta and corrections 1 / (1 - beta^step), from the host: here they would lose digits.
void optimise(
    const optimiser by, global real *parameter, const real gradient, global real *state,
    const ulong channel)
{
    const real slope = gradient + by.weight_decay * parameter[channel];
    const real first = state[channel] + by.weight1 * (slope - state[channel]);
    const real before = state[CHANNELS + channel];
    const real second = before + by.weight2 * (slope * slope - before);
    state[channel] = first;
    state[CHANNELS + channel] = second;
    const real root = sqrt(second * by.correction2) + by.adam_epsilon;
    parameter[channel] -= by.learning_rate * (first * by.correction1) / root;
}
#endif
