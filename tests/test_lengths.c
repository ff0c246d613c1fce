/*
 * Samples of which only the first positions are valid: against the f64 reference under every
 * schedule, and against the valid values alone. The data have NaN in all that is not valid.
 */
#include "small_batch.h"

static void every_schedule_matches_the_reference(void **state)
{
    check_every_schedule(*state, "backward nchw f32 7x5x38 +scale +shift +relu +add +lengths");
}

static void every_operation_matches_the_reference(void **state)
{
    static const char *const texts[] = {
        "moments nhwc f64 9x5x38 +lengths",
        "normalise nchw f16 9x5x38 +scale +running +renorm +lengths",
        "forward nhwc bf16 9x19x38 +scale +renorm +lengths",
        "infer nchw f32 9x5x38 +scale +relu +lengths",
        "infer nhwc f16 9x5x38 +add +lengths",
        "backward-sums nhwc f32 9x5x38 +relu +lengths",
        "input-gradient nchw f32 9x5x38 +scale +shift +lengths",
        "backward nchw f64 9x5x38 +scale +renorm +lengths",
        "backward-frozen nhwc f32 9x5x38 +scale +shift +add +lengths",
    };
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        struct clnorm_case one = case_of(*state, texts[t]);
        check_resident(&one, t % 2 ? CLNORM_KIND_CPU : CLNORM_KIND_GPU, t % 3 ? 512 : UINT64_MAX);
    }
}

/* No sample, no position, one, few channels, parts that begin and end in what is not valid. */
static void all_extents_and_data_match_the_reference(void **state)
{
    static const int64_t extents[][2] = {{0, 5},  {5, 0},  {1, 1},   {4, 1},
                                         {37, 3}, {9, 33}, {64, 49}, {3, 9000}};
    static const char *const texts[] = {
        "forward nchw f32 ?x5x? +scale +shift +running +lengths",
        "forward nhwc f32 ?x37x? +running +lengths",
        "forward nhwc f32 ?x1x? +scale +lengths",
        "backward nhwc f32 ?x5x? +scale +adam +lengths",
    };
    for (size_t t = 0; t < 2 * sizeof texts / sizeof *texts; t++)
        for (size_t i = 0; i < sizeof extents / sizeof *extents; i++) {
            struct clnorm_case one = case_of(*state, texts[t / 2]);
            one.batch = extents[i][0];
            one.spatial = extents[i][1];
            one.seed += i;
            one.data = (enum clnorm_data)(i % CLNORM_DATA_EXACT);
            check_resident(&one, t % 2 ? CLNORM_KIND_CPU : CLNORM_KIND_GPU, 2048);
        }
}

static void a_batch_without_valid_values_is_an_empty_one(void **state)
{
    struct clnorm_values values = values_of("forward nhwc f32 3x20x7 +scale +running +lengths", 0,
                                            0, 1, CLNORM_DATA_ORDINARY, 5);
    struct clnorm_values before;
    for (size_t i = 0; i < values.slot[CLNORM_SLOT_X].elements; i++)
        values.slot[CLNORM_SLOT_X].data[i] = (double)NAN;
    for (size_t n = 0; n < 3; n++)
        values.slot[CLNORM_SLOT_LENGTHS].data[n] = 0;
    assert_int_equal(clnorm_values_copy(&before, &values), CLNORM_OK);
    assert_true(execute(*state, NULL, &values, NULL));
    for (size_t i = 0; i < values.slot[CLNORM_SLOT_Y].elements; i++)
        assert_true(values.slot[CLNORM_SLOT_Y].data[i] == 0);
    for (size_t c = 0; c < 20; c++) {
        assert_true(values.slot[CLNORM_SLOT_MEAN].data[c] == 0);
        assert_true(values.slot[CLNORM_SLOT_RUNNING_VAR].data[c] ==
                    before.slot[CLNORM_SLOT_RUNNING_VAR].data[c]);
    }
    clnorm_values_free(&values);
    clnorm_values_free(&before);
}

