/* The runtime as an application meets it: its own OpenCL objects, events, errors, threads, the
 * pool, the program cache. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <clnorm/clnorm.h>

enum { N = 4, C = 6, S = 50, T = N * C * S };

/* An application with its own cl_context, and clnorm on it. */
struct app {
    cl_context opencl;
    cl_device_id device;
    cl_command_queue queue;
    struct clnorm_context *context;
    cl_mem x, y, mean, invstd;
    float input[T];
};

static struct clnorm_problem problem_of(const char *text)
{
    struct clnorm_problem p;
    char message[256];
    if (clnorm_problem_parse(text, &p, message, sizeof message) != CLNORM_OK)
        fail_msg("%s: %s", text, message);
    return p;
}

static cl_mem buffer(cl_context context, size_t bytes, const void *from)
{
    cl_int code;
    const cl_mem_flags copy = from ? CL_MEM_COPY_HOST_PTR : 0;
    const cl_mem memory =
        clCreateBuffer(context, CL_MEM_READ_WRITE | copy, bytes, (void *)(uintptr_t)from, &code);
    assert_int_equal(code, CL_SUCCESS);
    return memory;
}

static int open_app(void **state)
{
    struct app *const app = calloc(1, sizeof *app);
    struct clnorm_device *devices;
    size_t count;
    cl_int code;
    assert_int_equal(clnorm_devices_list(&devices, &count), CLNORM_OK);
    app->device = devices[0].device;
    free(devices);
    app->opencl = clCreateContext(NULL, 1, &app->device, NULL, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    app->queue = clCreateCommandQueue(app->opencl, app->device, 0, &code);
    assert_int_equal(code, CL_SUCCESS);
    const struct clnorm_context_options options = {
        .size = sizeof options, .context = app->opencl, .cache_directory = ""};
    char message[256];
    assert_int_equal(clnorm_context_create(&options, &app->context, message, sizeof message),
                     CLNORM_OK);
    for (int i = 0; i < T; i++)
        app->input[i] = (float)((i * 7919) % 1000) / 100;
    app->x = buffer(app->opencl, sizeof app->input, app->input);
    app->y = buffer(app->opencl, sizeof app->input, NULL);
    app->mean = buffer(app->opencl, C * sizeof(float), NULL);
    app->invstd = buffer(app->opencl, C * sizeof(float), NULL);
    *state = app;
    return 0;
}

static int close_app(void **state)
{
    struct app *const app = *state;
    clReleaseMemObject(app->x);
    clReleaseMemObject(app->y);
    clReleaseMemObject(app->mean);
    clReleaseMemObject(app->invstd);
    clnorm_context_release(app->context);
    cl_uint references;
    assert_int_equal(clGetCommandQueueInfo(app->queue, CL_QUEUE_REFERENCE_COUNT, sizeof references,
                                           &references, NULL),
                     CL_SUCCESS);
    assert_int_equal(references, 1); /* clnorm keeps nothing */
    clReleaseCommandQueue(app->queue);
    clReleaseContext(app->opencl);
    free(app);
    return 0;
}

static struct clnorm_arguments arguments_of(const struct app *app)
{
    return (struct clnorm_arguments){
        .size = sizeof(struct clnorm_arguments),
        .batch = N,
        .spatial = S,
        .x = {app->x, 0},
        .y = {app->y, 0},
        .mean = {app->mean, 0},
        .invstd = {app->invstd, 0},
    };
}

static struct clnorm_plan *plan_of(struct clnorm_context *context, const char *text)
{
    const struct clnorm_problem p = problem_of(text);
    struct clnorm_plan *plan = NULL;
    const enum clnorm_status status = clnorm_plan_create(context, &p, NULL, &plan);
    if (status != CLNORM_OK) {
        char detail[1024];
        clnorm_context_error(context, detail, sizeof detail);
        fail_msg("%s: %s", text, detail);
    }
    return plan;
}

static void check_normalised(const struct app *app, const float *y)
{
    for (int c = 0; c < C; c++) {
        double mean = 0, var = 0;
        for (int n = 0; n < N; n++)
            for (int s = 0; s < S; s++)
                mean += app->input[(n * C + c) * S + s];
        mean /= N * S;
        for (int n = 0; n < N; n++)
            for (int s = 0; s < S; s++)
                var += pow(app->input[(n * C + c) * S + s] - mean, 2);
        var /= N * S;
        for (int n = 0; n < N; n++)
            for (int s = 0; s < S; s++) {
                const int i = (n * C + c) * S + s;
                const double expected = (app->input[i] - mean) / sqrt(var + 1e-5);
                assert_true(fabs(y[i] - expected) <= 1e-5 * (1 + fabs(expected)));
            }
    }
}

static void read_and_check(const struct app *app, cl_command_queue queue, cl_uint waits,
                           const cl_event *wait)
{
    float y[T];
    assert_int_equal(clEnqueueReadBuffer(queue, app->y, CL_TRUE, 0, sizeof y, y, waits, wait, NULL),
                     CL_SUCCESS);
    check_normalised(app, y);
}

/* ---- Queues and events ---- */

static void test_runs_on_the_callers_queue(void **state)
{
    const struct app *const app = *state;
    struct clnorm_plan *const plan = plan_of(app->context, "forward nchw f32 ?x6x?");
    const struct clnorm_arguments a = arguments_of(app);
    assert_int_equal(clnorm_plan_run(plan, app->queue, &a, 0, NULL, NULL), CLNORM_OK);
    read_and_check(app, app->queue, 0, NULL);
    clnorm_plan_release(plan);
}

static void skip_for(const char *why)
{
    print_message("skipped: %s\n", why);
    skip();
}

/* tests/test_quirks.c shows the first fault; of threads at once it trips an assertion. */
static void skip_in_simulator(const struct app *app)
{
    if (strcmp(clnorm_context_device(app->context)->platform_name, "Oclgrind") == 0)
        skip_for("Oclgrind's clFlush waits, and it takes one thread at a time");
}

static void run_behind_user_event(struct app *app, cl_command_queue queue, const char *problem)
{
    struct clnorm_plan *const plan = plan_of(app->context, problem);
    const struct clnorm_arguments a = arguments_of(app);
    cl_int code, status = -1;
    const cl_event start = clCreateUserEvent(app->opencl, &code);
    assert_int_equal(code, CL_SUCCESS);
    cl_event done = NULL;
    assert_int_equal(clnorm_plan_run(plan, queue, &a, 1, &start, &done), CLNORM_OK);
    assert_non_null(done);
    clnorm_plan_release(plan); /* the work goes on without the plan */
    assert_int_equal(
        clGetEventInfo(done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL),
        CL_SUCCESS);
    assert_true(status > CL_COMPLETE);
    assert_int_equal(clSetUserEventStatus(start, CL_COMPLETE), CL_SUCCESS);
    assert_int_equal(clWaitForEvents(1, &done), CL_SUCCESS);
    read_and_check(app, queue, 1, &done);
    clReleaseEvent(done);
    clReleaseEvent(start);
}

/* NULL where the device has none. */
static cl_command_queue out_of_order_queue(const struct app *app)
{
    cl_command_queue_properties properties = 0;
    cl_int code;
    assert_int_equal(clGetDeviceInfo(app->device, CL_DEVICE_QUEUE_PROPERTIES, sizeof properties,
                                     &properties, NULL),
                     CL_SUCCESS);
    if (!(properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE))
        return NULL;
    const cl_command_queue queue = clCreateCommandQueue(
        app->opencl, app->device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &code);
    assert_int_equal(code, CL_SUCCESS);
    return queue;
}

static void test_waits_for_events(void **state)
{
    struct app *const app = *state;
    skip_in_simulator(app);
    run_behind_user_event(app, app->queue, "forward nchw f32 ?x6x?");
}

static void test_waits_for_events_out_of_order(void **state)
{
    struct app *const app = *state;
    skip_in_simulator(app);
    const cl_command_queue queue = out_of_order_queue(app);
    if (!queue)
        skip_for("no out-of-order queues");
    run_behind_user_event(app, queue, "forward nchw f32 ?x6x?");
    clReleaseCommandQueue(queue);
}

/* Three launches that only events can order. */
static void test_launches_are_ordered(void **state)
{
    struct app *const app = *state;
    const cl_command_queue out_of_order = out_of_order_queue(app);
    if (!out_of_order)
        skip_for("no out-of-order queues");
    struct clnorm_problem p = problem_of("forward nchw f32 ?x6x?");
    struct clnorm_schedule split;
    assert_true(
        clnorm_schedule_choose(&p, &clnorm_context_device(app->context)->target, 0, &split));
    split.resident = 0;
    const struct clnorm_plan_options options = {.size = sizeof options, .schedule = &split};
    struct clnorm_plan *plan;
    assert_int_equal(clnorm_plan_create(app->context, &p, &options, &plan), CLNORM_OK);
    const struct clnorm_arguments a = arguments_of(app);
    for (int i = 0; i < 20; i++) {
        cl_event done;
        assert_int_equal(clnorm_plan_run(plan, out_of_order, &a, 0, NULL, &done), CLNORM_OK);
        read_and_check(app, out_of_order, 1, &done);
        clReleaseEvent(done);
    }
    clnorm_plan_release(plan);
    clReleaseCommandQueue(out_of_order);
}

static void test_nothing_to_do_still_gives_an_event(void **state)
{
    const struct app *const app = *state;
    struct clnorm_plan *const plan = plan_of(app->context, "infer nchw f32 ?x6x?");
    struct clnorm_arguments a = arguments_of(app);
    a.var = a.invstd;
    a.batch = 0;
    a.x = a.y = (struct clnorm_buffer){NULL, 0};
    cl_event done = NULL;
    assert_int_equal(clnorm_plan_run(plan, app->queue, &a, 0, NULL, &done), CLNORM_OK);
    assert_non_null(done);
    assert_int_equal(clWaitForEvents(1, &done), CL_SUCCESS);
    clReleaseEvent(done);
    clnorm_plan_release(plan);
}

/* ---- Errors ---- */

static void expect_refusal(const struct app *app, struct clnorm_plan *plan, cl_command_queue queue,
                           const struct clnorm_arguments *a, const char *says)
{
    char detail[1024];
    assert_int_equal(clnorm_plan_run(plan, queue, a, 0, NULL, NULL), CLNORM_INVALID_ARGUMENT);
    clnorm_context_error(app->context, detail, sizeof detail);
    if (!strstr(detail, says))
        fail_msg("refused with '%s', which does not say '%s'", detail, says);
}

static void test_refuses_bad_arguments(void **state)
{
    struct app *const app = *state;
    struct clnorm_plan *const plan = plan_of(app->context, "forward nchw f32 ?x6x? +running");
    const cl_mem running_mean = buffer(app->opencl, C * sizeof(float), NULL);
    const cl_mem running_var = buffer(app->opencl, C * sizeof(float), NULL);
    struct clnorm_arguments good = arguments_of(app), a;
    good.running_mean.memory = running_mean;
    good.running_var.memory = running_var;
    assert_int_equal(clnorm_plan_run(plan, app->queue, &good, 0, NULL, NULL), CLNORM_OK);

    expect_refusal(app, plan, app->queue, NULL, "arguments.size");
    expect_refusal(app, plan, NULL, &good, "no command queue");
    a = good, a.size--;
    expect_refusal(app, plan, app->queue, &a, "arguments.size");
    a = good, a.x.memory = NULL;
    expect_refusal(app, plan, app->queue, &a, "'x': it was not given");
    a = good, a.running_var.memory = NULL;
    expect_refusal(app, plan, app->queue, &a, "'running_var'");
    a = good, a.x.offset = 2;
    expect_refusal(app, plan, app->queue, &a, "offset of 'x'");
    a = good, a.x.offset = 4;
    expect_refusal(app, plan, app->queue, &a, "'x' is too small");
    a = good, a.x.offset = SIZE_MAX - 3;
    expect_refusal(app, plan, app->queue, &a, "'x' is too small");
    a = good, a.batch = N + 1;
    expect_refusal(app, plan, app->queue, &a, "too small");
    a = good, a.batch = -1;
    expect_refusal(app, plan, app->queue, &a, "must not be negative");
    a = good, a.batch = INT64_C(1) << 40, a.spatial = INT64_C(1) << 40;
    expect_refusal(app, plan, app->queue, &a, "too large");
    a = good, a.mean = a.invstd;
    expect_refusal(app, plan, app->queue, &a, "overlap");
    a = good, a.mean = a.x;
    expect_refusal(app, plan, app->queue, &a, "overlap");
    a = good, a.epsilon = -1e-5;
    expect_refusal(app, plan, app->queue, &a, "epsilon");
    a = good, a.momentum = NAN;
    expect_refusal(app, plan, app->queue, &a, "momentum");
    a = good, a.momentum = 1.5;
    expect_refusal(app, plan, app->queue, &a, "momentum");
    assert_int_equal(clnorm_plan_run(plan, app->queue, &good, 1, NULL, NULL),
                     CLNORM_INVALID_ARGUMENT);
    a = good, a.y = a.x; /* in place is fine */
    assert_int_equal(clnorm_plan_run(plan, app->queue, &a, 0, NULL, NULL), CLNORM_OK);
    clFinish(app->queue);
    assert_int_equal(clEnqueueWriteBuffer(app->queue, app->x, CL_TRUE, 0, sizeof app->input,
                                          app->input, 0, NULL, NULL),
                     CL_SUCCESS);
    clReleaseMemObject(running_mean);
    clReleaseMemObject(running_var);
    clnorm_plan_release(plan);
}

static void test_refuses_foreign_objects(void **state)
{
    struct app *const app = *state;
    cl_int code;
    const cl_context other = clCreateContext(NULL, 1, &app->device, NULL, NULL, &code);
    const cl_command_queue queue = clCreateCommandQueue(other, app->device, 0, &code);
    const cl_mem memory = buffer(other, sizeof app->input, NULL);
    struct clnorm_plan *const plan = plan_of(app->context, "forward nchw f32 ?x6x?");
    struct clnorm_arguments a = arguments_of(app);
    expect_refusal(app, plan, queue, &a, "queue belongs to another");
    a.x.memory = memory;
    expect_refusal(app, plan, app->queue, &a, "'x' belongs to another");
    clnorm_plan_release(plan);
    clReleaseMemObject(memory);
    clReleaseCommandQueue(queue);
    clReleaseContext(other);
}

/* Folds beyond OpenCL C 1.2 make plans where the device has them, and are refused by name elsewhere. */
static void test_folds(void **state)
{
    struct app *const app = *state;
    const struct clnorm_target *const target = &clnorm_context_device(app->context)->target;
    const struct {
        enum clnorm_fold fold;
        int there;
        const char *says;
    } folds[] = {{CLNORM_FOLD_TREE, 1, ""},
                 {CLNORM_FOLD_SUBGROUP, target->sub_group > 0, "no sub-groups"},
                 {CLNORM_FOLD_COLLECTIVE, target->collectives > 0, "no work-group collective"}};
    const struct clnorm_problem p = problem_of("backward-sums nchw f32 ?x6x?");
    struct clnorm_schedule s = {
        .walk = CLNORM_WALK_GROUP, .lanes = 1, .group = 64, .tile = 1, .block = 32, .parts = 4};
    const struct clnorm_plan_options options = {.size = sizeof options, .schedule = &s};
    for (size_t i = 0; i < sizeof folds / sizeof *folds; i++) {
        char text[512] = "";
        struct clnorm_plan *plan = NULL;
        s.fold = folds[i].fold;
        const enum clnorm_status status = clnorm_plan_create(app->context, &p, &options, &plan);
        assert_int_equal(status, folds[i].there ? CLNORM_OK : CLNORM_UNSUPPORTED);
        if (status != CLNORM_OK)
            clnorm_context_error(app->context, text, sizeof text);
        assert_true(folds[i].there || strstr(text, folds[i].says));
        clnorm_plan_release(plan);
    }
}

static void test_refuses_bad_plans_and_contexts(void **state)
{
    struct app *const app = *state;
    char text[512];
    struct clnorm_plan *plan = NULL;
    struct clnorm_problem p = {.operation = CLNORM_FORWARD, .channels = 0};
    assert_int_equal(clnorm_plan_create(app->context, &p, NULL, &plan), CLNORM_INVALID_ARGUMENT);
    clnorm_context_error(app->context, text, sizeof text);
    assert_non_null(strstr(text, "channels must be"));
    p = problem_of("forward nchw f32 ?x6x?");
    const struct clnorm_schedule nonsense = {.lanes = 5};
    const struct clnorm_plan_options options = {.size = sizeof options, .schedule = &nonsense};
    assert_int_equal(clnorm_plan_create(app->context, &p, &options, &plan),
                     CLNORM_INVALID_ARGUMENT);
    struct clnorm_target limits = clnorm_context_device(app->context)->target;
    struct clnorm_schedule wide = {.walk = CLNORM_WALK_GROUP, .lanes = 1, .group = 1024, .tile = 1};
    wide.block = wide.parts = 1;
    limits.max_group = 512;
    assert_int_equal(clnorm_schedule_fits(&wide, &p, &limits), 0);
    limits.max_group = 1024, limits.local_memory = 1024 * 16;
    assert_int_equal(clnorm_schedule_fits(&wide, &p, &limits), 1);
    limits.local_memory--;
    assert_int_equal(clnorm_schedule_fits(&wide, &p, &limits), 0);
    const struct clnorm_plan_options short_options = {.size = 1};
    assert_int_equal(clnorm_plan_create(app->context, &p, &short_options, &plan),
                     CLNORM_INVALID_ARGUMENT);
    assert_null(plan);

    struct clnorm_context *context = app->context;
    struct clnorm_context_options wrong = {.size = sizeof wrong,
                                           .device_selector = "no such device at all"};
    assert_int_equal(clnorm_context_create(&wrong, &context, text, sizeof text), CLNORM_NO_DEVICE);
    assert_null(context);
    assert_non_null(strstr(text, "no such device at all"));
    wrong.size = 3;
    assert_int_equal(clnorm_context_create(&wrong, &context, text, sizeof text),
                     CLNORM_INVALID_ARGUMENT);
    clnorm_context_release(NULL);
    clnorm_plan_release(NULL);
}

static void test_fork_is_refused(void **state)
{
    struct app *const app = *state;
    const pid_t child = fork();
    if (child == 0) {
        struct clnorm_plan *plan;
        const struct clnorm_problem p = {
            .operation = CLNORM_MERGE, .batch = 1, .channels = 1, .spatial = 1};
        char detail[256];
        const int refused = clnorm_plan_create(app->context, &p, NULL, &plan) == CLNORM_UNSUPPORTED;
        clnorm_context_error(app->context, detail, sizeof detail);
        _exit(refused && strstr(detail, "fork") ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- Threads ---- */

enum { THREADS = 8 };

struct worker {
    struct app *app;
    int failed;
};

static void *work(void *argument)
{
    struct worker *const worker = argument;
    const struct app *const app = worker->app;
    const struct clnorm_problem p = problem_of("forward nchw f32 4x6x50");
    struct clnorm_plan *plan;
    cl_int code;
    worker->failed = 1;
    if (clnorm_plan_create(app->context, &p, NULL, &plan) != CLNORM_OK)
        return NULL;
    const cl_command_queue queue = clCreateCommandQueue(app->opencl, app->device, 0, &code);
    struct clnorm_arguments a = arguments_of(app);
    const cl_mem memory =
        clCreateBuffer(app->opencl, CL_MEM_READ_WRITE, sizeof app->input + 2048, NULL, &code);
    a.y = (struct clnorm_buffer){memory, 0};
    a.mean = (struct clnorm_buffer){memory, sizeof app->input};
    a.invstd = (struct clnorm_buffer){memory, sizeof app->input + 1024};
    float y[T];
    int good = 1;
    for (int i = 0; i < 10; i++)
        good &= clnorm_plan_run(plan, queue, &a, 0, NULL, NULL) == CLNORM_OK;
    good &=
        clEnqueueReadBuffer(queue, memory, CL_TRUE, 0, sizeof y, y, 0, NULL, NULL) == CL_SUCCESS;
    clReleaseMemObject(memory);
    clReleaseCommandQueue(queue);
    clnorm_plan_release(plan);
    double sum = 0;
    for (int i = 0; i < T; i++)
        sum += y[i];
    worker->failed = !(good && fabs(sum) < 1e-3);
    return NULL;
}

static void test_threads_share_a_context(void **state)
{
    struct app *const app = *state;
    skip_in_simulator(app);
    const uint64_t before = clnorm_context_statistics(app->context).builds;
    pthread_t thread[THREADS];
    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.app = app};
        assert_int_equal(pthread_create(&thread[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        assert_int_equal(workers[i].failed, 0);
    }
    const struct clnorm_statistics s = clnorm_context_statistics(app->context);
    assert_int_equal(s.builds, before + 1); /* one builds, the others wait */
    assert_true(s.memory_hits >= THREADS - 1);
}

/* ---- The pool ---- */

static void test_pool(void **state)
{
    struct app *const app = *state;
    struct clnorm_context *const context = app->context;
    const cl_command_queue own = clnorm_context_queue(context);
    cl_mem first, second, third;
    size_t size;
    clnorm_pool_trim(context);
    assert_int_equal(clnorm_context_statistics(context).pool_bytes, 0);
    assert_int_equal(clnorm_pool_acquire(context, 1000, app->queue, &first), CLNORM_OK);
    assert_int_equal(clGetMemObjectInfo(first, CL_MEM_SIZE, sizeof size, &size, NULL), CL_SUCCESS);
    assert_true(size >= 1000);
    assert_int_equal(clnorm_pool_acquire(context, 1000, app->queue, &second), CLNORM_OK);
    assert_ptr_not_equal(first, second);

    /* The same in-order queue gets it back at once, another only when an event says so. */
    assert_int_equal(clnorm_pool_release(context, first, app->queue, NULL), CLNORM_OK);
    assert_int_equal(clnorm_pool_release(context, first, app->queue, NULL),
                     CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_pool_acquire(context, 1000, own, &third), CLNORM_OK);
    assert_ptr_not_equal(third, first);
    assert_int_equal(clnorm_pool_release(context, third, own, NULL), CLNORM_OK);
    assert_int_equal(clnorm_pool_acquire(context, 1000, app->queue, &third), CLNORM_OK);
    assert_ptr_equal(third, first);

    cl_int code;
    const cl_event last = clCreateUserEvent(app->opencl, &code);
    const cl_command_queue other = clCreateCommandQueue(app->opencl, app->device, 0, &code);
    assert_int_equal(clnorm_pool_release(context, second, app->queue, last), CLNORM_OK);
    assert_int_equal(clnorm_pool_acquire(context, 1000, other, &third), CLNORM_OK);
    assert_ptr_not_equal(third, second); /* its work still runs */
    assert_int_equal(clSetUserEventStatus(last, CL_COMPLETE), CL_SUCCESS);
    cl_mem fourth;
    assert_int_equal(clnorm_pool_acquire(context, 1000, other, &fourth), CLNORM_OK);
    assert_ptr_equal(fourth, second);
    clReleaseEvent(last);

    /* With neither an in-order queue nor an event nothing tells when it is free: it is dropped. */
    const uint64_t before = clnorm_context_statistics(context).pool_bytes;
    assert_int_equal(clnorm_pool_release(context, fourth, NULL, NULL), CLNORM_OK);
    assert_true(clnorm_context_statistics(context).pool_bytes < before);
    assert_int_equal(clnorm_pool_release(context, third, other, NULL), CLNORM_OK);
    assert_int_equal(clnorm_pool_release(context, first, app->queue, NULL), CLNORM_OK);
    clnorm_pool_trim(context);
    assert_int_equal(clnorm_context_statistics(context).pool_bytes, 0);
    clReleaseCommandQueue(other);

    assert_int_equal(clnorm_pool_acquire(context, 0, app->queue, &third), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_pool_acquire(context, 8, NULL, &third), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_pool_acquire(context, SIZE_MAX / 2, app->queue, &third),
                     CLNORM_OUT_OF_MEMORY);
    assert_int_equal(clnorm_pool_acquire(context, 1000, app->queue, &third), CLNORM_OK);
    assert_int_equal(clnorm_pool_release(context, third, app->queue, NULL), CLNORM_OK);
}

/* Plans can be made while the application's work waits on the context's own queue. */
static void test_plans_wait_for_nobody(void **state)
{
    struct app *const app = *state;
    cl_int code;
    skip_in_simulator(app);
    const cl_event gate = clCreateUserEvent(app->opencl, &code);
    struct clnorm_plan *plan = plan_of(app->context, "forward nchw f32 ?x6x?");
    const struct clnorm_arguments a = arguments_of(app);
    const cl_command_queue own = clnorm_context_queue(app->context);
    assert_int_equal(clnorm_plan_run(plan, own, &a, 1, &gate, NULL), CLNORM_OK);
    clnorm_plan_release(plan);
    plan = plan_of(app->context, "forward nchw f32 ?x6x? +relu"); /* would hang */
    clnorm_plan_release(plan);
    assert_int_equal(clSetUserEventStatus(gate, CL_COMPLETE), CL_SUCCESS);
    read_and_check(app, own, 0, NULL);
    clReleaseEvent(gate);
}

/* Sub-buffers of one parent that overlap are seen through. */
static void test_sub_buffers(void **state)
{
    struct app *const app = *state;
    cl_int code;
    cl_uint bits;
    assert_int_equal(
        clGetDeviceInfo(app->device, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof bits, &bits, NULL),
        CL_SUCCESS);
    const size_t step = bits / 8, bytes = sizeof app->input;
    const cl_mem parent = buffer(app->opencl, bytes + step, NULL);
    const cl_buffer_region low = {0, bytes}, high = {step, bytes};
    struct clnorm_arguments a = arguments_of(app);
    a.x.memory = clCreateSubBuffer(parent, 0, CL_BUFFER_CREATE_TYPE_REGION, &low, &code);
    assert_int_equal(code, CL_SUCCESS);
    a.y.memory = clCreateSubBuffer(parent, 0, CL_BUFFER_CREATE_TYPE_REGION, &high, &code);
    assert_int_equal(code, CL_SUCCESS);
    struct clnorm_plan *const plan = plan_of(app->context, "forward nchw f32 ?x6x?");
    expect_refusal(app, plan, app->queue, &a, "overlap");
    clnorm_plan_release(plan);
    clReleaseMemObject(a.x.memory);
    clReleaseMemObject(a.y.memory);
    clReleaseMemObject(parent);
}

/* A given workspace: the pool stays as it is. */
static void test_own_workspace(void **state)
{
    struct app *const app = *state;
    struct clnorm_plan *const plan = plan_of(app->context, "forward nchw f32 ?x6x?");
    const size_t size = clnorm_plan_workspace_size(plan, N, S);
    assert_true(size > 0);
    struct clnorm_arguments a = arguments_of(app);
    a.workspace.memory = buffer(app->opencl, size, NULL);
    const struct clnorm_statistics before = clnorm_context_statistics(app->context);
    assert_int_equal(clnorm_plan_run(plan, app->queue, &a, 0, NULL, NULL), CLNORM_OK);
    read_and_check(app, app->queue, 0, NULL);
    const struct clnorm_statistics after = clnorm_context_statistics(app->context);
    assert_memory_equal(&before, &after, sizeof before);
    a.workspace.offset = 4;
    expect_refusal(app, plan, app->queue, &a, "'workspace' is too small");
    clReleaseMemObject(a.workspace.memory);
    clnorm_plan_release(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_on_the_callers_queue),
        cmocka_unit_test(test_waits_for_events),
        cmocka_unit_test(test_waits_for_events_out_of_order),
        cmocka_unit_test(test_launches_are_ordered),
        cmocka_unit_test(test_nothing_to_do_still_gives_an_event),
        cmocka_unit_test(test_refuses_bad_arguments),
        cmocka_unit_test(test_refuses_foreign_objects),
        cmocka_unit_test(test_refuses_bad_plans_and_contexts),
        cmocka_unit_test(test_folds),
        cmocka_unit_test(test_threads_share_a_context),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_plans_wait_for_nobody),
        cmocka_unit_test(test_sub_buffers),
        cmocka_unit_test(test_own_workspace),
        cmocka_unit_test(test_fork_is_refused),
    };
    return cmocka_run_group_tests(tests, open_app, close_app);
}
