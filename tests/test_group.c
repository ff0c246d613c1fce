/*
 * One batch on all devices there are: what comes out is what the reference gives for the batch as a
 * whole, whoever had which share, and the same bits for the same shares.
 *
 * test_group few: only forward and backward in both layouts, for simulators, which take seconds for
 * a program.
 */
#include "group/rig.h"

#include <stdlib.h>

static struct rig rig;
static int few;
static size_t least_platforms;

static cl_platform_id platform_of(size_t member)
{
    return clnorm_context_device(rig.context[member])->platform;
}

static int open_all(void **state)
{
    (void)state;
    rig_open(&rig, MAX_MEMBERS);
    size_t platforms = 0;
    for (size_t i = 0, k; i < rig.count; i++) {
        for (k = 0; platform_of(k) != platform_of(i); k++)
            ;
        platforms += k == i;
    }
    printf("%zu members of %zu platforms\n", rig.count, platforms);
    return rig.count > 1 && platforms >= least_platforms ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

static const struct load_options plain = {.out = CLNORM_SLOT_COUNT};

static struct clnorm_problem problem_of(const char *text)
{
    struct clnorm_problem problem;
    assert_int_equal(clnorm_problem_parse(text, &problem, NULL, 0), CLNORM_OK);
    return problem;
}

/* ---- Against the reference ---- */

static const struct {
    const char *problem;
    int64_t sets;
    enum clnorm_data data;
    enum clnorm_slot out, in; /* in place */
    int few;
} cases[] = {
#define APART CLNORM_SLOT_COUNT, CLNORM_SLOT_COUNT
    {"forward nchw f32 ?x5x? +scale +shift +add +relu +running", 1, CLNORM_DATA_LARGE_MEAN, APART,
     1},
    {"forward nchw f32 ?x5x? +scale +shift +add +relu +running", 1, CLNORM_DATA_NAN, CLNORM_SLOT_Y,
     CLNORM_SLOT_X, 0},
    {"normalise nchw f32 ?x5x? +scale +shift +add +relu +running", 3, CLNORM_DATA_OUTLIER, APART,
     0},
    {"moments nchw f32 ?x5x?", 1, CLNORM_DATA_OUTLIER, APART, 0},
    {"backward nchw f32 ?x5x? +scale +shift +add +relu", 1, CLNORM_DATA_ORDINARY, APART, 1},
    {"backward nchw f32 ?x5x? +scale +shift +add +relu +adam", 1, CLNORM_DATA_ORDINARY,
     CLNORM_SLOT_DX, CLNORM_SLOT_X, 0},
    {"backward-sums nchw f32 ?x5x? +relu", 1, CLNORM_DATA_ORDINARY, APART, 0},
    {"input-gradient nchw f32 ?x5x? +scale +shift +add +relu +sgd", 2, CLNORM_DATA_ORDINARY, APART,
     0},
    {"forward nhwc f16 ?x6x? +shift +running +biased", 1, CLNORM_DATA_ORDINARY, APART, 1},
    {"infer nhwc bf16 ?x6x? +scale +relu", 1, CLNORM_DATA_ORDINARY, APART, 0},
    {"backward nhwc bf16 ?x6x? +scale", 1, CLNORM_DATA_ORDINARY, APART, 1},
    {"backward-frozen nhwc f32 ?x6x? +scale +shift +sgd", 1, CLNORM_DATA_ORDINARY, CLNORM_SLOT_DX,
     CLNORM_SLOT_DY, 0},
    {"forward nhwc f32 ?x6x? +scale +shift +running +renorm", 1, CLNORM_DATA_ORDINARY, APART, 1},
    {"backward nhwc f32 ?x6x? +scale +shift +renorm", 1, CLNORM_DATA_ORDINARY, APART, 1},
    {"forward nhwc f64 3x3x4 +scale", 1, CLNORM_DATA_LARGE_MEAN, APART, 0},
#undef APART
};

/* The first two for every case; the others, where one member has all, for the first. */
static const struct {
    double pattern[4];
    size_t length;
    int64_t batch;
} cuts[] = {
    {{1, 3, 2}, 3, 9},
    {{2, 0, 1}, 3, 7},
    {{0, 1}, 2, 2},
    {{1}, 1, 1},
};

/* The same shares twice: right, the same bits, and every sample done by whom it was for. */
static void check_cut(struct load *load, struct clnorm_group_plan *plan, const uint64_t *shares)
{
    struct clnorm_group_report report[MAX_MEMBERS];
    struct clnorm_group_arguments arguments = load_arguments(load);
    struct clnorm_values first, second;
    arguments.shares = shares;
    rig_run(&rig, plan, &arguments, report);
    load_check(load, "shares");
    load_read(load, &first);
    load_reset(load);
    rig_run(&rig, plan, &arguments, report);
    load_read(load, &second);
    assert_true(clnorm_compare_same(&first, &second, -1));
    for (size_t i = 0; i < rig.count; i++) {
        assert_int_equal(report[i].status, CLNORM_OK);
        assert_int_equal(report[i].share, shares[i]);
        assert_int_equal(report[i].done, shares[i]);
    }
    clnorm_values_free(&first);
    clnorm_values_free(&second);
}

static void test_equals_the_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (few && !cases[i].few)
            continue;
        const struct clnorm_problem problem = problem_of(cases[i].problem);
        struct clnorm_group_plan *const plan = rig_plan(&rig, &problem);
        const size_t cut_count = i == 0 ? sizeof cuts / sizeof *cuts : 2;
        for (size_t k = 0; plan && k < cut_count; k++) {
            struct clnorm_values inputs = values_of(cases[i].problem, cuts[k].batch, 13,
                                                    cases[i].sets, cases[i].data, 5 * i + k);
            const struct load_options options = {
                .odd = k == 1, .out = cases[i].out, .in = cases[i].in};
            struct load load;
            uint64_t shares[MAX_MEMBERS];
            load_open(&load, &inputs, &options);
            rig_cut(&rig, cuts[k].pattern, cuts[k].length, (uint64_t)inputs.batch, shares);
            check_cut(&load, plan, shares);
            load_close(&load);
            clnorm_values_free(&inputs);
        }
        clnorm_group_plan_release(plan);
    }
}

