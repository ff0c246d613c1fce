/* Data that break careless batch normalization: huge means, outliers, constants, denormals, NaN,
 * hardly any values. */
#include "compare.h"
#include "testing.h"

static struct clnorm_case case_of(const char *const text, const int64_t batch,
                                  const int64_t spatial, const enum clnorm_data data)
{
    struct clnorm_case one = {
        .batch = batch, .spatial = spatial, .sets = 3, .data = data, .seed = 21};
    char message[256] = "";
    if (clnorm_problem_parse(text, &one.problem, message, sizeof message) != CLNORM_OK)
        fail_msg("%s: %s", text, message);
    return one;
}

/* Under the library's choice of schedule, narrowed for the effort. */
static void check(struct clnorm_context *const context, struct clnorm_case *const one)
{
    struct clnorm_verify_result result;
    const struct clnorm_target *const target = &clnorm_context_device(context)->target;
    one->scheduled = clnorm_schedule_choose(&one->problem, target, 0, &one->schedule);
    if (one->scheduled)
        clnorm_cases_narrow(test_effort(), &one->schedule);
    clnorm_verify_run(context, one, &result, NULL);
    if (result.status == CLNORM_VERIFY_UNSUPPORTED)
        print_message("not supported: %s\n", result.problem);
    if (result.status == CLNORM_VERIFY_FAIL)
        fail_msg("%s, %s, N=%lld S=%lld: %s", result.problem, clnorm_data_name(one->data),
                 (long long)one->batch, (long long)one->spatial, result.detail);
}

static const char *const training[] = {
    "moments nchw f32 ?x4x?",
    "moments nhwc f32 ?x4x?",
    "forward nchw f32 ?x4x? +scale +shift +running",
    "forward nhwc f32 ?x4x? +scale +shift +running",
    "forward nchw f32 ?x4x? +running +biased",
    "forward nchw f64 ?x4x? +running",
    "backward nchw f32 ?x4x? +scale +shift",
    "backward nhwc f32 ?x4x? +scale +shift +relu",
    "backward-frozen nchw f32 ?x4x? +scale +shift",
    "backward-sums nhwc f32 ?x4x?",
};
enum { TRAINING_COUNT = sizeof training / sizeof *training };

static void check_all(struct clnorm_context *const context, const enum clnorm_data data,
                      const int64_t batch, const int64_t spatial)
{
    for (size_t i = 0; i < TRAINING_COUNT; i++) {
        struct clnorm_case one = case_of(training[i], batch, spatial, data);
        check(context, &one);
    }
}

static void mean_a_million_times_the_deviation(void **state)
{
    check_all(*state, CLNORM_DATA_LARGE_MEAN, 8, test_extent(1000, 40));
    check_all(*state, CLNORM_DATA_LARGE_MEAN, 2, 3);
}

static void first_value_is_an_outlier(void **state)
{
    check_all(*state, CLNORM_DATA_OUTLIER, 8, test_extent(1000, 40));
    check_all(*state, CLNORM_DATA_OUTLIER, 1, 37);
}

static void constants_and_denormals(void **state)
{
    check_all(*state, CLNORM_DATA_CONSTANT, 3, test_extent(333, 19));
    check_all(*state, CLNORM_DATA_DENORMAL, 3, test_extent(333, 19));
}

static void no_value_one_value_two_values(void **state)
{
    static const int64_t extents[][2] = {{0, 5}, {5, 0}, {0, 0}, {1, 1}, {2, 1}, {1, 2}, {3, 1}};
    for (size_t i = 0; i < sizeof extents / sizeof *extents; i++) {
        check_all(*state, CLNORM_DATA_ORDINARY, extents[i][0], extents[i][1]);
        check_all(*state, CLNORM_DATA_LARGE_MEAN, extents[i][0], extents[i][1]);
    }
}

/* M = 0 is success and leaves running statistics alone: checked without the reference. */
static void an_empty_batch_changes_no_running_statistics(void **state)
{
    struct clnorm_values values = values_of("forward nchw f32 ?x4x? +running", 0, 5, 1,
                                            CLNORM_DATA_ORDINARY, 5),
                         before;
    assert_int_equal(clnorm_values_copy(&before, &values), CLNORM_OK);
    if (execute(*state, NULL, &values, NULL))
        for (size_t c = 0; c < 4; c++) {
            assert_true(values.slot[CLNORM_SLOT_RUNNING_MEAN].data[c] ==
                        before.slot[CLNORM_SLOT_RUNNING_MEAN].data[c]);
            assert_true(values.slot[CLNORM_SLOT_RUNNING_VAR].data[c] ==
                        before.slot[CLNORM_SLOT_RUNNING_VAR].data[c]);
            assert_true(values.slot[CLNORM_SLOT_MEAN].data[c] == 0);
            assert_true(fabs(values.slot[CLNORM_SLOT_INVSTD].data[c] - 1 / sqrt(1e-5)) < 1e-3);
        }
    clnorm_values_free(&values);
    clnorm_values_free(&before);
}

