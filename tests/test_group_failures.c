/*
 * Every OpenCL call of a group's run fails: once, and from there on; for lack of memory, and for
 * another reason. Each time the batch is right all the same, whoever did it, or the run returns a
 * clear error and its inputs are intact. Either way nothing is left behind, and the next run works.
 *
 * test_group_failures: on the first two devices.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>

#include "control.h"
#include "group/rig.h"

enum { ANY = CLNORM_LAYER_ENTRY_COUNT, COMPLAINTS = 20 };

static struct {
    struct rig rig;
    struct clnorm_group_plan *plan;
    struct clnorm_values inputs;
    unsigned unclean, tries;
    unsigned finished; /* tries in which the batch was done although a member failed */
    int losing;        /* one member only */
    unsigned missed;   /* in which the call was not made: how many there are depends on when
                          commands end */
} sweep;

static void complain(const struct clnorm_layer_failure *failure, const char *what,
                     const char *detail)
{
    if (sweep.unclean++ < COMPLAINTS)
        print_error("%s, call %u failed with %d%s: %s%s%s\n",
                    failure->entry == ANY ? "all" : clnorm_layer_name(failure->entry),
                    failure->call, (int)failure->code, failure->for_good ? " for good" : "", what,
                    detail[0] ? ": " : "", detail);
}

static int is_right(const struct load *load, char *detail, size_t size)
{
    struct clnorm_values observed;
    load_read(load, &observed);
    const int right = clnorm_compare(&load->expected, &observed, detail, size) <= 1;
    clnorm_values_free(&observed);
    return right;
}

/* What went in is there after a run that failed: all of it, since nothing is in place here. */
static void check_inputs(const struct clnorm_layer_failure *failure, const struct load *load)
{
    char detail[1024];
    for (unsigned slot = 0; slot < CLNORM_SLOT_COUNT; slot++) {
        const enum clnorm_use use = load->inputs.slot[slot].use;
        if ((use == CLNORM_READ || use == CLNORM_READ_WRITTEN) &&
            !load_is_intact(load, (enum clnorm_slot)slot)) {
            clnorm_group_error(sweep.rig.group, detail, sizeof detail);
            complain(failure, clnorm_slots[slot].name, detail);
        }
    }
}

static void check_report(const struct clnorm_layer_failure *failure,
                         const struct clnorm_group_report *report, enum clnorm_status status)
{
    const uint64_t batch = (uint64_t)sweep.inputs.batch;
    unsigned out = 0;
    uint64_t done = 0;
    for (size_t i = 0; i < sweep.rig.count; i++) {
        out += report[i].status != CLNORM_OK;
        done += report[i].done;
        if ((report[i].status != CLNORM_OK) != (report[i].text[0] != 0))
            complain(failure, "a status without a text, or a text without one", report[i].text);
        if (report[i].status == CLNORM_INVALID_ARGUMENT)
            complain(failure, "the caller is blamed", report[i].text);
    }
    sweep.finished += status == CLNORM_OK && out > 0;
    if (status == CLNORM_OK && done != batch)
        complain(failure, "samples done are not the batch", "");
}

static void check_run(const struct clnorm_layer_failure *failure, struct load *load,
                      unsigned calls[ANY + 1])
{
    struct clnorm_group_report report[MAX_MEMBERS];
    const struct clnorm_group_arguments arguments = load_arguments(load);
    char detail[1024] = "";
    clnorm_layer_arm(failure);
    const enum clnorm_status status =
        (enum clnorm_status)CLNORM_LAYER_WATCHED(clnorm_group_run(sweep.plan, &arguments, report));
    sweep.missed += failure->call > 0 && clnorm_layer_failed(ANY) == 0;
    for (unsigned i = 0; calls && i <= ANY; i++)
        calls[i] = clnorm_layer_calls(i);
    clnorm_layer_arm(NULL); /* counts anew */
    check_report(failure, report, status);
    clnorm_group_error(sweep.rig.group, detail, sizeof detail);
    if (status == CLNORM_OK) {
        if (!is_right(load, detail, sizeof detail))
            complain(failure, "wrong", detail);
        return;
    }
    if (sweep.losing)
        complain(failure, "one device lost, and the batch with it", detail);
    if (status != CLNORM_DEVICE_FAILED && status != CLNORM_OUT_OF_MEMORY)
        complain(failure, clnorm_status_text(status), detail);
    if (!strstr(detail, "failed with") && !strstr(detail, "memory"))
        complain(failure, "the text does not tell", detail);
    check_inputs(failure, load);
}

static void restore(void)
{
    for (size_t i = 0; i < sweep.rig.count; i++)
        clnorm_group_restore(sweep.rig.group, i);
}