/* ---- One member has it all ---- */

static void test_one_share_is_a_plan(void **state)
{
    (void)state;
    const char *const text = "forward nchw f32 ?x5x? +scale +shift +add +relu +running";
    const struct clnorm_problem problem = problem_of(text);
    struct clnorm_group_plan *const plan = rig_plan(&rig, &problem);
    for (size_t member = 0; member < 2; member++) {
        struct clnorm_values inputs = values_of(text, 6, 33, 1, CLNORM_DATA_ORDINARY, 3), observed;
        struct clnorm_group_report report[MAX_MEMBERS];
        struct load load;
        uint64_t shares[MAX_MEMBERS] = {0};
        load_open(&load, &inputs, &plain);
        struct clnorm_group_arguments arguments = load_arguments(&load);
        shares[member] = 6;
        arguments.shares = shares;
        rig_run(&rig, plan, &arguments, report);
        load_read(&load, &observed);
        assert_true(execute(rig.context[member], NULL, &inputs, NULL));
        assert_true(clnorm_compare_same(&inputs, &observed, -1));
        load_close(&load);
        clnorm_values_free(&inputs);
        clnorm_values_free(&observed);
    }
    clnorm_group_plan_release(plan);
}

static void test_empty_batches(void **state)
{
    (void)state;
    static const int64_t extents[][2] = {{0, 13}, {5, 0}};
    const char *const text = "forward nchw f32 ?x5x? +scale +shift +add +relu +running";
    const struct clnorm_problem problem = problem_of(text);
    struct clnorm_group_plan *const plan = rig_plan(&rig, &problem);
    for (size_t i = 0; i < 2; i++) {
        struct clnorm_values inputs =
            values_of(text, extents[i][0], extents[i][1], 1, CLNORM_DATA_ORDINARY, 3);
        struct clnorm_group_report report[MAX_MEMBERS];
        struct load load;
        load_open(&load, &inputs, &plain);
        const struct clnorm_group_arguments arguments = load_arguments(&load);
        rig_run(&rig, plan, &arguments, report);
        load_check(&load, "empty");
        load_close(&load);
        clnorm_values_free(&inputs);
    }
    clnorm_group_plan_release(plan);
}

