/* Every operation, layout, dtype, flag set, schedule and awkward shape of the case list, against
 * the f64 reference. */
#include "testing.h"

struct tally {
    struct clnorm_context *context;
    const char *operation; /* only this one; NULL: all */
    size_t passed, failed, unsupported;
    double worst; /* share of the tolerance used */
};

static int run_case(void *const user, const struct clnorm_case *const one)
{
    struct tally *const tally = user;
    struct clnorm_verify_result result;
    if (tally->operation &&
        strcmp(tally->operation, clnorm_operation_name(one->problem.operation)) != 0)
        return 0;
    clnorm_verify_run(tally->context, one, &result, NULL);
    switch (result.status) {
    case CLNORM_VERIFY_PASS:
        tally->passed++;
        tally->worst = fmax(tally->worst, result.max_error / result.tolerance);
        break;
    case CLNORM_VERIFY_FAIL:
        tally->failed++;
        if (tally->failed <= 50)
            print_error("%s, %s data, N=%lld S=%lld, sharing %d\n    %s (%s)\n    %s\n",
                        result.problem, clnorm_data_name(one->data), (long long)one->batch,
                        (long long)one->spatial, (int)one->device.sharing, result.schedule,
                        result.target, result.detail);
        break;
    case CLNORM_VERIFY_UNSUPPORTED: tally->unsupported++; break;
    }
    return 0;
}

static const char *chosen_operation;

static void cases_match_the_reference(void **state)
{
    struct tally tally = {.context = *state, .operation = chosen_operation};
    clnorm_cases_visit(test_effort(), run_case, &tally);
    print_message("%zu passed, %zu failed, %zu unsupported; at most %.2f of the tolerance used\n",
                  tally.passed, tally.failed, tally.unsupported, tally.worst);
    assert_int_equal(tally.failed, 0);
    assert_true(tally.passed > 0);
}

/* Each program of the quick list in place and with the library's own workspace, whatever the list
 * itself draws. */
static int run_in_place(void *const user, const struct clnorm_case *const one)
{
    if (chosen_operation &&
        strcmp(chosen_operation, clnorm_operation_name(one->problem.operation)) != 0)
        return 0;
    if (one->batch * one->spatial != 3 * 49 || one->data != CLNORM_DATA_ORDINARY)
        return 0;
    for (unsigned sharing = 0; sharing < CLNORM_SHARE_COUNT; sharing++) {
        struct clnorm_case changed = *one;
        struct clnorm_verify_result result;
        changed.device.sharing = (enum clnorm_sharing)sharing;
        changed.device.pooled_workspace = sharing % 2 == 0;
        clnorm_verify_run(user, &changed, &result, NULL);
        if (result.status == CLNORM_VERIFY_FAIL)
            fail_msg("%s, sharing %u: %s", result.problem, sharing, result.detail);
    }
    return 0;
}

static void outputs_may_share_memory_with_inputs(void **state)
{
    clnorm_cases_visit(CLNORM_EFFORT_QUICK, run_in_place, *state);
}

/* test_operations [OPERATION] */
int main(int count, char **arguments)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(outputs_may_share_memory_with_inputs),
        cmocka_unit_test(cases_match_the_reference),
    };
    const struct CMUnitTest few[] = {cmocka_unit_test(cases_match_the_reference)};
    chosen_operation = count > 1 ? arguments[1] : NULL;
    if (test_effort() < CLNORM_EFFORT_PORTABLE)
        return cmocka_run_group_tests(few, make_context, release_context);
    return cmocka_run_group_tests(all, make_context, release_context);
}
