/*
 * Every OpenCL call that the library makes fails: once, and from there on; for lack of memory, and
 * for another reason; and from every call on all calls fail, as when a device is lost. Each time the
 * library must return a status of the right kind and say which call it was, or get over it with
 * right results; leave no object behind; and work again in the same context afterwards.
 *
 * test_failures [NAME]: only the scenario called so; * and ? stand for what they do in a shell.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <time.h>

#include "control.h"
#include "failures/scenarios.h"

enum { ANY = CLNORM_LAYER_ENTRY_COUNT, COMPLAINTS = 20 };

/* Where the library may get over a failure, and say that all is well. */
enum where {
    NOWHERE,
    WITH_OTHERS, /* platforms or devices: the one that cannot be asked is left out */
    WITH_CACHE,  /* a program from there, unless it is a bundle, is refused, and compiled */
    WITH_POOL,   /* it gives up a buffer, or tries once more */
    ANYWHERE     /* nobody depends on it */
};

/* Tensors get over much, by waiting, by other memory or by another try; their scenarios look at all
 * values after every failure, whatever the library says. How many calls they make is a matter of when
 * commands are done. */
static int is_checked_anyway(const struct scenario *scenario)
{
    return scenario->act == use_tensor;
}

/* What entry points fail with. The first row is for all that have none. */
static const struct {
    unsigned entry;
    cl_int device, memory;
    enum where well;
} codes[] = {
#define ROW(name, device, memory, well)                                                            \
    {                                                                                              \
        CLNORM_LAYER_##name, device, memory, well                                                  \
    }
    {ANY, CL_DEVICE_NOT_AVAILABLE, CL_OUT_OF_HOST_MEMORY, NOWHERE},
    ROW(clGetPlatformInfo, CL_INVALID_PLATFORM, CL_OUT_OF_HOST_MEMORY, WITH_OTHERS),
    ROW(clGetDeviceIDs, CL_INVALID_PLATFORM, CL_OUT_OF_RESOURCES, WITH_OTHERS),
    ROW(clGetDeviceInfo, CL_INVALID_DEVICE, CL_OUT_OF_HOST_MEMORY, WITH_OTHERS),
    ROW(clRetainContext, CL_INVALID_CONTEXT, CL_OUT_OF_HOST_MEMORY, NOWHERE),
    ROW(clReleaseContext, CL_INVALID_CONTEXT, CL_OUT_OF_RESOURCES, ANYWHERE),
    ROW(clGetContextInfo, CL_INVALID_CONTEXT, CL_OUT_OF_RESOURCES, NOWHERE),
    ROW(clCreateCommandQueue, CL_INVALID_CONTEXT, CL_OUT_OF_RESOURCES, NOWHERE),
    ROW(clRetainCommandQueue, CL_INVALID_COMMAND_QUEUE, CL_OUT_OF_RESOURCES, WITH_POOL),
    ROW(clReleaseCommandQueue, CL_INVALID_COMMAND_QUEUE, CL_OUT_OF_RESOURCES, ANYWHERE),
    ROW(clGetCommandQueueInfo, CL_INVALID_COMMAND_QUEUE, CL_OUT_OF_HOST_MEMORY, WITH_POOL),
    ROW(clCreateBuffer, CL_INVALID_CONTEXT, CL_MEM_OBJECT_ALLOCATION_FAILURE, WITH_POOL),
    ROW(clReleaseMemObject, CL_INVALID_MEM_OBJECT, CL_OUT_OF_RESOURCES, ANYWHERE),
    ROW(clGetMemObjectInfo, CL_INVALID_MEM_OBJECT, CL_OUT_OF_HOST_MEMORY, NOWHERE),
    ROW(clCreateProgramWithBinary, CL_INVALID_BINARY, CL_OUT_OF_HOST_MEMORY, WITH_CACHE),
    ROW(clBuildProgram, CL_BUILD_PROGRAM_FAILURE, CL_OUT_OF_HOST_MEMORY, WITH_CACHE),
    ROW(clGetProgramBuildInfo, CL_INVALID_PROGRAM, CL_OUT_OF_HOST_MEMORY, ANYWHERE),
    ROW(clGetProgramInfo, CL_INVALID_PROGRAM, CL_OUT_OF_RESOURCES, ANYWHERE),
    ROW(clRetainProgram, CL_INVALID_PROGRAM, CL_OUT_OF_RESOURCES, NOWHERE),
    ROW(clReleaseProgram, CL_INVALID_PROGRAM, CL_OUT_OF_RESOURCES, ANYWHERE),
    ROW(clCreateKernel, CL_INVALID_PROGRAM_EXECUTABLE, CL_OUT_OF_HOST_MEMORY, WITH_CACHE),
    ROW(clGetKernelInfo, CL_INVALID_KERNEL, CL_OUT_OF_RESOURCES, WITH_CACHE),
    ROW(clReleaseKernel, CL_INVALID_KERNEL, CL_OUT_OF_RESOURCES, ANYWHERE),
    ROW(clSetKernelArg, CL_INVALID_KERNEL, CL_OUT_OF_RESOURCES, WITH_CACHE),
    ROW(clEnqueueNDRangeKernel, CL_INVALID_KERNEL_ARGS, CL_OUT_OF_RESOURCES, WITH_CACHE),
    ROW(clEnqueueWriteBuffer, CL_INVALID_VALUE, CL_MEM_OBJECT_ALLOCATION_FAILURE, WITH_CACHE),
    ROW(clEnqueueReadBuffer, CL_INVALID_VALUE, CL_MEM_OBJECT_ALLOCATION_FAILURE, NOWHERE),
    ROW(clEnqueueCopyBuffer, CL_INVALID_VALUE, CL_MEM_OBJECT_ALLOCATION_FAILURE, NOWHERE),
    ROW(clEnqueueMapBuffer, CL_MAP_FAILURE, CL_OUT_OF_RESOURCES, NOWHERE),
    ROW(clEnqueueUnmapMemObject, CL_INVALID_VALUE, CL_OUT_OF_RESOURCES, NOWHERE),
    ROW(clFlush, CL_INVALID_COMMAND_QUEUE, CL_OUT_OF_RESOURCES, NOWHERE),
    ROW(clEnqueueMarkerWithWaitList, CL_INVALID_COMMAND_QUEUE, CL_OUT_OF_RESOURCES, WITH_CACHE),
    ROW(clWaitForEvents, CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, CL_OUT_OF_RESOURCES,
        WITH_CACHE),
    ROW(clRetainEvent, CL_INVALID_EVENT, CL_OUT_OF_RESOURCES, WITH_POOL),
    ROW(clReleaseEvent, CL_INVALID_EVENT, CL_OUT_OF_RESOURCES, ANYWHERE),
    ROW(clGetEventInfo, CL_INVALID_EVENT, CL_OUT_OF_RESOURCES, WITH_POOL),
#undef ROW
};

