/* Backward on the device against central differences of the f64 reference's forward: loss =
 * sum(weight * y). */
#include "reference.h"
#include "testing.h"

#define STEP 1e-5

/* The forward whose loss is differentiated: f64, on the very inputs of the device's backward. */
struct model {
    struct clnorm_values forward;
    double *weight; /* the backward's dy */
};

static double loss(struct model *const model)
{
    double sum = 0;
    clnorm_reference_run(&model->forward);
    const struct clnorm_slot_values *const y = &model->forward.slot[CLNORM_SLOT_Y];
    for (size_t i = 0; i < y->elements; i++)
        sum += model->weight[i] * y->data[i];
    return sum;
}

static double slope(struct model *const model, const enum clnorm_slot slot, const size_t i)
{
    double *const place = &model->forward.slot[slot].data[i];
    const double kept = *place;
    *place = kept + STEP;
    const double high = loss(model);
    *place = kept - STEP;
    const double low = loss(model);
    *place = kept;
    return (high - low) / (2 * STEP);
}

/* Largest difference relative to the largest slope, over all elements of an input and its gradient.
 */
static void check_gradient(struct model *const model, const struct clnorm_values *const backward,
                           const enum clnorm_slot input, const enum clnorm_slot gradient,
                           const double tolerance)
{
    double difference = 0, largest = 0;
    if (!backward->slot[gradient].data || !model->forward.slot[input].data)
        return;
    for (size_t i = 0; i < backward->slot[gradient].elements; i++) {
        const double expected = slope(model, input, i);
        difference = fmax(difference, fabs(expected - backward->slot[gradient].data[i]));
        largest = fmax(largest, fabs(expected));
    }
    if (!(largest > 0 && difference <= tolerance * largest))
        fail_msg("%s: off by %.3g of at most %.3g", clnorm_slots[gradient].name, difference,
                 largest);
}

/* relu has no slope at 0: data that come close to it are no use for differences. */
static int near_kink(const struct clnorm_values *const values)
{
    for (size_t i = 0; i < values->slot[CLNORM_SLOT_Y].elements; i++) {
        const double y = values->slot[CLNORM_SLOT_Y].data[i];
        if (y > 0 && y < 100 * STEP)
            return 1;
    }
    return 0;
}

static void take(struct clnorm_values *const to, const enum clnorm_slot slot,
                 const struct clnorm_values *const from)
{
    if (!to->slot[slot].data || !from->slot[slot].data)
        return;
    for (size_t i = 0; i < to->slot[slot].elements; i++)
        to->slot[slot].data[i] = from->slot[slot].data[i];
}

/* A forward in f64 on values that the backward's dtype can hold, and the backward's inputs from it.
 */
static struct model model_of(struct clnorm_values *const backward, const uint64_t seed)
{
    struct clnorm_problem problem = backward->problem;
    struct clnorm_values narrow;
    struct model model = {.weight = backward->slot[CLNORM_SLOT_DY].data};
    problem.operation = CLNORM_FORWARD;
    assert_int_equal(clnorm_values_create(&narrow, &problem, backward->batch, backward->spatial, 1),
                     CLNORM_OK);
    clnorm_data_fill(&narrow, CLNORM_DATA_ORDINARY, seed);
    problem.dtype = CLNORM_F64;
    assert_int_equal(
        clnorm_values_create(&model.forward, &problem, backward->batch, backward->spatial, 1),
        CLNORM_OK);
    static const enum clnorm_slot inputs[] = {CLNORM_SLOT_X, CLNORM_SLOT_SCALE, CLNORM_SLOT_SHIFT,
                                              CLNORM_SLOT_ADD};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
        take(&model.forward, inputs[i], &narrow);
    clnorm_values_free(&narrow);
    (void)loss(&model);
    static const enum clnorm_slot kept[] = {CLNORM_SLOT_X,    CLNORM_SLOT_SCALE,  CLNORM_SLOT_SHIFT,
                                            CLNORM_SLOT_MEAN, CLNORM_SLOT_INVSTD, CLNORM_SLOT_Y};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        take(backward, kept[i], &model.forward);
    return model;
}

