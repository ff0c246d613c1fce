#define _POSIX_C_SOURCE 200809L
#include "stage.h"

#include "compare.h"
#include "control.h"
#include "reference.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
    const char *problem;
    int64_t batch, spatial, sets;
    int split; /* never in one launch */
} rows[WORK_COUNT] = {
    [WORK_FORWARD] = {"forward nchw f32 ?x3x? +scale +shift", 2, 5, 1, 0},
    [WORK_SPLIT] = {"forward nchw f32 ?x3x? +running", 2, 5, 1, 1},
    [WORK_INFER] = {"infer nhwc f32 ?x3x?", 2, 5, 1, 0},
    [WORK_NOTHING] = {"infer nhwc f32 ?x3x?", 0, 5, 1, 0},
    [WORK_MOMENTS] = {"moments nchw f32 ?x3x?", 2, 5, 1, 0},
    [WORK_MERGE] = {"merge nchw f32 ?x3x?", 2, 5, 2, 0},
    [WORK_NORMALISE] = {"normalise nchw f32 ?x3x?", 2, 5, 2, 0},
    [WORK_BACKWARD] = {"backward nhwc f32 ?x3x? +scale", 2, 5, 1, 1},
    [WORK_BAKED] = {"infer nchw f32 2x3x5", 2, 5, 1, 0},
    [WORK_DOUBLE] = {"forward nchw f64 ?x3x?", 2, 5, 1, 0},
};

/* ---- Problems ---- */

static void open_work(struct stage *stage, enum work work)
{
    struct clnorm_values *const inputs = &stage->inputs[work];
    struct clnorm_schedule *const schedule = &stage->schedule[work];
    *inputs = values_of(rows[work].problem, rows[work].batch, rows[work].spatial, rows[work].sets,
                        CLNORM_DATA_ORDINARY, 90 + (uint64_t)work);
    assert_int_equal(clnorm_values_copy(&stage->expected[work], inputs), CLNORM_OK);
    clnorm_reference_run(&stage->expected[work]);
    clnorm_schedule_choose(&inputs->problem, &stage->device.target, 0, schedule);
    if (rows[work].split)
        schedule->resident = 0;
    schedule->baked = work == WORK_BAKED;
}

struct clnorm_plan *stage_plan(struct stage *stage, enum work work)
{
    const struct clnorm_plan_options options = {.size = sizeof options,
                                                .schedule = &stage->schedule[work]};
    struct clnorm_plan *plan;
    const enum clnorm_status status =
        clnorm_plan_create(stage->context, &stage->inputs[work].problem, &options, &plan);
    if (stage_note(stage, status) != CLNORM_OK)
        fail_msg("%s: %s", rows[work].problem, stage->text);
    return plan;
}

enum clnorm_status stage_note(struct stage *stage, enum clnorm_status status)
{
    if (status != CLNORM_OK)
        clnorm_context_error(stage->context, stage->text, sizeof stage->text);
    return status;
}

/* ---- Running ---- */

/* How the hook of clnorm_device_run runs the plan. */
struct running {
    struct stage *stage;
    unsigned manner;
};

/* All of a buffer, as a sub-buffer of it. */
static cl_mem sub_buffer_of(cl_mem memory)
{
    cl_buffer_region all = {0, 0};
    cl_int code;
    assert_int_equal(clGetMemObjectInfo(memory, CL_MEM_SIZE, sizeof all.size, &all.size, NULL),
                     CL_SUCCESS);
    const cl_mem made = clCreateSubBuffer(memory, 0, CL_BUFFER_CREATE_TYPE_REGION, &all, &code);
    assert_int_equal(code, CL_SUCCESS);
    return made;
}

static enum clnorm_status run_watched(const struct running *running, struct clnorm_plan *plan,
                                      const struct clnorm_arguments *arguments, cl_uint waits,
                                      const cl_event *wait, cl_event *event)
{
    const struct stage *const stage = running->stage;
    const cl_command_queue queue =
        running->manner & MANNER_OUT_OF_ORDER ? stage->out_of_order : stage->in_order;
    if (!(running->manner & MANNER_UNWATCHED))
        clnorm_layer_watch();
    const enum clnorm_status status = clnorm_plan_run(plan, queue, arguments, waits, wait, event);
    clnorm_layer_unwatch(0);
    return status;
}

