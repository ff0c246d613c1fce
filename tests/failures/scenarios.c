#define _POSIX_C_SOURCE 200809L
#include "scenarios.h"

#include "control.h"

#include <stdlib.h>

/* An enum clnorm_status of the library, watched. */
#define WATCHED(call) ((enum clnorm_status)CLNORM_LAYER_WATCHED(call))

/* ---- Devices and contexts ---- */

/* Half a description is wrong; a device left out is not. */
static void check_device(struct stage *stage, const struct clnorm_device *device)
{
    for (size_t i = 0; i < stage->device_count; i++)
        if (memcmp(device, &stage->devices[i], sizeof *device) == 0)
            return;
    snprintf(stage->wrong, sizeof stage->wrong, "'%s' is not described as it was",
             device->device_name);
}

static enum clnorm_status list_devices(struct stage *stage, const struct scenario *scenario)
{
    (void)scenario;
    struct clnorm_device *devices = NULL;
    size_t count = 0;
    const enum clnorm_status status = WATCHED(clnorm_devices_list(&devices, &count));
    for (size_t i = 0; i < count; i++)
        check_device(stage, &devices[i]);
    if (status == CLNORM_OK && count == 0)
        snprintf(stage->wrong, sizeof stage->wrong, "no devices");
    free(devices);
    return status;
}

static enum clnorm_status create(struct stage *stage, const struct clnorm_context_options *options)
{
    const enum clnorm_status status =
        WATCHED(clnorm_context_create(options, &stage->context, stage->text, sizeof stage->text));
    if (status == CLNORM_OK)
        check_device(stage, clnorm_context_device(stage->context));
    return status;
}

static void release(struct stage *stage)
{
    clnorm_layer_watch();
    clnorm_context_release(stage->context);
    clnorm_layer_unwatch(0);
    stage->context = NULL;
}

static enum clnorm_status create_context(struct stage *stage, const struct scenario *scenario)
{
    (void)scenario;
    const struct clnorm_context_options options = {.size = sizeof options, .cache_directory = ""};
    const enum clnorm_status status = create(stage, &options);
    release(stage);
    return status;
}

static enum clnorm_status adopt_context(struct stage *stage, const struct scenario *scenario)
{
    struct clnorm_context_options options = stage_options(stage, scenario->cache);
    options.device = NULL; /* the context's first */
    const enum clnorm_status status = create(stage, &options);
    release(stage);
    return status;
}

/* ---- Plans and runs ---- */

static enum clnorm_status make_plan(struct stage *stage, const struct scenario *scenario)
{
    const struct clnorm_plan_options options = {
        .size = sizeof options,
        .schedule = &stage->schedule[scenario->work],
        .program = scenario->manner & MANNER_ADOPTED ? stage->image : NULL};
    const struct clnorm_problem *const problem = &stage->inputs[scenario->work].problem;
    struct clnorm_plan *plan = NULL;
    enum clnorm_status status =
        stage_note(stage, WATCHED(clnorm_plan_create(stage->context, problem, &options, &plan)));
    if (status == CLNORM_OK)
        status = stage_run(stage, plan, scenario->work, scenario->manner);
    clnorm_layer_watch();
    clnorm_plan_release(plan);
    clnorm_layer_unwatch(0);
    return status;
}

/* The compiler goes away when the context is there already. */
static enum clnorm_status refuse_build(struct stage *stage, const struct scenario *scenario)
{
    setenv("CLNORM_LAYER_NO_COMPILER", "1", 1);
    const enum clnorm_status status = make_plan(stage, scenario);
    unsetenv("CLNORM_LAYER_NO_COMPILER");
    if (status == CLNORM_OK)
        snprintf(stage->wrong, sizeof stage->wrong, "compiled without a compiler");
    return status == CLNORM_UNSUPPORTED && strstr(stage->text, "CL_COMPILER_NOT_AVAILABLE")
               ? CLNORM_OK
               : status;
}

static enum clnorm_status run(struct stage *stage, const struct scenario *scenario)
{
    struct clnorm_plan *const plan = stage_plan(stage, scenario->work);
    const enum clnorm_status status = stage_run(stage, plan, scenario->work, scenario->manner);
    clnorm_plan_release(plan);
    return status;
}

