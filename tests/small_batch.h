/* What the tests of renorm, ghost batches and lengths share. Include first. */
#ifndef CLNORM_TESTS_SMALL_BATCH_H
#define CLNORM_TESTS_SMALL_BATCH_H

#include "gradients.h"

static inline struct clnorm_case case_of(struct clnorm_context *const context,
                                         const char *const text)
{
    struct clnorm_case one = {.sets = 3, .seed = 40, .device = {.user = context}};
    char message[256] = "";
    if (clnorm_problem_parse(text, &one.problem, message, sizeof message) != CLNORM_OK)
        fail_msg("%s: %s", text, message);
    one.batch = one.problem.batch;
    one.spatial = one.problem.spatial;
    return one;
}

static inline void check_case(const struct clnorm_case *const one)
{
    struct clnorm_verify_result result;
    clnorm_verify_run(one->device.user, one, &result, NULL);
    if (result.status == CLNORM_VERIFY_FAIL)
        fail_msg("%s, %s data, N=%lld S=%lld: %s: %s", result.problem, clnorm_data_name(one->data),
                 (long long)one->batch, (long long)one->spatial, result.schedule, result.detail);
}

static inline void check_under(const struct clnorm_schedule *const schedule, void *const user)
{
    struct clnorm_case *const one = user;
    one->schedule = *schedule;
    check_case(one);
}

static inline void check_every_schedule(struct clnorm_context *const context,
                                        const char *const text)
{
    struct clnorm_case one = case_of(context, text);
    one.scheduled = 1;
    for_each_schedule(&one.problem, check_under, &one);
}

/* Under the default of a kind, in one launch or several as `resident` has it. */
static inline void check_resident(struct clnorm_case *const one, const enum clnorm_kind kind,
                                  const uint64_t resident)
{
    const struct clnorm_target target = clnorm_target_default(kind);
    clnorm_schedule_choose(&one->problem, &target, 0, &one->schedule);
    one->schedule.resident = resident;
    one->scheduled = 1;
    check_case(one);
}

/* A forward and a backward of the same kind, f64. */
static inline void check_plain_gradients(struct clnorm_context *const context,
                                         const char *const forward, const char *const backward)
{
    static const enum clnorm_slot shared[] = {CLNORM_SLOT_X, CLNORM_SLOT_SCALE, CLNORM_SLOT_MEAN,
                                              CLNORM_SLOT_INVSTD};
    struct clnorm_values values = values_of(backward, 0, 0, 1, CLNORM_DATA_ORDINARY, 3);
    struct model model = {values_of(forward, 0, 0, 1, CLNORM_DATA_ORDINARY, 3), &values,
                          plain_loss};
    (void)plain_loss(&model);
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
        take(&values, shared[i], &model.forward);
    if (execute(context, NULL, &values, NULL))
        check_gradients(&model, 1e-8);
    clnorm_values_free(&values);
    clnorm_values_free(&model.forward);
}

/* The text is refused, with `word` in the message. */
static inline void expect_no_problem(const char *const text, const char *const word)
{
    struct clnorm_problem problem;
    char message[256] = "";
    assert_int_equal(clnorm_problem_parse(text, &problem, message, sizeof message),
                     CLNORM_INVALID_ARGUMENT);
    if (!strstr(message, word))
        fail_msg("%s: '%s' does not say '%s'", text, message, word);
}

#endif