/* Behind one event, and up to another. */
static enum clnorm_status run_with_events(const struct running *running, struct clnorm_plan *plan,
                                          const struct clnorm_arguments *arguments)
{
    cl_int code;
    cl_event done = NULL;
    const cl_event start = clCreateUserEvent(running->stage->opencl, &code);
    assert_int_equal(code, CL_SUCCESS);
    const enum clnorm_status status = run_watched(running, plan, arguments, 1, &start, &done);
    assert_int_equal(clSetUserEventStatus(start, CL_COMPLETE), CL_SUCCESS);
    clReleaseEvent(start);
    assert_int_equal(done != NULL, status == CLNORM_OK);
    if (done) {
        assert_int_equal(clWaitForEvents(1, &done), CL_SUCCESS);
        clReleaseEvent(done);
    }
    return status;
}

/* The hook. */
static enum clnorm_status run_plan(void *user, struct clnorm_plan *plan,
                                   const struct clnorm_arguments *given)
{
    const struct running *const running = user;
    const cl_mem part = running->manner & (MANNER_SUB_BUFFERS | MANNER_OVERLAP)
                            ? sub_buffer_of(given->x.memory)
                            : NULL;
    struct clnorm_arguments arguments = *given;
    if (running->manner & MANNER_SUB_BUFFERS)
        arguments.x.memory = part;
    if (running->manner & MANNER_OVERLAP)
        arguments.y = (struct clnorm_buffer){part, arguments.x.offset + sizeof(float)};
    const enum clnorm_status status = running->manner & (MANNER_EVENTS | MANNER_OUT_OF_ORDER)
                                          ? run_with_events(running, plan, &arguments)
                                          : run_watched(running, plan, &arguments, 0, NULL, NULL);
    assert_int_equal(clFinish(running->stage->in_order), CL_SUCCESS);
    assert_int_equal(clFinish(running->stage->out_of_order), CL_SUCCESS);
    if (part)
        clReleaseMemObject(part);
    return status;
}

enum clnorm_status stage_run(struct stage *stage, struct clnorm_plan *plan, enum work work,
                             unsigned manner)
{
    struct running running = {stage, manner};
    const struct clnorm_device_options options = {
        .pooled_workspace = (manner & MANNER_POOLED) != 0, .run = run_plan, .user = &running};
    struct clnorm_values observed;
    char detail[256] = "";
    int wrong = 0;
    assert_int_equal(clnorm_values_copy(&observed, &stage->inputs[work]), CLNORM_OK);
    const enum clnorm_status status =
        clnorm_device_run(stage->context, plan, &observed, &options, &wrong, detail, sizeof detail);
    stage_note(stage, status);
    if (status == CLNORM_OK)
        wrong |= clnorm_compare(&stage->expected[work], &observed, detail, sizeof detail) > 1;
    if (wrong)
        memcpy(stage->wrong, detail, sizeof detail);
    clnorm_values_free(&observed);
    return status;
}

/* ---- Caches ---- */

struct clnorm_context_options stage_options(struct stage *stage, enum cache cache)
{
    struct clnorm_context_options options = {.size = sizeof options,
                                             .context = stage->opencl,
                                             .device = stage->device.device,
                                             .cache_directory = ""};
    if (cache == CACHE_DISK)
        options.cache_directory = stage->directory;
    if (cache == CACHE_BLOBS)
        options.store = one_blob_store(&stage->blob);
    if (cache == CACHE_BUNDLE)
        options.bundle = stage->bundle;
    return options;
}

unsigned stage_files(const struct stage *stage)
{
    DIR *const open = opendir(stage->directory);
    unsigned count = 0;
    assert_non_null(open);
    for (const struct dirent *e = readdir(open); e; e = readdir(open))
        count += e->d_name[0] != '.';
    closedir(open);
    return count;
}

/* Puts the program of a work into the disk cache or the blob store, and tuning beside it. */
static void fill_cache(struct stage *stage, enum cache cache, enum work work)
{
    const struct clnorm_context_options options = stage_options(stage, cache);
    assert_int_equal(clnorm_context_create(&options, &stage->context, NULL, 0), CLNORM_OK);
    clnorm_plan_release(stage_plan(stage, work));
    assert_int_equal(clnorm_tuning_set(stage->context, &stage->inputs[work].problem,
                                       &stage->schedule[work], 1e-3),
                     CLNORM_OK);
    clnorm_context_release(stage->context);
    stage->context = NULL;
}

