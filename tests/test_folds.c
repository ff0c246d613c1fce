/*
 * Folds of the group walk against the f64 reference: many values a work-item, unevenly spread, ordinary and nasty; one
 * channel a group, some, and more than a sub-group has work-items. Folds that the device has not are counted.
 */
#include "testing.h"

static const char *const problems[] = {
    "moments nchw f32 3x5x711",           "moments nhwc f32 3x5x711",
    "moments nhwc f32 2x37x333",          "moments nchw f64 3x5x711",
    "moments nhwc f32 3x1x1021",          "backward-sums nchw f32 3x5x711",
    "backward-sums nhwc f32 2x37x333",    "moments nchw f32 7x5x311 +lengths",
    "backward nhwc f32 7x5x311 +lengths", "forward nchw f32 6x5x311 +ghost=3",
};

/* Groups of one sub-group or less, and of many. */
static const uint32_t groups[] = {4, 256};

struct counts {
    unsigned passed, unsupported;
};

static void check_case(struct clnorm_context *const context, const struct clnorm_case *const one,
                       struct counts *const counts)
{
    struct clnorm_verify_result result;
    clnorm_verify_run(context, one, &result, NULL);
    if (result.status == CLNORM_VERIFY_FAIL)
        fail_msg("%s, %s data: %s: %s", result.problem, clnorm_data_name(one->data),
                 result.schedule, result.detail);
    counts->passed += result.status == CLNORM_VERIFY_PASS;
    counts->unsupported += result.status == CLNORM_VERIFY_UNSUPPORTED;
}

/* The default of GPUs with another fold and group. */
static void check_fold(struct clnorm_context *const context, const char *const problem,
                       const enum clnorm_fold fold, const uint32_t group,
                       struct counts *const counts)
{
    const struct clnorm_target target = clnorm_target_default(CLNORM_KIND_GPU);
    struct clnorm_case one = {.scheduled = 1, .target = "gpu", .sets = 3, .seed = 77};
    assert_int_equal(clnorm_problem_parse(problem, &one.problem, NULL, 0), CLNORM_OK);
    one.batch = one.problem.batch;
    one.spatial = one.problem.spatial;
    clnorm_schedule_choose(&one.problem, &target, 0, &one.schedule);
    one.schedule.fold = fold;
    one.schedule.group = group;
    if (fold == CLNORM_FOLD_COLLECTIVE)
        one.schedule.tile = 1;
    else if (one.schedule.tile > group)
        one.schedule.tile = group;
    for (int data = 0; data < CLNORM_DATA_EXACT; data++) {
        one.data = (enum clnorm_data)data;
        check_case(context, &one, counts);
    }
}

static void check_folds(struct clnorm_context *const context, const enum clnorm_fold fold,
                        const int there)
{
    struct counts counts = {0, 0};
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        for (size_t j = 0; j < sizeof groups / sizeof *groups; j++)
            check_fold(context, problems[i], fold, groups[j], &counts);
    print_message("%u passed, 0 failed, %u unsupported;\n", counts.passed, counts.unsupported);
    assert_int_equal(counts.passed > 0, there);
}

static void trees(void **state)
{
    check_folds(*state, CLNORM_FOLD_TREE, 1);
}

static void sub_groups(void **state)
{
    check_folds(*state, CLNORM_FOLD_SUBGROUP, clnorm_context_device(*state)->target.sub_group > 0);
}

static void collective_functions(void **state)
{
    check_folds(*state, CLNORM_FOLD_COLLECTIVE,
                clnorm_context_device(*state)->target.collectives > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees),
        cmocka_unit_test(sub_groups),
        cmocka_unit_test(collective_functions),
    };
    return cmocka_run_group_tests(tests, make_context, release_context);
}
