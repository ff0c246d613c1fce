/* What `clnorm tune` trusts: its check tells right results from wrong ones, and its candidates are
 * legal and all different. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h" /* before cmocka.h, which has a macro `fail` */
#include "tune.h"
#include "verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct clnorm_problem problem_of(const char *text)
{
    struct clnorm_problem problem;
    assert_int_equal(clnorm_problem_parse(text, &problem, NULL, 0), CLNORM_OK);
    return problem;
}

static int open_context(void **state)
{
    char message[256] = "";
    *state = clnorm_verify_context(message, sizeof message);
    if (!*state)
        fail_msg("%s", message);
    return 0;
}

static int close_context(void **state)
{
    clnorm_context_release(*state);
    return 0;
}

static void open_run(struct device_run *run, struct clnorm_context *context, const char *text)
{
    const struct clnorm_problem p = problem_of(text);
    assert_int_equal(device_run_open(run, context, &p, p.batch, p.spatial), DONE);
}

static void right_results_pass(void **state)
{
    static const char *const problems[] = {
        "forward nchw f32 3x19x6x6 +scale +shift +relu +running",
        "forward nhwc bf16 3x19x6x6 +add",
        "infer nchw f16 2x2x9 +scale",
        "backward nhwc f32 3x9x5 +scale +shift +relu +adam",
        "moments nchw f32 3x8x40",
    };
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        struct device_run run;
        struct replica replica;
        char detail[256] = "";
        open_run(&run, *state, problems[i]);
        assert_int_equal(replica_open(&replica, &run), DONE);
        for (unsigned round = 0; round < 2; round++) /* what the first left behind does no harm */
            if (!replica_check(&replica, &run, detail, sizeof detail))
                fail_msg("%s: %s", problems[i], detail);
        replica_close(&replica);
        device_run_close(&run);
    }
}

/* A plan that computes something else, with the same buffers. */
static void wrong_results_are_found(void **state)
{
    static const struct {
        const char *right, *wrong;
    } rows[] = {
        {"forward nchw f32 3x19x6x6 +relu", "forward nchw f32 3x19x6x6"},
        {"forward nhwc f32 3x19x6x6 +running", "forward nhwc f32 3x19x6x6 +running +biased"},
        {"infer nchw f32 3x19x6x6", "infer nhwc f32 3x19x6x6"},
        {"backward nhwc f32 3x9x5", "backward-frozen nhwc f32 3x9x5"},
        {"infer nchw f32 3x19x36", "infer nchw f32 2x19x36"}, /* all it writes is right */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct clnorm_problem wrong = problem_of(rows[i].wrong);
        struct device_run run;
        struct replica replica;
        char detail[256] = "";
        open_run(&run, *state, rows[i].right);
        assert_int_equal(replica_open(&replica, &run), DONE);
        /* Right results are there, for the wrong plan to leave in place. */
        assert_int_equal(replica_check(&replica, &run, detail, sizeof detail), 1);
        struct clnorm_plan *const right_plan = run.plan;
        assert_int_equal(clnorm_plan_create(*state, &wrong, NULL, &run.plan), CLNORM_OK);
        run.arguments.batch = wrong.batch;
        if (replica_check(&replica, &run, detail, sizeof detail))
            fail_msg("'%s' passed for '%s'", rows[i].wrong, rows[i].right);
        assert_int_not_equal(detail[0], 0);
        clnorm_plan_release(run.plan);
        run.plan = right_plan;
        replica_close(&replica);
        device_run_close(&run);
    }
}

static void candidates_are_legal_and_differ(void **state)
{
    (void)state;
    static const char *const problems[] = {
        "forward nchw f32 8x64x28x28",      "infer nhwc f32 8x64x28x28",
        "backward nhwc f16 8x3x28x28",      "moments nchw f64 8x64x7x7",
        "update nchw f32 8x64 +scale +sgd",
    };
    struct candidates *const candidates = malloc(sizeof *candidates);
    assert_non_null(candidates);
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        for (int kind = CLNORM_KIND_CPU; kind < CLNORM_KIND_COUNT; kind++) {
            const struct clnorm_problem problem = problem_of(problems[i]);
            const struct clnorm_target target = clnorm_target_default((enum clnorm_kind)kind);
            const struct clnorm_schedule *next;
            candidates_start(candidates, &problem, &target, NULL);
            assert_int_equal(candidates->items[0].tried, 1); /* the default is known */
            candidates_vary(candidates, &candidates->items[0].schedule);
            size_t count = 1;
            for (; (next = candidates_next(candidates)); count++) {
                assert_int_equal(clnorm_schedule_check(next, &problem, NULL, 0), CLNORM_OK);
                assert_true(clnorm_schedule_fits(next, &problem, &target));
                for (size_t j = 0; j < candidates->count; j++) {
                    struct clnorm_schedule other = candidates->items[j].schedule;
                    memcpy(other.name, next->name, sizeof other.name);
                    assert_true(&candidates->items[j].schedule == next ||
                                !clnorm_schedule_same(&other, next));
                }
            }
            assert_int_equal(count, candidates->count);
            assert_true(count > 1);
        }
    free(candidates);
}

/* What is known to be good is tried first, and once only. */
static void the_known_goes_first(void **state)
{
    (void)state;
    const struct clnorm_problem problem = problem_of("forward nchw f32 8x64x28x28");
    const struct clnorm_target target = clnorm_target_default(CLNORM_KIND_CPU);
    struct candidates *const candidates = malloc(sizeof *candidates);
    struct clnorm_schedule known;
    assert_non_null(candidates);
    candidates_start(candidates, &problem, &target, NULL);
    const size_t count = candidates->count;
    known = candidates->items[count - 1].schedule;
    candidates_start(candidates, &problem, &target, &known);
    assert_int_equal(candidates->count, count);
    assert_true(clnorm_schedule_same(candidates_next(candidates), &known));
    free(candidates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_results_pass),
        cmocka_unit_test(wrong_results_are_found),
        cmocka_unit_test(candidates_are_legal_and_differ),
        cmocka_unit_test(the_known_goes_first),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
