/* Data whose moments are exact in any order of summation: the tolerance is zero, for every
 * schedule. */
#include "testing.h"

struct job {
    struct clnorm_context *context;
    const struct clnorm_values *values;
};

/* The data take two values in equal numbers: mean and m2 follow without any summing. */
static void check_channel(const struct clnorm_values *const values, const char *const schedule,
                          const int64_t c)
{
    double low = (double)INFINITY, high = -(double)INFINITY;
    for (int64_t n = 0; n < values->batch; n++)
        for (int64_t s = 0; s < values->spatial; s++) {
            const double x =
                values->slot[CLNORM_SLOT_X].data[clnorm_values_offset(values, n, c, s)];
            low = fmin(low, x);
            high = fmax(high, x);
        }
    const size_t channels = (size_t)values->problem.channels;
    const double *const moments = values->slot[CLNORM_SLOT_MOMENTS].data + c;
    const double count = (double)(values->batch * values->spatial), half = (high - low) / 2;
    if (moments[0] != count || moments[channels] + moments[2 * channels] != (low + high) / 2 ||
        moments[3 * channels] != count * half * half)
        fail_msg("%s: channel %lld: count %.17g mean %.17g + %.17g m2 %.17g instead of %.17g, "
                 "%.17g, %.17g",
                 schedule, (long long)c, moments[0], moments[channels], moments[2 * channels],
                 moments[3 * channels], count, (low + high) / 2, count * half * half);
}

static void check_schedule(const struct clnorm_schedule *const schedule, void *const user)
{
    const struct job *const job = user;
    char text[CLNORM_SCHEDULE_TEXT_SIZE];
    struct clnorm_values values;
    assert_int_equal(clnorm_values_copy(&values, job->values), CLNORM_OK);
    clnorm_schedule_format(schedule, text);
    if (execute(job->context, schedule, &values, NULL))
        for (int64_t c = 0; c < values.problem.channels; c++)
            check_channel(&values, text, c);
    clnorm_values_free(&values);
}

static void check_problem(struct clnorm_context *const context, const char *const text)
{
    struct clnorm_values values = values_of(text, 0, 0, 1, CLNORM_DATA_EXACT, 11);
    struct job job = {.context = context, .values = &values};
    for_each_schedule(&values.problem, check_schedule, &job);
    clnorm_values_free(&values);
}

/*
 * Exact as long as work is cut at powers of two: where a channel has more than 512 values it may be
 * cut into parts, as many as parts / tiles, so the channel count is a power of two as well; smaller
 * ones stay whole, whatever the channels.
 */
static void channels_first_moments_are_exact(void **state)
{
    check_problem(*state, test_problem("moments nchw f32 4x4x64x64", "moments nchw f32 4x4x16x16"));
    check_problem(*state, "moments nchw f32 2x3x64");
    check_problem(*state, test_problem("moments nchw f16 8x2x512", "moments nchw f16 2x2x64"));
    check_problem(*state, test_problem("moments nchw f64 8x4x512", "moments nchw f64 2x4x64"));
}

static void channels_last_moments_are_exact(void **state)
{
    check_problem(*state, test_problem("moments nhwc f32 4x4x64x64", "moments nhwc f32 4x4x16x16"));
    check_problem(*state, "moments nhwc f32 2x33x32");
    check_problem(*state, test_problem("moments nhwc bf16 2x17x256", "moments nhwc bf16 2x17x16"));
    check_problem(*state, test_problem("moments nchw f32 512x19", "moments nchw f32 32x19"));
}

/* Equal values: nothing deviates, so any count at all is exact. */
static void constant_channels_are_exact(void **state)
{
    static const char *const texts[] = {"moments nchw f32 3x5x77", "moments nhwc f32 1x2x1031"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct clnorm_values values = values_of(texts[i], 0, 0, 1, CLNORM_DATA_CONSTANT, 12);
        struct job job = {.context = *state, .values = &values};
        for_each_schedule(&values.problem, check_schedule, &job);
        clnorm_values_free(&values);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_first_moments_are_exact),
        cmocka_unit_test(channels_last_moments_are_exact),
        cmocka_unit_test(constant_channels_are_exact),
    };
    return cmocka_run_group_tests(tests, make_context, release_context);
}
