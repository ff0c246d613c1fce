/* The gradients of backward, in all dtypes and with what goes with it, and of frozen statistics. */
#include "gradients.h"

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

static int has(const struct clnorm_values *const values, const enum clnorm_slot slot)
{
    return values->slot[slot].data != NULL;
}

/* Those of the slots that both have. */
static void take_some(struct clnorm_values *const to, const struct clnorm_values *const from,
                      const enum clnorm_slot *const slots, const size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (has(to, slots[i]) && has(from, slots[i]))
            take(to, slots[i], from);
}

/* A forward in f64 on values that the backward's dtype can hold, and the backward's inputs from it.
 */
static struct model model_of(struct clnorm_values *const backward, const uint64_t seed)
{
    struct clnorm_problem problem = backward->problem;
    struct clnorm_values narrow;
    struct model model = {.backward = backward, .loss = plain_loss};
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
    take_some(&model.forward, &narrow, inputs, sizeof inputs / sizeof *inputs);
    clnorm_values_free(&narrow);
    (void)plain_loss(&model);
    static const enum clnorm_slot kept[] = {CLNORM_SLOT_X,    CLNORM_SLOT_SCALE,  CLNORM_SLOT_SHIFT,
                                            CLNORM_SLOT_MEAN, CLNORM_SLOT_INVSTD, CLNORM_SLOT_Y};
    take_some(backward, &model.forward, kept, sizeof kept / sizeof *kept);
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
    static const enum clnorm_slot pairs[][2] = {{CLNORM_SLOT_X, CLNORM_SLOT_DX},
                                                {CLNORM_SLOT_SCALE, CLNORM_SLOT_DSCALE},
                                                {CLNORM_SLOT_SHIFT, CLNORM_SLOT_DSHIFT},
                                                {CLNORM_SLOT_ADD, CLNORM_SLOT_DADD}};
    const int ran = execute(context, NULL, &backward, NULL);
    for (size_t i = 0; ran && i < sizeof pairs / sizeof *pairs; i++)
        if (has(&model.forward, pairs[i][0]) && has(&backward, pairs[i][1]))
            check_gradient(&model, pairs[i][0], pairs[i][1], tolerance);
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
        .backward = &backward,
        .loss = plain_loss,
    };
    take(&model.forward, CLNORM_SLOT_X, &backward);
    take(&model.forward, CLNORM_SLOT_MEAN, &backward);
    take(&backward, CLNORM_SLOT_SCALE, &model.forward);
    for (size_t c = 0; c < 2; c++) {
        const double invstd = backward.slot[CLNORM_SLOT_INVSTD].data[c];
        model.forward.slot[CLNORM_SLOT_VAR].data[c] = 1 / (invstd * invstd) - model.forward.epsilon;
    }
    if (execute(*state, NULL, &backward, NULL))
        check_gradients(&model, 2e-5);
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