/* What all scenarios came to, and what is at hand. */
static struct {
    struct stage *stage;
    const struct scenario *scenario;
    unsigned calls[ANY + 1];       /* of the scenario; all together at ANY */
    unsigned sites[ANY], failures; /* calls and failures tried so far */
    unsigned unclean;
} sweep;

/* ---- One try ---- */

static void complain(const struct clnorm_layer_failure *failure, const char *what,
                     const char *detail)
{
    if (sweep.unclean++ > COMPLAINTS)
        return;
    print_error("%s: %s, call %u failed with %d%s: %s%s%s\n", sweep.scenario->name,
                failure->entry == ANY ? "all" : clnorm_layer_name(failure->entry), failure->call,
                (int)failure->code, failure->for_good ? " for good" : "", what,
                detail[0] ? ": " : "", detail);
}

static enum clnorm_status act(void)
{
    sweep.stage->text[0] = sweep.stage->wrong[0] = 0;
    return sweep.scenario->act(sweep.stage, sweep.scenario);
}

static int is_memory_code(cl_int code)
{
    return code == CL_OUT_OF_HOST_MEMORY || code == CL_OUT_OF_RESOURCES ||
           code == CL_MEM_OBJECT_ALLOCATION_FAILURE;
}

static unsigned row_of(unsigned entry)
{
    unsigned row = sizeof codes / sizeof *codes - 1;
    while (row > 0 && codes[row].entry != entry)
        row--;
    return row;
}

/* Whether the library may get over a failure in the scenario. */
static int may_be_well(const struct clnorm_layer_failure *failure)
{
    if (failure->entry == ANY || is_checked_anyway(sweep.scenario))
        return 1; /* whether it may, the tries of the single entry points tell */
    switch (codes[row_of(failure->entry)].well) {
    case WITH_OTHERS: return sweep.stage->platform_count > 1 || sweep.stage->device_count > 1;
    case WITH_CACHE:
        return sweep.scenario->cache == CACHE_DISK || sweep.scenario->cache == CACHE_BLOBS;
    case WITH_POOL: return (sweep.scenario->manner & MANNER_POOLED) != 0;
    default: return codes[row_of(failure->entry)].well == ANYWHERE;
    }
}