/* ---- Beyond the group ---- */

/* As if another machine had the very same batch. */
static enum clnorm_status merge_with_itself(void *user, void *set, size_t bytes)
{
    float *const moments = set;
    assert_int_equal(bytes, 4 * 5 * sizeof(float));
    for (int c = 0; c < 5; c++) {
        moments[c] *= 2;
        moments[15 + c] *= 2;
    }
    ++*(int *)user;
    return CLNORM_OK;
}

static void test_exchange(void **state)
{
    (void)state;
    const char *const text = "forward nchw f32 ?x5x? +scale +shift +add +relu +running";
    const struct clnorm_problem problem = problem_of(text);
    struct clnorm_group_plan *const plan = rig_plan(&rig, &problem);
    struct clnorm_values half = values_of(text, 4, 13, 1, CLNORM_DATA_ORDINARY, 9), both;
    const uint64_t alone[MAX_MEMBERS] = {0, 4};
    assert_int_equal(clnorm_values_create(&both, &half.problem, 8, 13, 1), CLNORM_OK);
    for (int slot = 0; slot < CLNORM_SLOT_COUNT; slot++)
        for (size_t i = 0; i < both.slot[slot].elements; i++)
            both.slot[slot].data[i] = half.slot[slot].data[i % half.slot[slot].elements];
    clnorm_reference_run(&both);
    for (int shares = 0; shares < 2; shares++) {
        struct clnorm_group_report report[MAX_MEMBERS];
        struct load load;
        int calls = 0;
        load_open(&load, &half, &plain);
        for (int slot = 0; slot < CLNORM_SLOT_COUNT; slot++)
            for (size_t i = 0; i < half.slot[slot].elements; i++)
                load.expected.slot[slot].data[i] = both.slot[slot].data[i];
        struct clnorm_group_arguments arguments = load_arguments(&load);
        arguments.exchange = merge_with_itself;
        arguments.user = &calls;
        arguments.shares = shares ? alone : NULL;
        rig_run(&rig, plan, &arguments, report);
        load_check(&load, "exchange");
        assert_int_equal(calls, 1);
        load_close(&load);
    }
    clnorm_values_free(&half);
    clnorm_values_free(&both);
    clnorm_group_plan_release(plan);
}

static enum clnorm_status take_given(void *user, void *set, size_t bytes)
{
    const struct clnorm_slot_values *const moments = user;
    for (size_t i = 0; i < moments->elements; i++) {
        assert_true(((float *)set)[i] == 0);
        ((float *)set)[i] = (float)moments->data[i];
    }
    assert_int_equal(bytes, moments->elements * sizeof(float));
    return CLNORM_OK;
}

