/* Batch renormalization: against the f64 reference under every schedule, its limits, its gradient. */
#include "compare.h"
#include "reference.h"
#include "testing.h"

#define STEP 1e-5

static void check_case(const struct clnorm_case *const one)
{
    struct clnorm_verify_result result;
    clnorm_verify_run(one->device.user, one, &result, NULL);
    if (result.status == CLNORM_VERIFY_FAIL)
        fail_msg("%s, %s data, N=%lld S=%lld: %s: %s", result.problem, clnorm_data_name(one->data),
                 (long long)one->batch, (long long)one->spatial, result.schedule, result.detail);
}

static void check_reference(const struct clnorm_schedule *const schedule, void *const user)
{
    struct clnorm_case *const one = user;
    one->schedule = *schedule;
    check_case(one);
}

static struct clnorm_case case_of(struct clnorm_context *const context, const char *const text)
{
    struct clnorm_case one = {.sets = 3, .seed = 40, .device = {.user = context}};
    assert_int_equal(clnorm_problem_parse(text, &one.problem, NULL, 0), CLNORM_OK);
    one.batch = one.problem.batch;
    one.spatial = one.problem.spatial;
    return one;
}

static void every_schedule_matches_the_reference(void **state)
{
    static const char *const texts[] = {
        "forward nchw f32 3x5x38 +shift +relu +running +renorm",
        "forward nhwc f32 3x19x6 +running +renorm",
        "backward nchw f32 3x5x38 +scale +shift +relu +add +renorm",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct clnorm_case one = case_of(*state, texts[i]);
        one.scheduled = 1;
        for_each_schedule(&one.problem, check_reference, &one);
    }
}

static void every_type_and_stage_matches_the_reference(void **state)
{
    static const char *const texts[] = {
        "forward nchw bf16 3x5x38 +scale +renorm",
        "forward nhwc f16 3x5x38 +scale +shift +add +running +biased +renorm",
        "forward nchw f64 3x5x38 +scale +shift +running +renorm",
        "forward nhwc f32 6x19 +shift +renorm",
        "normalise nchw f32 3x5x38 +scale +shift +running +renorm",
        "backward nhwc f32 3x5x38 +renorm",
        "backward nhwc f64 3x19x7 +scale +renorm",
        "input-gradient nchw f32 3x5x38 +scale +shift +adam +renorm",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct clnorm_case one = case_of(*state, texts[i]);
        const struct clnorm_target target = clnorm_target_default(CLNORM_KIND_CPU);
        clnorm_schedule_choose(&one.problem, &target, 0, &one.schedule);
        one.schedule.resident = 512; /* split: the other cases of the size are fused */
        one.scheduled = i % 2 == 0;
        check_case(&one);
    }
}

static void nasty_data_match_the_reference(void **state)
{
    static const int64_t extents[][2] = {{0, 5}, {1, 1}, {2, 1}, {3, 333}};
    static const char *const texts[] = {
        "forward nchw f32 ?x4x? +scale +shift +running +renorm",
        "forward nhwc f32 ?x4x? +running +renorm",
        "backward nchw f32 ?x4x? +scale +shift +renorm",
    };
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
        for (unsigned data = 0; data < CLNORM_DATA_EXACT; data++)
            for (size_t i = 0; i < sizeof extents / sizeof *extents; i++) {
                struct clnorm_case one = case_of(*state, texts[t]);
                one.batch = extents[i][0];
                one.spatial = extents[i][1];
                one.data = (enum clnorm_data)data;
                check_case(&one);
            }
}

/* The bits of a slot that both have. */
static void assert_same(const struct clnorm_values *const a, const struct clnorm_values *const b,
                        const enum clnorm_slot slot)
{
    assert_true(a->slot[slot].elements > 0 && a->slot[slot].elements == b->slot[slot].elements);
    for (size_t i = 0; i < a->slot[slot].elements; i++)
        if (!(a->slot[slot].data[i] == b->slot[slot].data[i]))
            fail_msg("%s[%zu]: %.9g and %.9g", clnorm_slots[slot].name, i, a->slot[slot].data[i],
                     b->slot[slot].data[i]);
}

