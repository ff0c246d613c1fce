/* What the halves of the reference share. */
#ifndef CLNORM_VERIFY_REFERENCE_PARTS_H
#define CLNORM_VERIFY_REFERENCE_PARTS_H

#include "values.h"

/* One channel of a slot, by index (n, c, s) or as a parameter. */
int clnorm__reference_has(const struct clnorm_values *values, uint32_t flag);

/* Writes element `index` of a slot when the problem has it. tolerance is that of the number before
 * it is stored. */
void clnorm__reference_put(struct clnorm_values *values, enum clnorm_slot slot, size_t index,
                           double value, double tolerance);

/* ulp of the parameter type at value. */
double clnorm__reference_ulp(const struct clnorm_values *values, double value);

void clnorm__reference_backward(struct clnorm_values *values, int64_t channel);
void clnorm__reference_backward_sums(struct clnorm_values *values, int64_t channel);
void clnorm__reference_input_gradient(struct clnorm_values *values, int64_t channel);

/* One optimiser step on scale and shift of a channel, given gradients and their tolerances. */
struct clnorm__gradient {
    double value, tolerance;
};
void clnorm__reference_optimise(struct clnorm_values *values, int64_t channel,
                                struct clnorm__gradient dscale, struct clnorm__gradient dshift);

#endif
