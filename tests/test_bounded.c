/* Programs whose channel count is an argument, up to a bound: one serves problems that differ in it,
 * from source and from a bundle, with right results and no step outside the tensors. */
#define _XOPEN_SOURCE 700
#include "bundle_fixture.h"

#include "cases.h"

enum { BOUND = 40, TILE = 16, LANES = 8 };

/* The schedule for FPGAs, in several tiles, with a bound (0: without). */
static struct clnorm_schedule schedule_of(const struct clnorm_problem *problem, uint32_t bound)
{
    const struct clnorm_target target = clnorm_target_default(CLNORM_KIND_FPGA);
    struct clnorm_schedule schedule;
    clnorm_schedule_choose(problem, &target, 0, &schedule);
    assert_int_equal(schedule.lanes, LANES);
    schedule.tile = TILE;
    schedule.bound = bound;
    return schedule;
}

/* The least, vectors filled and not, one tile and several, the bound. */
static const int64_t channels[] = {LANES, 9, 16, 17, 31, 33, BOUND};
enum { CHANNELS = sizeof channels / sizeof *channels };

static const struct {
    int64_t batch, spatial;
} extents[] = {{3, 49}, {1, 2}, {5, 1}, {2, 64}, {0, 3}};

static void run_all(struct clnorm_context *context, struct clnorm_case one)
{
    for (size_t c = 0; c < CHANNELS; c++)
        for (size_t e = 0; e < sizeof extents / sizeof *extents; e++) {
            struct clnorm_verify_result result;
            one.problem.channels = channels[c];
            one.batch = extents[e].batch;
            one.spatial = extents[e].spatial;
            one.seed = 10 * c + e;
            one.device = (struct clnorm_device_options){.pooled_workspace = (int)(e % 2),
                                                        .place = (unsigned)(c + e)};
            clnorm_verify_run(context, &one, &result, NULL);
            if (result.status == CLNORM_VERIFY_FAIL)
                fail_msg("%s, N=%lld S=%lld: %s (%s)", result.problem, (long long)one.batch,
                         (long long)one.spatial, result.detail, result.schedule);
        }
}

/* Results are right for all channels, and all have one program. */
static void one_program_serves_all(void **state)
{
    const struct fixture *const f = *state;
    static const char *const problems[] = {
        "forward nchw f32 ?x40x? +scale +shift +add +relu +running",
        "forward nhwc f32 ?x40x? +scale +shift +add +relu +running",
        "forward nhwc bf16 ?x40x?",
        "infer nchw f16 ?x40x? +scale +shift",
        "infer nhwc f32 ?x40x? +add",
        "backward nchw f32 ?x40x? +scale +shift +relu",
        "backward nhwc f32 ?x40x? +scale +shift +add",
        "backward-frozen nhwc f32 ?x40x? +scale +shift",
    };
    enum { COUNT = sizeof problems / sizeof *problems };
    for (size_t i = 0; i < COUNT; i++) {
        struct clnorm_case one = {.problem = problem_of(problems[i]), .sets = 1, .scheduled = 1};
        one.schedule = schedule_of(&one.problem, BOUND);
        run_all(f->source, one);
    }
    assert_int_equal(clnorm_context_statistics(f->source).builds, COUNT);
}

/* Over channels first, sums are taken in the order in which a program for these channels does. */
static void bits_are_those_of_baked_channels(void **state)
{
    const struct fixture *const f = *state;
    const struct clnorm_problem bound = problem_of("forward nchw f32 ?x40x? +scale");
    const struct clnorm_schedule bounded = schedule_of(&bound, BOUND),
                                 baked = schedule_of(&bound, 0);
    static const char *const problems[] = {"forward nchw f32 ?x9x? +scale",
                                           "forward nchw f32 ?x33x? +scale"};
    for (size_t i = 0; i < 2; i++) {
        struct clnorm_values a = values_of(problems[i], 3, 49, 1, CLNORM_DATA_ORDINARY, 7), b;
        assert_int_equal(clnorm_values_copy(&b, &a), CLNORM_OK);
        assert_true(execute(f->source, &bounded, &a, NULL));
        assert_true(execute(f->source, &baked, &b, NULL));
        assert_true(clnorm_compare_same(&a, &b, -1));
        clnorm_values_free(&a);
        clnorm_values_free(&b);
    }
}