static void with_limits_one_and_zero_it_is_plain_batch_normalization(void **state)
{
    static const char *const texts[][2] = {
        {"forward nchw f32 4x5x9 +scale +shift +running",
         "forward nchw f32 4x5x9 +scale +shift +running +renorm"},
        {"forward nhwc bf16 4x5x9 +scale +shift +running",
         "forward nhwc bf16 4x5x9 +scale +shift +running +renorm"},
    };
    static const enum clnorm_slot slots[] = {CLNORM_SLOT_Y, CLNORM_SLOT_MEAN, CLNORM_SLOT_INVSTD,
                                             CLNORM_SLOT_RUNNING_MEAN, CLNORM_SLOT_RUNNING_VAR};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct clnorm_values plain = values_of(texts[i][0], 0, 0, 1, CLNORM_DATA_ORDINARY, 8);
        struct clnorm_values renormed = values_of(texts[i][1], 0, 0, 1, CLNORM_DATA_ORDINARY, 8);
        renormed.r_max = 0; /* stands for 1 */
        renormed.d_max = 0;
        assert_true(execute(*state, NULL, &plain, NULL));
        assert_true(execute(*state, NULL, &renormed, NULL));
        for (size_t s = 0; s < sizeof slots / sizeof *slots; s++)
            assert_same(&plain, &renormed, slots[s]);
        for (size_t c = 0; c < 5; c++) {
            assert_true(renormed.slot[CLNORM_SLOT_RENORM_R].data[c] == 1);
            assert_true(renormed.slot[CLNORM_SLOT_RENORM_D].data[c] == 0);
        }
        clnorm_values_free(&plain);
        clnorm_values_free(&renormed);
    }
}

/* Without limits y is that of infer with the running statistics, which are not written. */
static void without_limits_it_is_inference_with_the_running_statistics(void **state)
{
    struct clnorm_values trained =
        values_of("forward nchw f64 4x5x9 +scale +shift +renorm", 0, 0, 1, CLNORM_DATA_ORDINARY, 9);
    struct clnorm_values inferred =
        values_of("infer nchw f64 4x5x9 +scale +shift", 0, 0, 1, CLNORM_DATA_ORDINARY, 9);
    trained.r_max = trained.d_max = 1e30;
    for (size_t c = 0; c < 5; c++) {
        inferred.slot[CLNORM_SLOT_MEAN].data[c] = trained.slot[CLNORM_SLOT_RUNNING_MEAN].data[c];
        inferred.slot[CLNORM_SLOT_VAR].data[c] = trained.slot[CLNORM_SLOT_RUNNING_VAR].data[c];
    }
    if (execute(*state, NULL, &trained, NULL) && execute(*state, NULL, &inferred, NULL))
        for (size_t i = 0; i < trained.slot[CLNORM_SLOT_Y].elements; i++) {
            const double y = inferred.slot[CLNORM_SLOT_Y].data[i];
            assert_true(fabs(trained.slot[CLNORM_SLOT_Y].data[i] - y) <= 1e-12 * (1 + fabs(y)));
        }
    clnorm_values_free(&trained);
    clnorm_values_free(&inferred);
}

/*
 * Backward against central differences of the reference's plain forward, y = xhat*scale + shift. r
 * and d are held: the loss is the sum of dy*((xhat*r + d)*scale + shift).
 */
struct model {
    struct clnorm_values forward;
    const struct clnorm_values *backward;
};

static double loss(struct model *const model)
{
    const struct clnorm_slot_values *const slot = model->forward.slot;
    const double *const r = model->backward->slot[CLNORM_SLOT_RENORM_R].data;
    const double *const d = model->backward->slot[CLNORM_SLOT_RENORM_D].data;
    double sum = 0;
    clnorm_reference_run(&model->forward);
    for (size_t i = 0; i < slot[CLNORM_SLOT_Y].elements; i++) {
        const int64_t c = clnorm_values_channel(&model->forward, CLNORM_SLOT_Y, i);
        const double scale = slot[CLNORM_SLOT_SCALE].data[c],
                     shift = slot[CLNORM_SLOT_SHIFT].data[c];
        sum += model->backward->slot[CLNORM_SLOT_DY].data[i] *
               ((slot[CLNORM_SLOT_Y].data[i] - shift) * r[c] + d[c] * scale + shift);
    }
    return sum;
}

