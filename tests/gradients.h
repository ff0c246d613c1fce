/* Backward against central differences of a loss over the f64 reference's forward. Include first. */
#ifndef CLNORM_TESTS_GRADIENTS_H
#define CLNORM_TESTS_GRADIENTS_H

#include "reference.h"
#include "testing.h"

#define STEP 1e-5

/* The forward whose loss is differentiated: f64, on the very inputs of the device's backward. */
struct model {
    struct clnorm_values forward;
    const struct clnorm_values *backward;
    double (*loss)(struct model *model); /* runs the forward */
};

/* The sum of dy*y. */
static inline double plain_loss(struct model *const model)
{
    double sum = 0;
    clnorm_reference_run(&model->forward);
    for (size_t i = 0; i < model->forward.slot[CLNORM_SLOT_Y].elements; i++)
        sum += model->backward->slot[CLNORM_SLOT_DY].data[i] *
               model->forward.slot[CLNORM_SLOT_Y].data[i];
    return sum;
}

static inline double slope_at(struct model *const model, double *const place)
{
    const double kept = *place;
    *place = kept + STEP;
    const double high = model->loss(model);
    *place = kept - STEP;
    const double low = model->loss(model);
    *place = kept;
    return (high - low) / (2 * STEP);
}

/* The largest difference relative to the largest slope, over all elements of an input and its
 * gradient. */
static inline void check_gradient(struct model *const model, const enum clnorm_slot input,
                                  const enum clnorm_slot gradient, const double tolerance)
{
    double difference = 0, largest = 0;
    for (size_t i = 0; i < model->backward->slot[gradient].elements; i++) {
        const double expected = slope_at(model, &model->forward.slot[input].data[i]);
        difference = fmax(difference, fabs(expected - model->backward->slot[gradient].data[i]));
        largest = fmax(largest, fabs(expected));
    }
    if (!(largest > 0 && difference <= tolerance * largest))
        fail_msg("%s: off by %.3g of at most %.3g", clnorm_slots[gradient].name, difference,
                 largest);
}

static inline void check_gradients(struct model *const model, const double tolerance)
{
    check_gradient(model, CLNORM_SLOT_X, CLNORM_SLOT_DX, tolerance);
    check_gradient(model, CLNORM_SLOT_SCALE, CLNORM_SLOT_DSCALE, tolerance);
    check_gradient(model, CLNORM_SLOT_SHIFT, CLNORM_SLOT_DSHIFT, tolerance);
}

static inline void take(struct clnorm_values *const to, const enum clnorm_slot slot,
                        const struct clnorm_values *const from)
{
    assert_true(to->slot[slot].elements > 0 &&
                to->slot[slot].elements == from->slot[slot].elements);
    memcpy(to->slot[slot].data, from->slot[slot].data, to->slot[slot].elements * sizeof(double));
}

#endif