static struct clnorm_plan *bounded_plan(struct clnorm_context *context, const char *text,
                                        uint32_t bound)
{
    const struct clnorm_problem problem = problem_of(text);
    const struct clnorm_schedule schedule = schedule_of(&problem, bound);
    const struct clnorm_plan_options options = {.size = sizeof options, .schedule = &schedule};
    return plan_with(context, text, &options);
}

/* Which bound serves a plan from the bundle. */
static uint32_t bound_of(struct clnorm_context *context, const char *text)
{
    struct clnorm_plan *const plan = plan_with(context, text, NULL);
    const uint32_t bound = clnorm_plan_schedule(plan)->bound;
    char made[CLNORM_PROBLEM_TEXT_SIZE];
    clnorm_problem_format(clnorm_plan_problem(plan), made);
    assert_string_equal(made, text);
    clnorm_plan_release(plan);
    return bound;
}

/* The bundle's program for the very channels is the best, then the lowest bound. */
static void bundles_serve_what_the_bound_holds(void **state)
{
    struct fixture *const f = *state;
    struct clnorm_plan *const plans[] = {bounded_plan(f->source, "infer nhwc f32 ?x40x?", 40),
                                         bounded_plan(f->source, "infer nhwc f32 ?x30x?", 30),
                                         bounded_plan(f->source, "infer nhwc f32 ?x16x?", 0)};
    assert_int_equal(clnorm_bundle_write(f->source, plans, 3, f->path), CLNORM_OK);
    for (size_t i = 0; i < 3; i++)
        clnorm_plan_release(plans[i]);
    struct clnorm_context *const bundled = open_bundle(f);
    assert_int_equal(bound_of(bundled, "infer nhwc f32 ?x40x?"), 40);
    assert_int_equal(bound_of(bundled, "infer nhwc f32 ?x31x?"), 40);
    assert_int_equal(bound_of(bundled, "infer nhwc f32 ?x30x?"), 30);
    assert_int_equal(bound_of(bundled, "infer nhwc f32 8x8x9"), 30);
    assert_int_equal(bound_of(bundled, "infer nhwc f32 ?x16x?"), 0);
    static const char *const refused[] = {"infer nhwc f32 ?x41x?", "infer nhwc f32 ?x7x?",
                                          "infer nchw f32 ?x31x?"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        expect_refused(bundled, refused[i], NULL, CLNORM_UNSUPPORTED,
                       (const char *[]){refused[i], "clnorm compile", NULL});
    const struct clnorm_case one = {.problem = problem_of("infer nhwc f32 ?x16x?"), .sets = 1};
    run_all(bundled, one);
    assert_int_equal(clnorm_context_statistics(bundled).builds, 0);
    clnorm_context_release(bundled);
}

/* What a bound is not for, and channels outside it. */
static void wrong_bounds_are_refused(void **state)
{
    const struct fixture *const f = *state;
    static const struct {
        const char *problem;
        uint32_t bound;
        const char *word;
    } rows[] = {
        {"forward nchw f32 ?x41x?", 40, "bound must be 41"},
        {"moments nchw f32 ?x40x?", 40, "a bound is for"},
        {"backward nchw f32 ?x40x? +scale +sgd", 40, "a bound is for"},
        {"backward-frozen nchw f32 ?x40x?", 40, "a bound is for"},
        {"forward nchw f32 ?x4x?", 40, "no more lanes than channels"},
    };
    const struct clnorm_problem wide = problem_of("forward nchw f32 ?x40x?");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct clnorm_schedule schedule = schedule_of(&wide, rows[i].bound);
        const struct clnorm_plan_options options = {.size = sizeof options, .schedule = &schedule};
        expect_refused(f->source, rows[i].problem, &options, CLNORM_INVALID_ARGUMENT,
                       (const char *[]){rows[i].word, NULL});
    }
    struct clnorm_schedule serial = schedule_of(&wide, BOUND);
    serial.walk = CLNORM_WALK_SERIAL;
    const struct clnorm_plan_options options = {.size = sizeof options, .schedule = &serial};
    expect_refused(f->source, "forward nchw f32 ?x40x?", &options, CLNORM_INVALID_ARGUMENT,
                   (const char *[]){"a bound is for the pipeline walk", NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BUNDLE_TEST(one_program_serves_all),
        BUNDLE_TEST(bits_are_those_of_baked_channels),
        BUNDLE_TEST(bundles_serve_what_the_bound_holds),
        BUNDLE_TEST(wrong_bounds_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
