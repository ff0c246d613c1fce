/* What the numeric cmocka tests begin with. Include after <cmocka.h>'s own prerequisites only
 * through this header. */
#ifndef CLNORM_VERIFY_TESTING_H
#define CLNORM_VERIFY_TESTING_H

#include "verify.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Group fixtures: the context is *state. */
static inline int make_context(void **state)
{
    char message[256] = "";
    *state = clnorm_verify_context(message, sizeof message);
    if (!*state)
        print_error("%s\n", message);
    return *state ? 0 : -1;
}

static inline int release_context(void **state)
{
    clnorm_context_release(*state);
    return 0;
}

/* Runs values on the device; fails the test with the library's own words. Returns 0 where the
 * device lacks support. */
static inline int execute(struct clnorm_context *context, const struct clnorm_schedule *schedule,
                          struct clnorm_values *values, const struct clnorm_device_options *options)
{
    char detail[256] = "", problem[CLNORM_PROBLEM_TEXT_SIZE];
    const enum clnorm_status status =
        clnorm_verify_execute(context, schedule, values, options, detail, sizeof detail);
    if (status == CLNORM_OK || status == CLNORM_UNSUPPORTED)
        return status == CLNORM_OK;
    clnorm_problem_format(&values->problem, problem);
    fail_msg("%s: %s: %s", problem, clnorm_status_text(status), detail);
    return 0;
}

/* Values for a problem text, filled with data. */
static inline struct clnorm_values values_of(const char *text, int64_t batch, int64_t spatial,
                                             int64_t sets, enum clnorm_data data, uint64_t seed)
{
    struct clnorm_problem problem;
    struct clnorm_values values;
    char message[256] = "";
    if (clnorm_problem_parse(text, &problem, message, sizeof message) != CLNORM_OK)
        fail_msg("%s: %s", text, message);
    assert_int_equal(clnorm_values_create(&values, &problem, batch, spatial, sets), CLNORM_OK);
    clnorm_data_fill(&values, data, seed);
    return values;
}

/* Calls `check` under every schedule the table offers a CPU and the first choices of GPU and FPGA,
 * repeats left out. Those with folds that the device has not are unsupported. */
static inline void
for_each_schedule(const struct clnorm_problem *problem,
                  void (*check)(const struct clnorm_schedule *schedule, void *user), void *user)
{
    char seen[64][CLNORM_SCHEDULE_TEXT_SIZE];
    unsigned count = 0;
    for (int kind = CLNORM_KIND_CPU; kind < CLNORM_KIND_COUNT; kind++) {
        struct clnorm_target target = clnorm_target_default((enum clnorm_kind)kind);
        struct clnorm_schedule schedule;
        target.sub_group = target.collectives = 1;
        for (unsigned index = 0; clnorm_schedule_choose(problem, &target, index, &schedule);
             index++) {
            unsigned at = 0;
            if (kind != CLNORM_KIND_CPU && index > 0)
                break;
            assert_true(count < sizeof seen / sizeof *seen);
            clnorm_schedule_format(&schedule, seen[count]);
            while (strcmp(seen[at], seen[count]) != 0)
                at++;
            if (at < count)
                continue;
            count++;
            check(&schedule, user);
        }
    }
    assert_true(count > 0);
}

#endif