static void check_problem(struct clnorm_context *const context, const char *const text,
                          const double tolerance)
{
    struct clnorm_values backward = values_of(text, 0, 0, 1, CLNORM_DATA_ORDINARY, 3);
    struct model model = model_of(&backward, 1);
    for (uint64_t seed = 2; near_kink(&model.forward); seed++) {
        assert_true(seed < 200);
        clnorm_values_free(&model.forward);
        model = model_of(&backward, seed);
    }
    if (execute(context, NULL, &backward, NULL)) {
        check_gradient(&model, &backward, CLNORM_SLOT_X, CLNORM_SLOT_DX, tolerance);
        check_gradient(&model, &backward, CLNORM_SLOT_SCALE, CLNORM_SLOT_DSCALE, tolerance);
        check_gradient(&model, &backward, CLNORM_SLOT_SHIFT, CLNORM_SLOT_DSHIFT, tolerance);
        check_gradient(&model, &backward, CLNORM_SLOT_ADD, CLNORM_SLOT_DADD, tolerance);
    }
    clnorm_values_free(&model.forward);
    clnorm_values_free(&backward);
}

static void gradients_in_f32(void **state)
{
    static const char *const texts[] = {
        "backward nchw f32 3x2x7",
        "backward nhwc f32 3x2x7",
        "backward nchw f32 3x2x7 +scale",
        "backward nchw f32 3x2x7 +scale +shift",
        "backward nhwc f32 3x2x7 +scale +shift",
        "backward nchw f32 3x2x5 +scale +shift +relu",
        "backward nhwc f32 3x2x5 +scale +shift +relu",
        "backward nchw f32 3x2x5 +scale +shift +add +relu",
        "backward nhwc f32 3x2x5 +scale +shift +add +relu",
        "backward nchw f32 9x3 +scale +shift",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_problem(*state, texts[i], 2e-5);
}

static void gradients_in_f64(void **state)
{
    check_problem(*state, "backward nchw f64 3x2x7 +scale +shift", 1e-8);
    check_problem(*state, "backward nhwc f64 3x2x5 +scale +shift +add +relu", 1e-8);
}

/* Frozen statistics: infer is the forward, mean and var do not follow x. */
static void frozen_gradient(void **state)
{
    struct clnorm_values backward =
        values_of("backward-frozen nchw f32 3x2x7 +scale +shift", 0, 0, 1, CLNORM_DATA_ORDINARY, 4);
    struct model model = {
        .forward =
            values_of("infer nchw f64 3x2x7 +scale +shift", 0, 0, 1, CLNORM_DATA_ORDINARY, 4),
        .weight = backward.slot[CLNORM_SLOT_DY].data,
    };
    take(&model.forward, CLNORM_SLOT_X, &backward);
    take(&model.forward, CLNORM_SLOT_MEAN, &backward);
    take(&backward, CLNORM_SLOT_SCALE, &model.forward);
    for (size_t c = 0; c < 2; c++) {
        const double invstd = backward.slot[CLNORM_SLOT_INVSTD].data[c];
        model.forward.slot[CLNORM_SLOT_VAR].data[c] = 1 / (invstd * invstd) - model.forward.epsilon;
    }
    if (execute(*state, NULL, &backward, NULL)) {
        check_gradient(&model, &backward, CLNORM_SLOT_X, CLNORM_SLOT_DX, 2e-5);
        check_gradient(&model, &backward, CLNORM_SLOT_SCALE, CLNORM_SLOT_DSCALE, 2e-5);
        check_gradient(&model, &backward, CLNORM_SLOT_SHIFT, CLNORM_SLOT_DSHIFT, 2e-5);
    }
    clnorm_values_free(&model.forward);
    clnorm_values_free(&backward);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_in_f32),
        cmocka_unit_test(gradients_in_f64),
        cmocka_unit_test(frozen_gradient),
    };
    return cmocka_run_group_tests(tests, make_context, release_context);
}