/* The valid values of nhwc, one after another, are a dense batch of their own. */
static void padding_leaves_the_result_alone(void **state)
{
    struct clnorm_values padded = values_of("forward nhwc f32 4x3x5 +scale +shift +lengths", 0, 0,
                                            1, CLNORM_DATA_ORDINARY, 6);
    static const double lengths[] = {2, 0, 5, 1};
    struct clnorm_values dense =
        values_of("forward nhwc f32 8x3 +scale +shift", 0, 0, 1, CLNORM_DATA_ORDINARY, 6);
    memcpy(padded.slot[CLNORM_SLOT_LENGTHS].data, lengths, sizeof lengths);
    take(&dense, CLNORM_SLOT_SCALE, &padded);
    take(&dense, CLNORM_SLOT_SHIFT, &padded);
    for (size_t n = 0, row = 0; n < 4; n++)
        for (size_t s = 0; s < 5; s++)
            for (size_t c = 0; c < 3; c++) {
                double *const x = &padded.slot[CLNORM_SLOT_X].data[(n * 5 + s) * 3 + c];
                *x = (double)s < lengths[n] ? dense.slot[CLNORM_SLOT_X].data[row * 3 + c]
                                            : (double)NAN;
                row += c == 2 && (double)s < lengths[n];
            }
    assert_true(execute(*state, NULL, &padded, NULL) && execute(*state, NULL, &dense, NULL));
    for (size_t n = 0, row = 0; n < 4; n++)
        for (size_t s = 0; s < 5; s++) {
            const int valid = (double)s < lengths[n];
            for (size_t c = 0; c < 3; c++) {
                const double y = padded.slot[CLNORM_SLOT_Y].data[(n * 5 + s) * 3 + c];
                const double wanted = valid ? dense.slot[CLNORM_SLOT_Y].data[row * 3 + c] : 0;
                assert_true(fabs(y - wanted) < 1e-5 * (1 + fabs(wanted)));
            }
            row += (size_t)valid;
        }
    clnorm_values_free(&padded);
    clnorm_values_free(&dense);
}

static void what_cannot_be_is_refused(void **state)
{
    struct clnorm_problem problem;
    char detail[256] = "";
    struct clnorm_values values =
        values_of("forward nhwc f32 3x3x4 +lengths", 0, 0, 1, CLNORM_DATA_ORDINARY, 1);
    struct clnorm_schedule schedule;
    const struct clnorm_target target = clnorm_target_default(CLNORM_KIND_CPU);
    expect_no_problem("merge nchw f32 2x3x4 +lengths", "merge does not take the flags +lengths");
    clnorm_schedule_choose(&values.problem, &target, 0, &schedule);
    schedule.lanes = schedule.tile = 4;
    assert_int_equal(clnorm_verify_execute(*state, &schedule, &values, NULL, detail, sizeof detail),
                     CLNORM_INVALID_ARGUMENT);
    assert_non_null(strstr(detail, "+lengths needs at most as many lanes as channels"));
    assert_int_equal(clnorm_problem_parse("forward nchw f32 3x3x4 +lengths", &problem, NULL, 0),
                     CLNORM_OK);
    schedule.walk = CLNORM_WALK_GROUP;
    schedule.tile = 1;
    schedule.group = 4;
    schedule.fetch = 0;
    schedule.stream = 0;
    assert_int_equal(clnorm_schedule_check(&schedule, &problem, detail, sizeof detail),
                     CLNORM_INVALID_ARGUMENT);
    assert_non_null(strstr(detail, "the group walk under +lengths has 1 lane"));
    clnorm_values_free(&values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_schedule_matches_the_reference),
        cmocka_unit_test(every_operation_matches_the_reference),
        cmocka_unit_test(all_extents_and_data_match_the_reference),
        cmocka_unit_test(a_batch_without_valid_values_is_an_empty_one),
        cmocka_unit_test(padding_leaves_the_result_alone),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, make_context, release_context);
}
