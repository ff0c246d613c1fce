#include "convert.h"
#include "reference.h"
#include "reference_parts.h"

#include <math.h>

/* A parameter with its optimiser state: velocity, or first and second moment. A step takes `rate`
 * times the first off the parameter. */
struct state {
    double parameter, first, second, rate;
};

/* v = momentum*v + g; p -= rate*v, with L2 weight decay in g. */
static struct state sgd_step(const struct clnorm_optimiser *const options, const struct state old,
                             const double gradient)
{
    const double total = gradient + options->weight_decay * old.parameter;
    const double velocity = options->momentum * old.first + total;
    return (struct state){.parameter = old.parameter - options->learning_rate * velocity,
                          .first = velocity,
                          .rate = options->learning_rate};
}

/* Kingma and Ba 2014, algorithm 1, with L2 weight decay in the gradient. */
static struct state adam_step(const struct clnorm_optimiser *const options, const struct state old,
                              const double gradient)
{
    const double beta1 = options->beta1 > 0 ? options->beta1 : 0.9;
    const double beta2 = options->beta2 > 0 ? options->beta2 : 0.999;
    const double epsilon = options->epsilon > 0 ? options->epsilon : 1e-8;
    const double total = gradient + options->weight_decay * old.parameter;
    const double first = beta1 * old.first + (1 - beta1) * total;
    const double second = beta2 * old.second + (1 - beta2) * total * total;
    const double second_hat = second / (1 - pow(beta2, (double)options->step));
    const double rate = options->learning_rate / (1 - pow(beta1, (double)options->step)) /
                        (sqrt(second_hat) + epsilon);
    return (struct state){
        .parameter = old.parameter - rate * first, .first = first, .second = second, .rate = rate};
}

static double reach(const double middle, const double low, const double high)
{
    return fmax(fabs(low - middle), fabs(high - middle));
}

/* One parameter: slot of the parameter, where its state starts (in channels), its gradient. */
static void optimise(struct clnorm_values *const values, const enum clnorm_slot slot,
                     const size_t state_index, const int64_t c,
                     const struct clnorm__gradient gradient)
{
    const size_t channels = (size_t)values->problem.channels, index = (size_t)c;
    const int adam = clnorm__reference_has(values, CLNORM_ADAM);
    const size_t first = state_index * channels + index, second = first + channels;
    const double *const data = values->slot[CLNORM_SLOT_STATE].data;
    const struct state old = {values->slot[slot].data[c], data[first], adam ? data[second] : 0, 0};
    struct state (*const step)(const struct clnorm_optimiser *, struct state, double) =
        adam ? adam_step : sgd_step;
    const struct clnorm_optimiser *const options = &values->optimiser;
    const struct state new = step(options, old, gradient.value);
    const struct state low = step(options, old, gradient.value - gradient.tolerance);
    const struct state high = step(options, old, gradient.value + gradient.tolerance);

    const double unit = clnorm_reference_unit(values->problem.dtype);
    /* What was is added to the gradient, and may cancel it. */
    const double terms =
        fabs(old.first) + fabs(gradient.value) + options->weight_decay * fabs(old.parameter);
    clnorm__reference_put(values, slot, index, new.parameter,
                          unit * terms * new.rate +
                              reach(new.parameter, low.parameter, high.parameter) +
                              2 * clnorm__reference_ulp(values, old.parameter));
    clnorm__reference_put(values, CLNORM_SLOT_STATE, first, new.first,
                          unit * terms + reach(new.first, low.first, high.first));
    if (adam)
        clnorm__reference_put(values, CLNORM_SLOT_STATE, second, new.second,
                              unit * new.second + reach(new.second, low.second, high.second));
}

void clnorm__reference_optimise(struct clnorm_values *const values, const int64_t c,
                                const struct clnorm__gradient dscale,
                                const struct clnorm__gradient dshift)
{
    if (!clnorm__reference_has(values, CLNORM_SGD | CLNORM_ADAM))
        return;
    const size_t each = clnorm__reference_has(values, CLNORM_ADAM) ? 2 : 1;
    if (clnorm__reference_has(values, CLNORM_SCALE))
        optimise(values, CLNORM_SLOT_SCALE, 0, c, dscale);
    if (clnorm__reference_has(values, CLNORM_SHIFT))
        optimise(values, CLNORM_SLOT_SHIFT, clnorm__reference_has(values, CLNORM_SCALE) ? each : 0,
                 c, dshift);
}