static void check_gradient(struct model *const model, const enum clnorm_slot input,
                           const enum clnorm_slot gradient)
{
    double difference = 0, largest = 0;
    for (size_t i = 0; i < model->backward->slot[gradient].elements; i++) {
        double *const place = &model->forward.slot[input].data[i];
        const double kept = *place;
        *place = kept + STEP;
        const double high = loss(model);
        *place = kept - STEP;
        const double expected = (high - loss(model)) / (2 * STEP);
        *place = kept;
        difference = fmax(difference, fabs(expected - model->backward->slot[gradient].data[i]));
        largest = fmax(largest, fabs(expected));
    }
    if (!(largest > 0 && difference <= 1e-8 * largest))
        fail_msg("%s: off by %.3g of at most %.3g", clnorm_slots[gradient].name, difference,
                 largest);
}

static void the_gradient_holds_r_and_d(void **state)
{
    static const char *const layouts[] = {"nchw", "nhwc"};
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        char forward[64], backward[64];
        snprintf(forward, sizeof forward, "forward %s f64 3x2x7 +scale +shift", layouts[i]);
        snprintf(backward, sizeof backward, "backward %s f64 3x2x7 +scale +shift +renorm",
                 layouts[i]);
        struct clnorm_values values = values_of(backward, 0, 0, 1, CLNORM_DATA_ORDINARY, 3);
        struct model model = {values_of(forward, 0, 0, 1, CLNORM_DATA_ORDINARY, 3), &values};
        memcpy(values.slot[CLNORM_SLOT_SCALE].data, model.forward.slot[CLNORM_SLOT_SCALE].data,
               2 * sizeof(double));
        assert_same(&values, &model.forward, CLNORM_SLOT_X);
        if (execute(*state, NULL, &values, NULL)) {
            check_gradient(&model, CLNORM_SLOT_X, CLNORM_SLOT_DX);
            check_gradient(&model, CLNORM_SLOT_SCALE, CLNORM_SLOT_DSCALE);
            check_gradient(&model, CLNORM_SLOT_SHIFT, CLNORM_SLOT_DSHIFT);
        }
        clnorm_values_free(&values);
        clnorm_values_free(&model.forward);
    }
}

static void expect_refusal(struct clnorm_context *const context, const double r_max,
                           const double d_max, const char *const word)
{
    char detail[256] = "";
    struct clnorm_values values =
        values_of("forward nchw f32 2x3x4 +renorm", 0, 0, 1, CLNORM_DATA_ORDINARY, 1);
    values.r_max = r_max;
    values.d_max = d_max;
    assert_int_equal(clnorm_verify_execute(context, NULL, &values, NULL, detail, sizeof detail),
                     CLNORM_INVALID_ARGUMENT);
    if (!strstr(detail, word))
        fail_msg("'%s' does not name %s", detail, word);
    clnorm_values_free(&values);
}

static void bad_limits_and_flags_are_refused(void **state)
{
    struct clnorm_problem problem;
    char message[256] = "";
    expect_refusal(*state, 0.5, 0, "r_max");
    expect_refusal(*state, -1, 0, "r_max");
    expect_refusal(*state, (double)NAN, 0, "r_max");
    expect_refusal(*state, 2, -1, "d_max");
    expect_refusal(*state, 2, (double)INFINITY, "d_max");
    assert_int_equal(
        clnorm_problem_parse("infer nchw f32 2x3x4 +renorm", &problem, message, sizeof message),
        CLNORM_INVALID_ARGUMENT);
    assert_non_null(strstr(message, "infer does not take the flags +renorm"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_schedule_matches_the_reference),
        cmocka_unit_test(every_type_and_stage_matches_the_reference),
        cmocka_unit_test(nasty_data_match_the_reference),
        cmocka_unit_test(with_limits_one_and_zero_it_is_plain_batch_normalization),
        cmocka_unit_test(without_limits_it_is_inference_with_the_running_statistics),
        cmocka_unit_test(the_gradient_holds_r_and_d),
        cmocka_unit_test(bad_limits_and_flags_are_refused),
    };
    return cmocka_run_group_tests(tests, make_context, release_context);
}
