/* What the numeric cmocka tests begin with. Include after <cmocka.h>'s own prerequisites only
 * through this header. */
#ifndef CLNORM_VERIFY_TESTING_H
#define CLNORM_VERIFY_TESTING_H

#include "verify.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
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

/* CLNORM_TEST_EFFORT: groups, small, portable, quick, full (unless said otherwise) or exhaustive. */
static inline enum clnorm_effort test_effort(void)
{
    static const char *const names[CLNORM_EFFORT_COUNT] = {"groups", "small", "portable",
                                                           "quick",  "full",  "exhaustive"};
    const char *const text = getenv("CLNORM_TEST_EFFORT");
    for (unsigned i = 0; text && i < CLNORM_EFFORT_COUNT; i++)
        if (strcmp(text, names[i]) == 0)
            return (enum clnorm_effort)i;
    if (text)
        fail_msg("CLNORM_TEST_EFFORT is none of groups, small, portable, quick, full and "
                 "exhaustive: '%s'",
                 text);
    return CLNORM_EFFORT_FULL;
}

/* That of the device of contexts that ask for none. */
static inline int test_device_kind(void)
{
    struct clnorm_context *const context = clnorm_verify_context(NULL, 0);
    const int kind = context ? (int)clnorm_context_device(context)->target.kind : -1;
    clnorm_context_release(context);
    return kind;
}

/* For simulators, with fewer values. */
static inline int64_t test_extent(int64_t extent, int64_t few)
{
    return test_effort() <= CLNORM_EFFORT_SMALL ? few : extent;
}

static inline const char *test_problem(const char *text, const char *few)
{
    return test_effort() <= CLNORM_EFFORT_SMALL ? few : text;
}

/* Runs values on the device; fails the test with the library's own words. Returns 0 where the
 * device lacks support. */
static inline int execute(struct clnorm_context *context, const struct clnorm_schedule *schedule,
                          struct clnorm_values *values, const struct clnorm_device_options *options)
{
    char detail[256] = "", problem[CLNORM_PROBLEM_TEXT_SIZE];
    const enum clnorm_status status =
        clnorm_verify_execute(context, schedule, values, options, detail, sizeof detail);
    clnorm_problem_format(&values->problem, problem);
    if (status == CLNORM_UNSUPPORTED)
        print_message("not supported: %s\n", problem);
    if (status == CLNORM_OK || status == CLNORM_UNSUPPORTED)
        return status == CLNORM_OK;
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

/* Calls `check` under every schedule the table offers a CPU and the first choices of GPU and FPGA; at
 * an effort less than quick under the first choices of CPU and GPU, on an FPGA under its own, and under
 * those that fold otherwise than in a tree, narrowed for the effort. Repeats are left out. Those with
 * folds that the device has not are unsupported. */
static inline void
for_each_schedule(const struct clnorm_problem *problem,
                  void (*check)(const struct clnorm_schedule *schedule, void *user), void *user)
{
    char seen[64][CLNORM_SCHEDULE_TEXT_SIZE];
    unsigned count = 0;
    for (int kind = CLNORM_KIND_CPU; kind < CLNORM_KIND_COUNT; kind++) {
        struct clnorm_target target = clnorm_target_default((enum clnorm_kind)kind);
        const int brief = test_effort() < CLNORM_EFFORT_QUICK;
        const unsigned end = kind == CLNORM_KIND_CPU                ? UINT_MAX
                             : kind == CLNORM_KIND_GPU              ? 1
                             : !brief || kind == test_device_kind() ? 1
                                                                    : 0;
        struct clnorm_schedule schedule;
        target.sub_group = target.collectives = 1;
        for (unsigned index = 0;
             index < end && clnorm_schedule_choose(problem, &target, index, &schedule); index++) {
            unsigned at = 0;
            if (brief && index > 0 && schedule.fold == CLNORM_FOLD_TREE)
                continue;
            assert_true(count < sizeof seen / sizeof *seen);
            clnorm_cases_narrow(test_effort(), &schedule);
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
