/* The same input on the same device gives the same bits: run after run, wherever the buffers lie,
 * in any context. */
#include "compare.h"
#include "testing.h"

struct job {
    struct clnorm_context *context, *other;
    const struct clnorm_values *values;
};

static struct clnorm_values run_once(const struct job *const job,
                                     struct clnorm_context *const context,
                                     const struct clnorm_schedule *const schedule,
                                     const unsigned place)
{
    const struct clnorm_device_options options = {.place = place,
                                                  .pooled_workspace = place % 2 == 1};
    struct clnorm_values values;
    assert_int_equal(clnorm_values_copy(&values, job->values), CLNORM_OK);
    execute(context, schedule, &values, &options);
    return values;
}

/* Collective functions may add in another order each time. */
static void check_schedule(const struct clnorm_schedule *const schedule, void *const user)
{
    if (schedule->fold == CLNORM_FOLD_COLLECTIVE)
        return;
    const struct job *const job = user;
    char text[CLNORM_SCHEDULE_TEXT_SIZE], problem[CLNORM_PROBLEM_TEXT_SIZE];
    struct clnorm_values first = run_once(job, job->context, schedule, 0);
    clnorm_schedule_format(schedule, text);
    clnorm_problem_format(&first.problem, problem);
    for (unsigned run = 1; run <= 5; run++) {
        struct clnorm_values again =
            run_once(job, run == 5 ? job->other : job->context, schedule, run);
        if (!clnorm_compare_same(&first, &again, -1))
            fail_msg("%s: %s: run %u%s differs", problem, text, run,
                     run == 5 ? " (another context)" : "");
        clnorm_values_free(&again);
    }
    clnorm_values_free(&first);
}

static void check_problem(struct clnorm_context *const context, const char *const text)
{
    char message[256] = "";
    struct clnorm_values values = values_of(text, 0, 0, 3, CLNORM_DATA_ORDINARY, 51);
    struct job job = {.context = context,
                      .other = clnorm_verify_context(message, sizeof message),
                      .values = &values};
    assert_non_null(job.other);
    for_each_schedule(&values.problem, check_schedule, &job);
    clnorm_context_release(job.other);
    clnorm_values_free(&values);
}

static void forward_repeats(void **state)
{
    check_problem(*state, test_problem("forward nchw f32 3x6x2048 +scale +shift +running",
                                       "forward nchw f32 3x6x43 +scale +shift +running"));
    check_problem(*state, test_problem("forward nhwc f32 3x37x512 +scale +shift +running",
                                       "forward nhwc f32 3x37x5 +scale +shift +running"));
    check_problem(*state,
                  test_problem("forward nhwc f16 3x6x512 +relu", "forward nhwc f16 3x6x19 +relu"));
}

static void backward_repeats(void **state)
{
    check_problem(*state, test_problem("backward nchw f32 3x6x2048 +scale +shift +relu",
                                       "backward nchw f32 3x6x43 +scale +shift +relu"));
    check_problem(*state, test_problem("backward nhwc f32 3x37x512 +scale +shift +adam",
                                       "backward nhwc f32 3x37x5 +scale +shift +adam"));
}

static void staged_operations_repeat(void **state)
{
    check_problem(*state, test_problem("moments nchw f32 5x3x1001", "moments nchw f32 5x3x61"));
    check_problem(*state, "merge nchw f32 5x33x7");
    check_problem(*state, test_problem("input-gradient nhwc f32 5x3x101 +scale",
                                       "input-gradient nhwc f32 5x3x11 +scale"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_repeats),
        cmocka_unit_test(backward_repeats),
        cmocka_unit_test(staged_operations_repeat),
    };
    return cmocka_run_group_tests(tests, make_context, release_context);
}
