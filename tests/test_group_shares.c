/*
 * Shares of a batch: where they come from, what moves for them, and sub-devices that share one
 * device.
 */
#include "group/rig.h"

#include <stdlib.h>

static struct rig rig;

static int open_all(void **state)
{
    (void)state;
    rig_open(&rig, MAX_MEMBERS);
    return rig.count > 1 ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

static const struct load_options plain = {.out = CLNORM_SLOT_COUNT};

/* ---- Bytes ---- */

/* Runs with shares that the pattern gives. */
static void run_cut(struct load *load, struct clnorm_group_plan *plan, const double *pattern,
                    struct clnorm_group_report report[MAX_MEMBERS])
{
    struct clnorm_group_arguments arguments = load_arguments(load);
    uint64_t shares[MAX_MEMBERS];
    rig_cut(&rig, pattern, 3, (uint64_t)load->inputs.batch, shares);
    arguments.shares = shares;
    rig_run(&rig, plan, &arguments, report);
    load_check(load, "bytes");
}

/* Moments come to the host from memory of its own; samples go there, or where the view is odd. */
static void check_bytes(const struct clnorm_group_report *report, int odd,
                        const uint64_t samples[MAX_MEMBERS])
{
    for (size_t i = 0; i < rig.count; i++) {
        const int own = !clnorm_context_device(rig.context[i])->host_memory;
        const uint64_t set = own && report[i].share > 0 ? 4 * 5 * sizeof(float) : 0;
        assert_int_equal(report[i].bytes_to_device,
                         own || odd ? samples[i] * 5 * 13 * sizeof(float) : 0);
        assert_int_equal(report[i].bytes_to_host, set);
    }
}

/* x moves to the members that have not got it, a share each, and is there for the next run. Samples
 * that change hands go again, from the host, which has them still. */
static void test_bytes_are_those_of_shares(void **state)
{
    (void)state;
    static const double before[3] = {1, 3, 2}, after[3] = {3, 1, 2};
    static const uint64_t none[MAX_MEMBERS] = {0};
    const char *const text = "moments nchw f32 ?x5x?";
    struct clnorm_values inputs = values_of(text, 12, 13, 1, CLNORM_DATA_ORDINARY, 3);
    struct clnorm_group_plan *const plan = rig_plan(&rig, &inputs.problem);
    for (int odd = 0; odd < 2; odd++) {
        const struct load_options options = {.odd = odd, .out = CLNORM_SLOT_COUNT};
        struct clnorm_group_report report[MAX_MEMBERS];
        struct load load;
        uint64_t first[MAX_MEMBERS], next[MAX_MEMBERS], more[MAX_MEMBERS] = {0};
        load_open(&load, &inputs, &options);
        rig_cut(&rig, before, 3, 12, first);
        rig_cut(&rig, after, 3, 12, next);
        for (uint64_t i = 0, at = 0, next_at = 0; i < rig.count;
             at += first[i], next_at += next[i++])
            for (uint64_t n = next_at; n < next_at + next[i]; n++)
                more[i] += n < at || n >= at + first[i];
        run_cut(&load, plan, before, report);
        check_bytes(report, odd, first);
        run_cut(&load, plan, before, report);
        check_bytes(report, odd, none);
        run_cut(&load, plan, after, report);
        check_bytes(report, odd, more);
        load_close(&load);
    }
    clnorm_values_free(&inputs);
    clnorm_group_plan_release(plan);
}

/* ---- Where shares come from ---- */

static void test_shares_follow_weights(void **state)
{
    (void)state;
    static const double weights[MAX_MEMBERS] = {0, 1, 2};
    uint64_t shares[MAX_MEMBERS], sum = 0;
    rig_regroup(&rig, CLNORM_SHARING_GIVEN, weights);
    clnorm_group_shares(rig.group, 10, shares);
    assert_int_equal(shares[0], 0);
    assert_int_equal(shares[1], rig.count > 2 ? 3 : 10);
    clnorm_group_shares(rig.group, UINT64_C(1) << 59, shares);
    for (size_t i = 0; i < rig.count; i++)
        sum += shares[i];
    assert_int_equal(sum, UINT64_C(1) << 59);
    static const double none[MAX_MEMBERS] = {0}, negative[MAX_MEMBERS] = {1, -1};
    assert_int_equal(clnorm_group_set_weights(rig.group, none), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_group_set_weights(rig.group, negative), CLNORM_INVALID_ARGUMENT);
    rig_regroup(&rig, CLNORM_SHARING_GIVEN, NULL);
}

/* By the formula in the header, from what the report says. */
static void expect_weights(const struct clnorm_group_report *report, double newest,
                           double weights[MAX_MEMBERS])
{
    double speeds = 0, sum = 0, now[MAX_MEMBERS];
    for (size_t i = 0; i < rig.count; i++) {
        speeds += report[i].share > 0 ? (double)report[i].share / report[i].seconds : 0;
        sum += report[i].share > 0 ? weights[i] : 0;
    }
    for (size_t i = 0; i < rig.count; i++)
        if (report[i].share > 0)
            weights[i] = (1 - newest) * weights[i] +
                         newest * sum * ((double)report[i].share / report[i].seconds) / speeds;
    clnorm_group_weights(rig.group, now);
    for (size_t i = 0; i < rig.count; i++)
        assert_true(fabs(now[i] - weights[i]) <= 1e-9 * sum);
}

static void test_weights_follow_times(void **state)
{
    (void)state;
    const char *const text = "moments nchw f32 ?x5x?";
    struct clnorm_values inputs = values_of(text, 16, 200, 1, CLNORM_DATA_ORDINARY, 3);
    for (int mode = CLNORM_SHARING_MEASURED; mode <= CLNORM_SHARING_ADAPTING; mode++) {
        double weights[MAX_MEMBERS];
        struct load load;
        rig_regroup(&rig, (enum clnorm_sharing_mode)mode, NULL);
        struct clnorm_group_plan *const plan = rig_plan(&rig, &inputs.problem);
        load_open(&load, &inputs, &plain);
        const struct clnorm_group_arguments arguments = load_arguments(&load);
        clnorm_group_weights(rig.group, weights);
        for (int run = 0; run < 4; run++) {
            struct clnorm_group_report report[MAX_MEMBERS];
            const int adapts = mode == CLNORM_SHARING_ADAPTING;
            rig_run(&rig, plan, &arguments, report);
            load_check(&load, "adapting");
            for (size_t i = 0; i < rig.count; i++)
                assert_true(report[i].share == 0 || report[i].seconds > 0);
            const int learns = run > 0 && (adapts || run == 1);
            expect_weights(report, !learns ? 0 : adapts ? 0.25 : 1, weights);
        }
        load_close(&load);
        clnorm_group_plan_release(plan);
    }
    clnorm_values_free(&inputs);
    rig_regroup(&rig, CLNORM_SHARING_GIVEN, NULL);
}

/* A run in which one member has it all tells nothing about the others. */
static void test_measuring_waits_for_all(void **state)
{
    (void)state;
    struct clnorm_values inputs =
        values_of("moments nchw f32 ?x5x?", 16, 200, 1, CLNORM_DATA_ORDINARY, 3);
    static const uint64_t alone[MAX_MEMBERS] = {16};
    struct clnorm_group_report report[MAX_MEMBERS];
    double weights[MAX_MEMBERS];
    struct load load;
    rig_regroup(&rig, CLNORM_SHARING_MEASURED, NULL);
    struct clnorm_group_plan *const plan = rig_plan(&rig, &inputs.problem);
    load_open(&load, &inputs, &plain);
    struct clnorm_group_arguments arguments = load_arguments(&load);
    clnorm_group_weights(rig.group, weights);
    arguments.shares = alone;
    for (int run = 0; run < 3; run++)
        rig_run(&rig, plan, &arguments, report);
    arguments.shares = NULL;
    rig_run(&rig, plan, &arguments, report);
    expect_weights(report, 1, weights);
    load_close(&load);
    clnorm_group_plan_release(plan);
    clnorm_values_free(&inputs);
    rig_regroup(&rig, CLNORM_SHARING_GIVEN, NULL);
}

/* ---- Sub-devices ---- */

static struct clnorm_context *context_of_part(cl_device_id part)
{
    cl_int code;
    char message[256] = "";
    struct clnorm_context *context = NULL;
    const cl_context opencl = clCreateContext(NULL, 1, &part, NULL, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    const struct clnorm_context_options options = {
        .size = sizeof options, .context = opencl, .device = part};
    if (clnorm_context_create(&options, &context, message, sizeof message) != CLNORM_OK)
        fail_msg("%s", message);
    clReleaseContext(opencl);
    return context;
}

/* The parts of a device with all its compute units, as members. */
static void test_sub_devices(void **state)
{
    (void)state;
    static const cl_device_partition_property by_one[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
    const char *const text = "forward nchw f32 ?x5x? +scale +shift +add +relu +running";
    const struct clnorm_device *const whole = clnorm_context_device(rig.context[rig.count - 1]);
    cl_device_id part[2];
    struct rig parts = {.count = 2};
    if (whole->target.compute_units != 2 ||
        clCreateSubDevices(whole->device, by_one, 2, part, NULL) != CL_SUCCESS)
        skip();
    for (size_t i = 0; i < 2; i++) {
        parts.context[i] = context_of_part(part[i]);
        const struct clnorm_target *const target = &clnorm_context_device(parts.context[i])->target;
        assert_int_equal(target->compute_units, 1);
        assert_true(target->shared_cache <= whole->target.shared_cache / 2 ||
                    target->shared_cache == target->cache);
    }
    rig_regroup(&parts, CLNORM_SHARING_GIVEN, NULL);
    struct clnorm_values inputs = values_of(text, 6, 33, 1, CLNORM_DATA_ORDINARY, 3);
    struct clnorm_group_plan *const plan = rig_plan(&parts, &inputs.problem);
    struct clnorm_group_report report[MAX_MEMBERS];
    struct load load;
    load_open(&load, &inputs, &plain);
    const struct clnorm_group_arguments arguments = load_arguments(&load);
    rig_run(&parts, plan, &arguments, report);
    load_check(&load, "sub-devices");
    assert_int_equal(report[0].done, 3);
    assert_int_equal(report[0].bytes_to_device + report[1].bytes_to_device, 0);
    load_close(&load);
    clnorm_values_free(&inputs);
    clnorm_group_plan_release(plan);
    rig_close(&parts);
    for (size_t i = 0; i < 2; i++)
        clReleaseDevice(part[i]);
}

/* ---- Choice ---- */

/* PoCL lists `basic`, which has one core, before `pthread`, which has all. */
static void test_most_units_are_best(void **state)
{
    (void)state;
    struct clnorm_context *context;
    struct clnorm_device *devices;
    size_t count, alike = 0;
    assert_int_equal(clnorm_context_create(NULL, &context, NULL, 0), CLNORM_OK);
    assert_int_equal(clnorm_devices_list(&devices, &count), CLNORM_OK);
    const struct clnorm_device *const best = clnorm_context_device(context);
    for (size_t i = 0; i < count; i++) {
        if (devices[i].platform != best->platform)
            continue;
        alike++;
        assert_true(devices[i].target.compute_units <= best->target.compute_units);
    }
    assert_true(alike > 1);
    free(devices);
    clnorm_context_release(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_most_units_are_best),
        cmocka_unit_test(test_bytes_are_those_of_shares),
        cmocka_unit_test(test_shares_follow_weights),
        cmocka_unit_test(test_weights_follow_times),
        cmocka_unit_test(test_measuring_waits_for_all),
        cmocka_unit_test(test_sub_devices),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