/* A group that has no samples of a batch gets what there is per channel all the same. */
static void test_exchange_without_samples(void **state)
{
    (void)state;
    const char *const text = "forward nchw f32 ?x5x? +scale +shift +add +relu +running";
    const struct clnorm_problem problem = problem_of(text);
    struct clnorm_group_plan *const plan = rig_plan(&rig, &problem);
    struct clnorm_values all = values_of(text, 4, 13, 1, CLNORM_DATA_ORDINARY, 9), none;
    struct clnorm_values moments =
        values_of("moments nchw f32 ?x5x?", 4, 13, 1, CLNORM_DATA_ORDINARY, 9);
    struct clnorm_group_report report[MAX_MEMBERS];
    struct load load;
    memcpy(moments.slot[CLNORM_SLOT_X].data, all.slot[CLNORM_SLOT_X].data,
           all.slot[CLNORM_SLOT_X].elements * sizeof(double));
    clnorm_reference_run(&moments);
    assert_int_equal(clnorm_values_create(&none, &problem, 0, 13, 1), CLNORM_OK);
    for (int slot = 0; slot < CLNORM_SLOT_COUNT; slot++)
        for (size_t i = 0; i < none.slot[slot].elements; i++)
            none.slot[slot].data[i] = all.slot[slot].data[i];
    load_open(&load, &none, &plain);
    clnorm_reference_run(&all);
    for (int slot = 0; slot < CLNORM_SLOT_COUNT; slot++)
        for (size_t i = 0; i < none.slot[slot].elements; i++) {
            load.expected.slot[slot].data[i] = all.slot[slot].data[i];
            load.expected.slot[slot].tolerance[i] = all.slot[slot].tolerance[i];
        }
    struct clnorm_group_arguments arguments = load_arguments(&load);
    arguments.exchange = take_given;
    arguments.user = &moments.slot[CLNORM_SLOT_MOMENTS];
    rig_run(&rig, plan, &arguments, report);
    load_check(&load, "no samples");
    load_close(&load);
    clnorm_values_free(&all);
    clnorm_values_free(&none);
    clnorm_values_free(&moments);
    clnorm_group_plan_release(plan);
}

/* ---- Mistakes ---- */

static void expect_refusal(struct clnorm_group_plan *plan,
                           const struct clnorm_group_arguments *arguments, const char *word)
{
    char error[512];
    assert_int_equal(clnorm_group_run(plan, arguments, NULL), CLNORM_INVALID_ARGUMENT);
    clnorm_group_error(rig.group, error, sizeof error);
    if (!strstr(error, word))
        fail_msg("'%s' does not say '%s'", error, word);
}

static void test_mistakes(void **state)
{
    (void)state;
    const char *const text = "forward nchw f32 ?x5x? +scale +shift +add +relu +running";
    const struct clnorm_problem problem = problem_of(text),
                                merge = problem_of("merge nchw f32 2x2");
    struct clnorm_group_plan *const plan = rig_plan(&rig, &problem), *none = NULL;
    struct clnorm_values inputs = values_of(text, 4, 13, 1, CLNORM_DATA_ORDINARY, 9);
    const uint64_t less[MAX_MEMBERS] = {1, 2}, more[MAX_MEMBERS] = {3, 2};
    struct load load;
    load_open(&load, &inputs, &plain);
    const struct clnorm_group_arguments good = load_arguments(&load);
    struct clnorm_group_arguments bad[8];
    for (size_t i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].x = NULL;
    bad[1].batch = 5;
    bad[2].spatial = 12;
    bad[3].running_mean = good.running_var;
    bad[4].momentum = 2;
    bad[5].shares = less;
    bad[6].shares = more;
    bad[7].size = 0;
    static const char *const words[8] = {"'x'",      "samples", "bytes",     "'running_mean'",
                                         "momentum", "add up",  "more than", "size"};
    for (size_t i = 0; i < 8; i++)
        expect_refusal(plan, &bad[i], words[i]);
    assert_true(load_is_intact(&load, CLNORM_SLOT_RUNNING_MEAN));
    assert_int_equal(clnorm_group_plan_create(rig.group, &merge, &none), CLNORM_INVALID_ARGUMENT);
    load_close(&load);
    clnorm_values_free(&inputs);
    clnorm_group_plan_release(plan);
}

int main(int count, char **arguments)
{
    few = count > 1 && strcmp(arguments[1], "few") == 0;
    least_platforms = count > 2 ? strtoul(arguments[2], NULL, 10) : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_the_whole),
        cmocka_unit_test(test_one_share_is_a_plan),
        cmocka_unit_test(test_empty_batches),
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_exchange_without_samples),
        cmocka_unit_test(test_mistakes),
    };
    if (few)
        cmocka_set_test_filter("test_equals_the_whole");
    return cmocka_run_group_tests(tests, open_all, close_all);
}