/* Whether a status is of the kind that the code asks for. */
static int is_fitting(enum clnorm_status status, cl_int code)
{
    if (is_memory_code(code))
        return status == CLNORM_OUT_OF_MEMORY;
    if (status == CLNORM_INVALID_ARGUMENT) /* what the caller gave is at fault */
        return code == CL_INVALID_COMMAND_QUEUE || code == CL_INVALID_MEM_OBJECT ||
               code == CL_INVALID_CONTEXT || code == CL_INVALID_PROGRAM;
    if (status == CLNORM_BUILD_FAILED)
        return clnorm_layer_failed(CLNORM_LAYER_clBuildProgram) > 0;
    return status == CLNORM_DEVICE_FAILED;
}

/* Whether a text names a call that failed, and its code. */
static int is_telling(const char *text, cl_int code)
{
    char number[16];
    snprintf(number, sizeof number, "(%d)", (int)code);
    for (unsigned entry = 0; entry < ANY; entry++)
        if (clnorm_layer_failed(entry) > 0 && strstr(text, clnorm_layer_name(entry)))
            return strstr(text, number) != NULL;
    return 0;
}

/* After the act that failed, while what failed is still counted. `before` is the text then. */
static void check_outcome(const struct clnorm_layer_failure *failure, enum clnorm_status status,
                          const char *before)
{
    struct stage *const stage = sweep.stage;
    char now[sizeof stage->text] = "";
    if (clnorm_layer_failed(ANY) == 0 && !is_checked_anyway(sweep.scenario))
        complain(failure, "the call was not made this time", "");
    if (status == CLNORM_OK && stage->wrong[0])
        complain(failure, "wrong", stage->wrong);
    if (status == CLNORM_OK && !may_be_well(failure))
        complain(failure, "it says that all is well", "");
    if (status != CLNORM_OK && !is_fitting(status, failure->code))
        complain(failure, "a status of another kind", clnorm_status_text(status));
    if (status != CLNORM_OK && sweep.scenario->text != SILENT &&
        !is_telling(stage->text, failure->code))
        complain(failure, "the text does not tell", stage->text);
    if (stage->context)
        clnorm_context_error(stage->context, now, sizeof now);
    if (status == CLNORM_OK && sweep.scenario->text != REFUSES && strcmp(before, now) != 0)
        complain(failure, "got over it, but the text remains", now);
}

static void check_nothing_is_left(const struct clnorm_layer_failure *failure,
                                  const struct clnorm_layer_references *before, unsigned files)
{
    const struct clnorm_layer_references now = clnorm_layer_references();
    for (unsigned i = 0; i < CLNORM_LAYER_OBJECT_COUNT; i++)
        if (now.count[i] != before->count[i])
            complain(failure, "references too many or too few", clnorm_layer_object_name(i));
    if (stage_files(sweep.stage) != files)
        complain(failure, "other files in the cache", "");
}

static void open_context(void)
{
    const struct clnorm_context_options options = stage_options(sweep.stage, sweep.scenario->cache);
    assert_int_equal(clnorm_context_create(&options, &sweep.stage->context, NULL, 0), CLNORM_OK);
}

static void close_context(void)
{
    clnorm_context_release(sweep.stage->context);
    sweep.stage->context = NULL;
}

/* A failure of call 0 is none. */
static void try_failure(const struct clnorm_layer_failure *failure)
{
    struct stage *const stage = sweep.stage;
    char before[sizeof stage->text] = "";
    const struct clnorm_layer_references references = clnorm_layer_references();
    const unsigned files = stage_files(stage);
    if (sweep.scenario->context == CONTEXT_NEW)
        open_context();
    if (stage->context)
        clnorm_context_error(stage->context, before, sizeof before);
    clnorm_layer_arm(failure);
    const enum clnorm_status status = act();
    if (failure->call > 0)
        check_outcome(failure, status, before);
    for (unsigned i = 0; failure->call == 0 && i <= ANY; i++)
        sweep.calls[i] = clnorm_layer_calls(i);
    clnorm_layer_arm(NULL);
    if (act() != CLNORM_OK || stage->wrong[0])
        complain(failure, "does not work afterwards", stage->wrong[0] ? stage->wrong : stage->text);
    if (sweep.scenario->context == CONTEXT_NEW)
        close_context();
    else if (stage->context)
        clnorm_pool_trim(stage->context);
    check_nothing_is_left(failure, &references, files);
}

/* ---- All tries of a scenario ---- */

