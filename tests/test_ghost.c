/* Ghost batches: against the f64 reference under every schedule, and against runs of sub-batches. */
#include "small_batch.h"

static void every_schedule_matches_the_reference(void **state)
{
    check_every_schedule(*state, "backward nchw f32 7x5x38 +scale +shift +relu +add +ghost=3");
}

/* Sub-batches cut into parts and not, of which the last is ragged, the only one, or not there. */
static void all_extents_match_the_reference(void **state)
{
    static const int64_t extents[][2] = {{0, 5},  {5, 0},   {1, 1},   {4, 1},   {5, 3},
                                         {9, 33}, {31, 49}, {64, 49}, {3, 9000}};
    static const char *const texts[] = {
        "forward nchw f32 ?x5x? +scale +shift +running +ghost=4",
        "forward nhwc f32 ?x37x? +running +biased +lengths +ghost=4",
        "forward nchw f32 ?x1x? +scale +ghost=4",
        "backward nchw f32 ?x5x? +shift +lengths +ghost=4",
        "backward nhwc f32 ?x5x? +scale +adam +ghost=4",
    };
    for (size_t t = 0; t < 2 * sizeof texts / sizeof *texts; t++)
        for (size_t i = 0; i < sizeof extents / sizeof *extents; i++) {
            struct clnorm_case one = case_of(*state, texts[t / 2]);
            one.batch = extents[i][0];
            one.spatial = extents[i][1];
            one.seed += i;
            check_resident(&one, t % 2 ? CLNORM_KIND_CPU : CLNORM_KIND_GPU, 2048);
        }
}

static void every_type_and_nasty_data_match_the_reference(void **state)
{
    static const char *const texts[] = {
        "forward nhwc bf16 9x5x38 +scale +ghost=4",
        "forward nchw f16 9x5x38 +shift +add +running +ghost=4",
        "forward nchw f64 9x5x38 +running +ghost=4",
        "backward nhwc f64 9x5x38 +shift +ghost=4",
        "forward nchw f32 9x5x38 +scale +running +ghost=4",
    };
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
        for (unsigned data = 0; data < CLNORM_DATA_EXACT; data++) {
            struct clnorm_case one = case_of(*state, texts[t]);
            one.data = (enum clnorm_data)data;
            check_case(&one);
        }
}

/* One sub-batch after another as batches of their own, the running statistics handed on. */
static void a_ghost_batch_is_a_batch(void **state)
{
    struct clnorm_values all = values_of("forward nchw f32 7x3x5 +scale +shift +running +ghost=3",
                                         0, 0, 1, CLNORM_DATA_ORDINARY, 6);
    struct clnorm_values before;
    static const enum clnorm_slot handed[] = {CLNORM_SLOT_RUNNING_MEAN, CLNORM_SLOT_RUNNING_VAR};
    const size_t sample = 15, channels = 3;
    assert_int_equal(clnorm_values_copy(&before, &all), CLNORM_OK);
    assert_true(execute(*state, NULL, &all, NULL));
    for (size_t first = 0; first < 7; first += 3) {
        struct clnorm_values one = values_of("forward nchw f32 ?x3x5 +scale +shift +running",
                                             first < 6 ? 3 : 1, 5, 1, CLNORM_DATA_ORDINARY, 6);
        memcpy(one.slot[CLNORM_SLOT_X].data, all.slot[CLNORM_SLOT_X].data + first * sample,
               one.slot[CLNORM_SLOT_X].elements * sizeof(double));
        take(&one, CLNORM_SLOT_SCALE, &all);
        take(&one, CLNORM_SLOT_SHIFT, &all);
        for (size_t i = 0; i < 2; i++)
            take(&one, handed[i], &before);
        assert_true(execute(*state, NULL, &one, NULL));
        for (size_t i = 0; i < one.slot[CLNORM_SLOT_Y].elements; i++)
            assert_true(fabs(one.slot[CLNORM_SLOT_Y].data[i] -
                             all.slot[CLNORM_SLOT_Y].data[first * sample + i]) < 2e-5);
        for (size_t c = 0; c < channels; c++)
            assert_true(fabs(one.slot[CLNORM_SLOT_MEAN].data[c] -
                             all.slot[CLNORM_SLOT_MEAN].data[first / 3 * channels + c]) < 2e-5);
        for (size_t i = 0; i < 2; i++)
            take(&before, handed[i], &one);
        clnorm_values_free(&one);
    }
    for (size_t i = 0; i < 2; i++)
        for (size_t c = 0; c < channels; c++)
            assert_true(fabs(before.slot[handed[i]].data[c] - all.slot[handed[i]].data[c]) < 2e-5);
    clnorm_values_free(&all);
    clnorm_values_free(&before);
}