static void write_bundle(struct stage *stage)
{
    const struct clnorm_context_options options = stage_options(stage, CACHE_NONE);
    snprintf(stage->bundle, sizeof stage->bundle, "%s.bundle", stage->directory);
    assert_int_equal(clnorm_context_create(&options, &stage->context, NULL, 0), CLNORM_OK);
    struct clnorm_plan *const plan = stage_plan(stage, WORK_INFER);
    assert_int_equal(clnorm_bundle_write(stage->context, &plan, 1, stage->bundle), CLNORM_OK);
    clnorm_plan_release(plan);
    clnorm_context_release(stage->context);
    stage->context = NULL;
}

static void build_image(struct stage *stage)
{
    struct clnorm_source source, image;
    cl_int code;
    assert_int_equal(clnorm_source_emit(&stage->inputs[WORK_INFER].problem,
                                        &stage->schedule[WORK_INFER], &source, NULL, 0),
                     CLNORM_OK);
    assert_int_equal(clnorm_image_join(&source, 1, &image, NULL, 0), CLNORM_OK);
    const char *const text = image.text;
    stage->image = clCreateProgramWithSource(stage->opencl, 1, (const char *[]){text}, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    assert_int_equal(clBuildProgram(stage->image, 0, NULL, "-cl-std=CL1.2", NULL, NULL),
                     CL_SUCCESS);
    clnorm_source_free(&image);
    clnorm_source_free(&source);
}

/* ---- Opening and closing ---- */

static void open_device(struct stage *stage)
{
    char message[256] = "";
    cl_int code;
    stage->context = clnorm_verify_context(message, sizeof message);
    if (!stage->context)
        fail_msg("%s", message);
    stage->device = *clnorm_context_device(stage->context);
    assert_int_equal(clnorm_devices_list(&stage->devices, &stage->device_count), CLNORM_OK);
    assert_int_equal(clGetPlatformIDs(0, NULL, &stage->platform_count), CL_SUCCESS);
    clnorm_context_release(stage->context);
    stage->context = NULL;
    const cl_device_id id = stage->device.device;
    stage->opencl = clCreateContext(NULL, 1, &id, NULL, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    if (clnorm_layer_references().count[CLNORM_LAYER_CONTEXT] == 0)
        fail_msg("the layer is not in use: this OpenCL loader does not know OPENCL_LAYERS");
    stage->in_order = clCreateCommandQueue(stage->opencl, id, 0, &code);
    assert_int_equal(code, CL_SUCCESS);
    stage->out_of_order =
        clCreateCommandQueue(stage->opencl, id, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &code);
    assert_int_equal(code, CL_SUCCESS);
}

struct stage *stage_open(void)
{
    struct stage *const stage = calloc(1, sizeof *stage);
    assert_non_null(stage);
    open_device(stage);
    for (int work = 0; work < WORK_COUNT; work++)
        open_work(stage, (enum work)work);
    strcpy(stage->directory, "/tmp/clnorm-failures-XXXXXX");
    assert_non_null(mkdtemp(stage->directory));
    fill_cache(stage, CACHE_DISK, WORK_INFER);
    fill_cache(stage, CACHE_DISK, WORK_SPLIT);
    fill_cache(stage, CACHE_DISK, WORK_BAKED);
    fill_cache(stage, CACHE_BLOBS, WORK_INFER);
    write_bundle(stage);
    build_image(stage);
    return stage;
}

void stage_close(struct stage *stage)
{
    for (int work = 0; work < WORK_COUNT; work++) {
        clnorm_values_free(&stage->inputs[work]);
        clnorm_values_free(&stage->expected[work]);
    }
    assert_int_equal(clnorm_cache_clear(stage->directory, NULL), CLNORM_OK);
    assert_int_equal(clnorm_tuning_clear(stage->directory, NULL), CLNORM_OK);
    assert_int_equal(rmdir(stage->directory), 0);
    assert_int_equal(unlink(stage->bundle), 0);
    clReleaseProgram(stage->image);
    free(stage->blob.bytes);
    free(stage->devices);
    clReleaseCommandQueue(stage->out_of_order);
    clReleaseCommandQueue(stage->in_order);
    clReleaseContext(stage->opencl);
    free(stage);
}