static void try_site(unsigned entry, unsigned call)
{
    const unsigned row = row_of(entry);
    struct clnorm_layer_failure failure = {.entry = entry, .call = call};
    for (failure.for_good = 0; failure.for_good < 2; failure.for_good++) {
        failure.code = codes[row].device;
        try_failure(&failure);
        failure.code = codes[row].memory;
        try_failure(&failure);
    }
    sweep.failures += 4;
    sweep.sites[entry]++;
}

static void try_losing_the_device(unsigned call)
{
    if (is_checked_anyway(sweep.scenario) && sweep.scenario->manner & MANNER_SHARED)
        return; /* PoCL mixes a mapping that was neither undone nor waited for up with the next */
    const struct clnorm_layer_failure failure = {
        .entry = ANY, .call = call, .for_good = 1, .code = CL_DEVICE_NOT_AVAILABLE};
    try_failure(&failure);
    sweep.failures++;
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void test_scenario(void **state)
{
    static const struct clnorm_layer_failure none = {0};
    const double start = seconds_now();
    sweep.scenario = *state;
    sweep.unclean = 0;
    if (sweep.scenario->work == WORK_DOUBLE && !sweep.stage->device.target.f64)
        skip();
    if (sweep.scenario->context == CONTEXT_KEPT) {
        open_context();
        act(); /* compiles, so that it is like all further ones */
        clnorm_pool_trim(sweep.stage->context);
    }
    try_failure(&none);
    unsigned calls[ANY + 1];
    memcpy(calls, sweep.calls, sizeof calls);
    for (unsigned entry = 0; entry < ANY; entry++)
        for (unsigned call = 1; call <= calls[entry]; call++)
            try_site(entry, call);
    for (unsigned call = 1; call <= calls[ANY]; call++)
        try_losing_the_device(call);
    close_context();
    printf("%s: %u calls, %.1f s\n", sweep.scenario->name, calls[ANY], seconds_now() - start);
    assert_int_equal(sweep.unclean, 0);
}

/* ---- All of them together ---- */

/* Every entry point that the library imports was among those that failed. */
static void test_no_entry_point_is_left_out(void **state)
{
    (void)state;
    char line[256];
    unsigned imported = 0;
    FILE *const list = popen("nm -u '" LIBRARY "'", "r");
    assert_non_null(list);
    while (fgets(line, sizeof line, list)) {
        char *const name = strstr(line, " cl");
        unsigned entry = 0;
        if (!name || name[3] < 'A' || name[3] > 'Z')
            continue;
        name[1 + strcspn(name + 1, "@\n")] = 0;
        if (strcmp(name, " clFinish") == 0) /* a group's last resort: test_group_failures */
            continue;
        while (entry < ANY && strcmp(name + 1, clnorm_layer_name(entry)) != 0)
            entry++;
        if (entry == ANY || sweep.sites[entry] == 0)
            fail_msg("no scenario calls%s, or entry_points.h lacks it", name);
        imported++;
    }
    assert_int_equal(pclose(list), 0);
    assert_true(imported > 0);
}

static int open_sweep(void **state)
{
    (void)state;
    sweep.stage = stage_open();
    return 0;
}

static int close_sweep(void **state)
{
    (void)state;
    unsigned entries = 0, sites = 0;
    for (unsigned i = 0; i < ANY; i++) {
        entries += sweep.sites[i] > 0;
        sites += sweep.sites[i];
    }
    stage_close(sweep.stage);
    const struct clnorm_layer_references left = clnorm_layer_references();
    for (unsigned i = 0; i < CLNORM_LAYER_OBJECT_COUNT; i++)
        assert_int_equal(left.count[i], 0);
    printf("failures: %u entry points, %u call sites, %u failures\n", entries, sites,
           sweep.failures);
    return 0;
}

int main(int count, char **arguments)
{
    struct CMUnitTest tests[64] = {{0}};
    assert_true(scenario_count < sizeof tests / sizeof *tests);
    setenv("OPENCL_LAYERS", LAYER, 1);
    for (unsigned i = 0; i < scenario_count; i++)
        tests[i] = (struct CMUnitTest){.name = scenarios[i].name,
                                       .test_func = test_scenario,
                                       .initial_state = (void *)(uintptr_t)&scenarios[i]};
    tests[scenario_count] = (struct CMUnitTest)cmocka_unit_test(test_no_entry_point_is_left_out);
    if (count > 1)
        cmocka_set_test_filter(arguments[1]);
    return _cmocka_run_group_tests("failures", tests, scenario_count + 1, open_sweep, close_sweep);
}