struct confinement {
    struct clnorm_context *context;
    const struct clnorm_values *clean, *dirty;
};

/* The channel with the NaN shows it; every other channel has the bits it has without. */
static void check_confined(const struct clnorm_schedule *const schedule, void *const user)
{
    const struct confinement *const confinement = user;
    const int64_t own = confinement->clean->problem.channels / 2;
    struct clnorm_values clean, dirty;
    char text[CLNORM_SCHEDULE_TEXT_SIZE], problem[CLNORM_PROBLEM_TEXT_SIZE];
    assert_int_equal(clnorm_values_copy(&clean, confinement->clean), CLNORM_OK);
    assert_int_equal(clnorm_values_copy(&dirty, confinement->dirty), CLNORM_OK);
    clnorm_schedule_format(schedule, text);
    clnorm_problem_format(&clean.problem, problem);
    if (execute(confinement->context, schedule, &clean, NULL) &&
        execute(confinement->context, schedule, &dirty, NULL)) {
        if (!clnorm_compare_same(&clean, &dirty, own))
            fail_msg("%s: %s: a channel without NaN changed", problem, text);
        if (clnorm_compare_same(&clean, &dirty, -1))
            fail_msg("%s: %s: the channel with the NaN did not change", problem, text);
    }
    clnorm_values_free(&clean);
    clnorm_values_free(&dirty);
}

static void check_confinement(struct clnorm_context *const context, const char *const text)
{
    static const enum clnorm_data kinds[] = {CLNORM_DATA_NAN, CLNORM_DATA_INFINITY};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct clnorm_values clean = values_of(text, 0, 0, 1, CLNORM_DATA_ORDINARY, 31);
        struct clnorm_values dirty = values_of(text, 0, 0, 1, kinds[i], 31);
        struct confinement confinement = {.context = context, .clean = &clean, .dirty = &dirty};
        for_each_schedule(&clean.problem, check_confined, &confinement);
        clnorm_values_free(&clean);
        clnorm_values_free(&dirty);
    }
}

static void nan_and_infinity_stay_in_their_channel(void **state)
{
    check_confinement(*state, "forward nchw f32 3x5x60 +scale +shift +running");
    check_confinement(*state, "forward nhwc f32 3x5x60 +scale +shift +running");
    check_confinement(*state, "backward nchw f32 3x5x60 +scale +shift");
    check_confinement(*state, "backward nhwc f32 3x5x60 +scale +shift");
    check_confinement(*state, "infer nhwc f32 3x5x60 +relu");
    check_confinement(*state, "forward nhwc f16 3x5x60");
}

static void nan_and_infinity_show_in_their_channel(void **state)
{
    check_all(*state, CLNORM_DATA_NAN, 3, 60);
    check_all(*state, CLNORM_DATA_INFINITY, 3, 60);
}

/* relu: what is not a number is neither 0 nor lost. */
static void relu_keeps_nan(void **state)
{
    struct clnorm_values values =
        values_of("infer nchw f32 2x1x9 +relu", 0, 0, 1, CLNORM_DATA_ORDINARY, 41);
    values.slot[CLNORM_SLOT_X].data[7] = (double)NAN;
    if (execute(*state, NULL, &values, NULL))
        for (size_t i = 0; i < 18; i++)
            assert_int_equal(isnan(values.slot[CLNORM_SLOT_Y].data[i]) != 0, i == 7);
    clnorm_values_free(&values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mean_a_million_times_the_deviation),
        cmocka_unit_test(first_value_is_an_outlier),
        cmocka_unit_test(constants_and_denormals),
        cmocka_unit_test(no_value_one_value_two_values),
        cmocka_unit_test(an_empty_batch_changes_no_running_statistics),
        cmocka_unit_test(nan_and_infinity_stay_in_their_channel),
        cmocka_unit_test(nan_and_infinity_show_in_their_channel),
        cmocka_unit_test(relu_keeps_nan),
    };
    return cmocka_run_group_tests(tests, make_context, release_context);
}