/* An overlap that only the parents of sub-buffers tell. */
static enum clnorm_status refuse_overlap(struct stage *stage, const struct scenario *scenario)
{
    const enum clnorm_status status = run(stage, scenario);
    return status == CLNORM_INVALID_ARGUMENT && strstr(stage->text, "overlap") ? CLNORM_OK : status;
}

static int pass_by(void *user, const struct clnorm_bundle_entry *entry)
{
    (void)user;
    return entry == NULL;
}

/* A bundle in place of one that is whole, which it also is afterwards. */
static enum clnorm_status write_bundle(struct stage *stage, const struct scenario *scenario)
{
    struct clnorm_plan *const plan = stage_plan(stage, scenario->work);
    const enum clnorm_status status =
        stage_note(stage, WATCHED(clnorm_bundle_write(stage->context, &plan, 1, stage->bundle)));
    char message[256] = "";
    if (clnorm_bundle_visit(stage->bundle, pass_by, NULL, message, sizeof message) != CLNORM_OK)
        snprintf(stage->wrong, sizeof stage->wrong, "%s", message);
    clnorm_plan_release(plan);
    return status;
}

/* A life from end to end, with the schedule that tuning.txt has. */
static enum clnorm_status live(struct stage *stage, const struct scenario *scenario)
{
    const struct clnorm_context_options options = stage_options(stage, scenario->cache);
    const struct clnorm_problem *const problem = &stage->inputs[scenario->work].problem;
    struct clnorm_plan *plan = NULL;
    enum clnorm_status status = create(stage, &options);
    if (status != CLNORM_OK)
        return status;
    status = stage_note(stage, WATCHED(clnorm_plan_create(stage->context, problem, NULL, &plan)));
    if (status == CLNORM_OK)
        status = stage_run(stage, plan, scenario->work, scenario->manner);
    if (clnorm_context_statistics(stage->context).tuning_hits != 1)
        snprintf(stage->wrong, sizeof stage->wrong, "the tuning file was not used");
    clnorm_layer_watch();
    clnorm_plan_release(plan);
    clnorm_layer_unwatch(0);
    release(stage);
    return status;
}

/* ---- The pool ---- */

/* From an in-order queue to an out-of-order one by an event, and back. */
static enum clnorm_status use_pool(struct stage *stage, const struct scenario *scenario)
{
    (void)scenario;
    const cl_command_queue first = stage->in_order, second = stage->out_of_order;
    cl_mem memory;
    cl_int code;
    enum clnorm_status status = WATCHED(clnorm_pool_acquire(stage->context, 999, first, &memory));
    if (stage_note(stage, status) != CLNORM_OK)
        return status;
    const cl_event done = clCreateUserEvent(stage->opencl, &code);
    assert_int_equal(code, CL_SUCCESS);
    assert_int_equal(clSetUserEventStatus(done, CL_COMPLETE), CL_SUCCESS);
    status = WATCHED(clnorm_pool_release(stage->context, memory, second, done));
    clReleaseEvent(done);
    if (status == CLNORM_OK)
        status = WATCHED(clnorm_pool_acquire(stage->context, 999, second, &memory));
    if (status == CLNORM_OK)
        status = WATCHED(clnorm_pool_release(stage->context, memory, first, NULL));
    clnorm_layer_watch();
    clnorm_pool_trim(stage->context);
    clnorm_layer_unwatch(0);
    return stage_note(stage, status);
}

/* Making a plan takes buffers from the pool; the run after it is not what is looked at. */
#define PLAN (MANNER_POOLED | MANNER_UNWATCHED)