/* How the launches cut a batch: no part is of two sub-batches, and the workspace holds all of it. */
static void check_cut(const struct clnorm_schedule *const schedule, void *const user)
{
    const struct clnorm_problem *const p = user;
    uint64_t before = 0;
    for (uint64_t batch = 0; batch < 70; batch += 1 + batch / 9)
        for (uint64_t spatial = 1; spatial < 5000; spatial *= 17) {
            const struct clnorm_launches plan = clnorm_launches_plan(p, schedule, batch, spatial);
            const uint64_t ghost = (uint64_t)p->ghost, ghosts = (batch + ghost - 1) / ghost;
            const uint64_t channels = (uint64_t)p->channels;
            assert_int_equal(plan.ghosts, ghosts);
            assert_true((plan.parts + ghosts) * 4 * channels * sizeof(float) <= plan.workspace);
            if (spatial == 1)
                assert_true(plan.workspace >= before);
            before = spatial == 1 ? plan.workspace : before;
            for (unsigned i = 0; i < plan.count; i++) {
                const struct clnorm_launch *const l = &plan.launch[i];
                const int rows = plan.batch == batch && p->layout == CLNORM_NCHW;
                const uint64_t step = rows ? l->batch_step : l->spatial_step;
                const uint64_t whole = rows ? ghost : ghost * spatial;
                if (l->step == CLNORM_STEP_REDUCE || l->step == CLNORM_STEP_MAP)
                    assert_true(whole % step == 0 || ghosts == 1);
                if (l->step == CLNORM_STEP_REDUCE && ghosts > 1)
                    assert_int_equal(plan.ghost_sets, whole / step * (rows ? l->global[2] : 1));
            }
        }
}

static void parts_stay_in_their_sub_batch(void **state)
{
    static const char *const texts[] = {"forward nchw f32 ?x5x? +ghost=12",
                                        "forward nhwc f32 ?x5x? +ghost=7",
                                        "forward nchw f32 ?x300x? +ghost=32"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct clnorm_problem problem;
        assert_int_equal(clnorm_problem_parse(texts[i], &problem, NULL, 0), CLNORM_OK);
        for_each_schedule(&problem, check_cut, &problem);
    }
}

static void gradients_match_central_differences(void **state)
{
    check_plain_gradients(*state, "forward nchw f64 5x2x3 +scale +shift +ghost=2",
                          "backward nchw f64 5x2x3 +scale +shift +ghost=2");
    check_plain_gradients(*state, "forward nhwc f64 5x2x3 +scale +shift +ghost=3",
                          "backward nhwc f64 5x2x3 +scale +shift +ghost=3");
}

static void the_grammar_has_the_number(void **state)
{
    struct clnorm_problem problem;
    char text[CLNORM_PROBLEM_TEXT_SIZE];
    (void)state;
    assert_int_equal(
        clnorm_problem_parse("forward nchw f32 ?x3x4 +ghost=32 +scale", &problem, NULL, 0),
        CLNORM_OK);
    assert_int_equal(problem.ghost, 32);
    clnorm_problem_format(&problem, text);
    assert_string_equal(text, "forward nchw f32 ?x3x4 +scale +ghost=32");
    expect_no_problem("forward nchw f32 2x3x4 +ghost", "as in +ghost=32");
    expect_no_problem("forward nchw f32 2x3x4 +ghost=", "only +ghost has a number");
    expect_no_problem("forward nchw f32 2x3x4 +ghost=0", "1 to 2147483647");
    expect_no_problem("forward nchw f32 2x3x4 +ghost=2147483648", "1 to 2147483647");
    expect_no_problem("forward nchw f32 2x3x4 +ghost=?", "only +ghost has a number");
    expect_no_problem("forward nchw f32 2x3x4 +ghost=3x", "only +ghost has a number");
    expect_no_problem("forward nchw f32 2x3x4 +relu=3", "only +ghost has a number");
    expect_no_problem("forward nchw f32 2x3x4 +ghost=3 +renorm", "do not go together");
    expect_no_problem("moments nchw f32 2x3x4 +ghost=3", "does not take the flags +ghost");
    problem = (struct clnorm_problem){.operation = CLNORM_FORWARD, .channels = 1, .ghost = 3};
    assert_int_equal(clnorm_problem_check(&problem, text, sizeof text), CLNORM_INVALID_ARGUMENT);
    assert_non_null(strstr(text, "without +ghost it must be 0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_schedule_matches_the_reference),
        cmocka_unit_test(all_extents_match_the_reference),
        cmocka_unit_test(every_type_and_nasty_data_match_the_reference),
        cmocka_unit_test(a_ghost_batch_is_a_batch),
        cmocka_unit_test(parts_stay_in_their_sub_batch),
        cmocka_unit_test(gradients_match_central_differences),
        cmocka_unit_test(the_grammar_has_the_number),
    };
    return cmocka_run_group_tests(tests, make_context, release_context);
}
