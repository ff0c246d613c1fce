/* Batch renormalization: against the f64 reference under every schedule, its limits, its gradient. */
#include "small_batch.h"

/* The default of each kind of device; what renorm adds knows no more of a schedule. */
static void every_kind_matches_the_reference(void **state)
{
    struct clnorm_case one = case_of(*state, "forward nhwc f32 3x19x6 +running +renorm");
    one.scheduled = 1;
    for (int kind = CLNORM_KIND_CPU; kind < CLNORM_KIND_COUNT; kind++) {
        const struct clnorm_target target = clnorm_target_default((enum clnorm_kind)kind);
        clnorm_schedule_choose(&one.problem, &target, 0, &one.schedule);
        check_case(&one);
    }
}

static void every_type_and_stage_matches_the_reference(void **state)
{
    static const char *const texts[] = {
        "forward nchw bf16 3x5x38 +scale +renorm",
        "backward nchw f32 3x5x38 +scale +shift +relu +add +renorm",
        "forward nhwc f16 3x5x38 +scale +shift +add +running +biased +renorm",
        "forward nchw f64 3x5x38 +scale +shift +running +renorm",
        "forward nhwc f32 6x19 +shift +renorm",
        "normalise nchw f32 3x5x38 +scale +shift +running +renorm",
        "backward nhwc f64 3x19x7 +scale +renorm",
        "input-gradient nchw f32 3x5x38 +scale +shift +adam +renorm",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct clnorm_case one = case_of(*state, texts[i]);
        check_resident(&one, i % 3 ? CLNORM_KIND_CPU : CLNORM_KIND_GPU, i % 2 ? 512 : UINT64_MAX);
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

/* The sum of dy*((xhat*r + d)*scale + shift), r and d held; the forward is plain. */
static double loss_with_r_and_d(struct model *const model)
{
    const struct clnorm_slot_values *const slot = model->forward.slot;
    const double *const r = model->backward->slot[CLNORM_SLOT_RENORM_R].data;
    const double *const d = model->backward->slot[CLNORM_SLOT_RENORM_D].data;
    double sum = 0;
    clnorm_reference_run(&model->forward);
    for (size_t i = 0; i < slot[CLNORM_SLOT_Y].elements; i++) {
        const int64_t c = clnorm_values_channel(&model->forward, CLNORM_SLOT_Y, i);
        const double scale = slot[CLNORM_SLOT_SCALE].data[c];
        const double shift = slot[CLNORM_SLOT_SHIFT].data[c];
        sum += model->backward->slot[CLNORM_SLOT_DY].data[i] *
               ((slot[CLNORM_SLOT_Y].data[i] - shift) * r[c] + d[c] * scale + shift);
    }
    return sum;
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
        struct model model = {values_of(forward, 0, 0, 1, CLNORM_DATA_ORDINARY, 3), &values,
                              loss_with_r_and_d};
        take(&values, CLNORM_SLOT_SCALE, &model.forward);
        assert_same(&values, &model.forward, CLNORM_SLOT_X);
        if (execute(*state, NULL, &values, NULL))
            check_gradients(&model, 1e-8);
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
    expect_refusal(*state, 0.5, 0, "r_max");
    expect_refusal(*state, -1, 0, "r_max");
    expect_refusal(*state, (double)NAN, 0, "r_max");
    expect_refusal(*state, 2, -1, "d_max");
    expect_refusal(*state, 2, (double)INFINITY, "d_max");
    expect_no_problem("infer nchw f32 2x3x4 +renorm", "infer does not take the flags +renorm");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_matches_the_reference),
        cmocka_unit_test(every_type_and_stage_matches_the_reference),
        cmocka_unit_test(nasty_data_match_the_reference),
        cmocka_unit_test(with_limits_one_and_zero_it_is_plain_batch_normalization),
        cmocka_unit_test(without_limits_it_is_inference_with_the_running_statistics),
        cmocka_unit_test(the_gradient_holds_r_and_d),
        cmocka_unit_test(bad_limits_and_flags_are_refused),
    };
    return cmocka_run_group_tests(tests, make_context, release_context);
}