const struct scenario scenarios[] = {
    {"list devices", CONTEXT_OWN, CACHE_NONE, WORK_INFER, 0, list_devices, SILENT},
    {"context on the best device", CONTEXT_OWN, CACHE_NONE, WORK_INFER, 0, create_context, TELLS},
    {"context on a cl_context", CONTEXT_OWN, CACHE_NONE, WORK_INFER, 0, adopt_context, TELLS},
    {"plan from source", CONTEXT_NEW, CACHE_NONE, WORK_INFER, PLAN, make_plan, TELLS},
    {"plan in launches", CONTEXT_NEW, CACHE_DISK, WORK_SPLIT, PLAN, make_plan, TELLS},
    {"plan of extents", CONTEXT_NEW, CACHE_DISK, WORK_BAKED, PLAN, make_plan, TELLS},
    {"plan from disk", CONTEXT_NEW, CACHE_DISK, WORK_INFER, PLAN, make_plan, TELLS},
    {"plan from blobs", CONTEXT_NEW, CACHE_BLOBS, WORK_INFER, PLAN, make_plan, TELLS},
    {"plan from a bundle", CONTEXT_NEW, CACHE_BUNDLE, WORK_INFER, PLAN, make_plan, TELLS},
    {"plan on a program", CONTEXT_NEW, CACHE_NONE, WORK_INFER, PLAN | MANNER_ADOPTED, make_plan,
     TELLS},
    {"bundle of a plan", CONTEXT_KEPT, CACHE_NONE, WORK_INFER, 0, write_bundle, TELLS},
    {"plan from memory", CONTEXT_KEPT, CACHE_NONE, WORK_SPLIT, PLAN, make_plan, TELLS},
    {"plan without compiler", CONTEXT_NEW, CACHE_NONE, WORK_INFER, PLAN, refuse_build, REFUSES},
    {"run", CONTEXT_KEPT, CACHE_NONE, WORK_FORWARD, 0, run, TELLS},
    {"run with events", CONTEXT_KEPT, CACHE_NONE, WORK_FORWARD, MANNER_EVENTS, run, TELLS},
    {"run with pool", CONTEXT_KEPT, CACHE_NONE, WORK_SPLIT, MANNER_POOLED, run, TELLS},
    {"run with pool and events", CONTEXT_KEPT, CACHE_NONE, WORK_SPLIT,
     MANNER_POOLED | MANNER_EVENTS, run, TELLS},
    {"run out of order", CONTEXT_KEPT, CACHE_NONE, WORK_SPLIT, MANNER_OUT_OF_ORDER, run, TELLS},
    {"run out of order with pool", CONTEXT_KEPT, CACHE_NONE, WORK_SPLIT,
     MANNER_OUT_OF_ORDER | MANNER_POOLED, run, TELLS},
    {"run on a sub-buffer", CONTEXT_KEPT, CACHE_NONE, WORK_INFER, MANNER_SUB_BUFFERS, run, TELLS},
    {"run on an overlap", CONTEXT_KEPT, CACHE_NONE, WORK_INFER, MANNER_OVERLAP, refuse_overlap,
     REFUSES},
    {"run of nothing", CONTEXT_KEPT, CACHE_NONE, WORK_NOTHING, MANNER_EVENTS, run, TELLS},
    {"moments", CONTEXT_KEPT, CACHE_NONE, WORK_MOMENTS, MANNER_POOLED, run, TELLS},
    {"merge", CONTEXT_KEPT, CACHE_NONE, WORK_MERGE, MANNER_POOLED, run, TELLS},
    {"normalise", CONTEXT_KEPT, CACHE_NONE, WORK_NORMALISE, MANNER_POOLED, run, TELLS},
    {"backward", CONTEXT_KEPT, CACHE_NONE, WORK_BACKWARD, MANNER_POOLED, run, TELLS},
    {"double precision", CONTEXT_KEPT, CACHE_NONE, WORK_DOUBLE, MANNER_POOLED, run, TELLS},
    {"pool", CONTEXT_KEPT, CACHE_NONE, WORK_INFER, MANNER_POOLED, use_pool, TELLS},
    {"tensor", CONTEXT_KEPT, CACHE_NONE, WORK_INFER, MANNER_POOLED, use_tensor, TELLS},
    {"tensor on shared memory", CONTEXT_KEPT, CACHE_NONE, WORK_INFER, MANNER_POOLED | MANNER_SHARED,
     use_tensor, TELLS},
    {"life", CONTEXT_OWN, CACHE_DISK, WORK_INFER, MANNER_POOLED, live, TELLS},
};
const unsigned scenario_count = sizeof scenarios / sizeof *scenarios;