static void try_failure(const struct clnorm_layer_failure *failure, unsigned calls[ANY + 1])
{
    static const struct load_options plain = {.out = CLNORM_SLOT_COUNT};
    const struct clnorm_layer_references before = clnorm_layer_references();
    struct clnorm_group_report report[MAX_MEMBERS];
    struct load load;
    char detail[256] = "";
    load_open(&load, &sweep.inputs, &plain);
    check_run(failure, &load, calls);
    restore();
    load_reset(&load);
    const struct clnorm_group_arguments arguments = load_arguments(&load);
    if (clnorm_group_run(sweep.plan, &arguments, report) != CLNORM_OK)
        complain(failure, "does not work afterwards", report[0].text);
    else if (!is_right(&load, detail, sizeof detail))
        complain(failure, "wrong afterwards", detail);
    restore();
    load_close(&load);
    for (size_t i = 0; i < sweep.rig.count; i++)
        clnorm_pool_trim(sweep.rig.context[i]);
    const struct clnorm_layer_references now = clnorm_layer_references();
    for (unsigned i = 0; i < CLNORM_LAYER_OBJECT_COUNT; i++)
        if (now.count[i] != before.count[i])
            complain(failure, "references too many or too few", clnorm_layer_object_name(i));
    sweep.tries++;
}

/* Those of one member for the whole batch. */
static void make_late_plans(void)
{
    static const struct load_options plain = {.out = CLNORM_SLOT_COUNT};
    const uint64_t batch = (uint64_t)sweep.inputs.batch;
    for (size_t i = 0; i < sweep.rig.count; i++) {
        struct clnorm_group_report report[MAX_MEMBERS];
        uint64_t shares[MAX_MEMBERS] = {0};
        struct load load;
        load_open(&load, &sweep.inputs, &plain);
        struct clnorm_group_arguments arguments = load_arguments(&load);
        shares[i] = batch;
        arguments.shares = shares;
        rig_run(&sweep.rig, sweep.plan, &arguments, report);
        load_close(&load);
        clnorm_pool_trim(sweep.rig.context[i]);
    }
}

/* From every call on the device of one member is gone: the batch must be done by the others. */
static void try_losing(size_t member, unsigned calls)
{
    for (unsigned call = 1; call <= calls; call++) {
        const struct clnorm_layer_failure failure = {
            .entry = ANY,
            .call = call,
            .for_good = 1,
            .code = CL_DEVICE_NOT_AVAILABLE,
            .only = clnorm_context_opencl(sweep.rig.context[member])};
        sweep.losing = 1;
        try_failure(&failure, NULL);
        sweep.losing = 0;
    }
}

static void try_all(void)
{
    static const struct clnorm_layer_failure none = {0};
    unsigned calls[ANY + 1];
    make_late_plans();
    try_failure(&none, calls);
    for (unsigned entry = 0; entry <= ANY; entry++)
        for (unsigned call = 1; call <= calls[entry]; call++)
            for (int for_good = entry == ANY; for_good < 2; for_good++) {
                struct clnorm_layer_failure failure = {.entry = entry,
                                                       .call = call,
                                                       .for_good = for_good,
                                                       .code = CL_DEVICE_NOT_AVAILABLE};
                try_failure(&failure, NULL);
                failure.code = CL_OUT_OF_RESOURCES;
                if (entry != ANY)
                    try_failure(&failure, NULL);
            }
    for (size_t member = 0; member < sweep.rig.count; member++)
        try_losing(member, calls[ANY]);
    printf("%u calls, %u tries, %u missed, %u batches finished by others\n", calls[ANY],
           sweep.tries, sweep.missed, sweep.finished);
}

static void test_failures_of(void **state)
{
    sweep.inputs = values_of(*state, 5, 33, 1, CLNORM_DATA_ORDINARY, 7);
    sweep.plan = rig_plan(&sweep.rig, &sweep.inputs.problem);
    sweep.unclean = sweep.tries = sweep.finished = sweep.missed = 0;
    sweep.losing = 0;
    restore();
    try_all();
    clnorm_group_plan_release(sweep.plan);
    clnorm_values_free(&sweep.inputs);
    assert_int_equal(sweep.unclean, 0);
    assert_true(sweep.finished > 0 && sweep.missed < sweep.tries / 10);
}

static int open_rig(void **state)
{
    (void)state;
    rig_open(&sweep.rig, 2);
    return sweep.rig.count == 2 && clnorm_layer_references().count[CLNORM_LAYER_CONTEXT] > 0 ? 0
                                                                                             : -1;
}

static int close_rig(void **state)
{
    (void)state;
    rig_close(&sweep.rig);
    return 0;
}

#define FAILURES(problem) cmocka_unit_test_prestate(test_failures_of, (void *)(uintptr_t)(problem))

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAILURES("forward nchw f32 ?x5x? +scale +shift +add +relu +running"),
        FAILURES("backward nhwc f32 ?x6x? +scale +shift +sgd"),
        FAILURES("infer nhwc f32 ?x6x?"),
    };
    setenv("OPENCL_LAYERS", LAYER, 1);
    return cmocka_run_group_tests(tests, open_rig, close_rig);
}
