/*
 * latency.c: what clnorm costs the host, in microseconds.
 *
 * A run is set beside the bare calls it makes. They are not guessed: this program stands between
 * the library and OpenCL's clEnqueueNDRangeKernel, notes the calls of one run, and makes the same
 * ones again, with the same kernels and sizes. Both wait in the queue for an event that is set
 * afterwards, so that nothing runs while the host is timed.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "contestant.h"
#include "message.h"
#include "report.h"

#include <cJSON.h>

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH   200 /* runs that wait in the queue at once */
#define BATCHES 15
#define TRIES   200 /* of what takes microseconds */
#define LOADS   20  /* of what takes milliseconds */
#define BUILDS  3   /* of what takes seconds */
#define CALLS   4

/* ---- The calls of a run ---------------------------------------------------------------------- */

typedef cl_int enqueue(cl_command_queue queue, cl_kernel kernel, cl_uint rank, const size_t *offset,
                       const size_t *global, const size_t *local, cl_uint waits,
                       const cl_event *wait, cl_event *event);

struct call {
    cl_kernel kernel;
    cl_uint rank;
    size_t global[3], local[3];
};

/* The symbol the library finds first has no argument to pass this by. */
static struct {
    enqueue *real;
    struct call call[CALLS];
    unsigned calls;
    int noting;
} spy;

static void note_call(const cl_kernel kernel, const cl_uint rank, const size_t *const global,
                      const size_t *const local)
{
    struct call *const call = &spy.call[spy.calls++ % CALLS];
    call->kernel = kernel;
    call->rank = rank;
    for (cl_uint i = 0; i < rank; i++) {
        call->global[i] = global[i];
        call->local[i] = local ? local[i] : 1;
    }
}

__attribute__((visibility("default"))) cl_int
clEnqueueNDRangeKernel(const cl_command_queue queue, const cl_kernel kernel, const cl_uint rank,
                       const size_t *const offset, const size_t *const global,
                       const size_t *const local, const cl_uint waits, const cl_event *const wait,
                       cl_event *const event)
{
    if (!spy.real) {
        void *const real = dlsym(RTLD_NEXT, "clEnqueueNDRangeKernel");
        memcpy(&spy.real, &real, sizeof real); /* as POSIX has it for functions */
        if (!spy.real)
            return CL_INVALID_OPERATION;
    }
    if (spy.noting)
        note_call(kernel, rank, global, local);
    return spy.real(queue, kernel, rank, offset, global, local, waits, wait, event);
}

/* ---- Statistics ------------------------------------------------------------------------------ */

static int by_value(const void *const a, const void *const b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(double *const values, const unsigned count)
{
    qsort(values, count, sizeof *values, by_value);
    return values[count / 2];
}

/* ---- Runs ------------------------------------------------------------------------------------ */

struct subject {
    const struct bench_case *one;
    const char *device;
    int json;
    struct clnorm_context *context;
    struct clnorm_plan *plan;
    struct clnorm_arguments arguments;
};

static int fail_with(const struct subject *const s, const char *const what)
{
    char detail[1024] = "";
    if (s->context)
        clnorm_context_error(s->context, detail, sizeof detail);
    return bench_fail(BENCH_FAILED, "%s: %s failed%s%s", s->one->text, what, *detail ? ": " : "",
                      detail);
}

static int report(const struct subject *const s, const char *const what, const double seconds,
                  const unsigned count)
{
    if (!s->json) {
        printf("  %-44s %12.2f us  (median of %u)\n", what, 1e6 * seconds, count);
        return BENCH_DONE;
    }
    bench_step("  %-34s %12.2f us", what, 1e6 * seconds);
    cJSON *const o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "problem", s->one->text);
    cJSON_AddStringToObject(o, "latency", what);
    cJSON_AddNumberToObject(o, "median_s", seconds);
    cJSON_AddNumberToObject(o, "runs", count);
    char *const text = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    if (!text)
        return bench_fail(BENCH_FAILED, "out of memory while writing JSON");
    puts(text);
    cJSON_free(text);
    return BENCH_DONE;
}

static int run_plan(struct subject *const s, const cl_command_queue queue)
{
    return clnorm_plan_run(s->plan, queue, &s->arguments, 0, NULL, NULL) == CLNORM_OK;
}

static int run_calls(struct subject *const s, const cl_command_queue queue)
{
    (void)s;
    for (unsigned i = 0; i < spy.calls; i++) {
        const struct call *const c = &spy.call[i];
        if (clEnqueueNDRangeKernel(queue, c->kernel, c->rank, NULL, c->global, c->local, 0, NULL,
                                   NULL) != CL_SUCCESS)
            return 0;
    }
    return 1;
}

static int run_calls_and_flush(struct subject *const s, const cl_command_queue queue)
{
    return run_calls(s, queue) && clFlush(queue) == CL_SUCCESS;
}

/* Host seconds for one of BATCH runs, all of which wait for an event; negative: a call failed. */
static double time_batch(struct subject *const s,
                         int (*const run)(struct subject *s, cl_command_queue queue))
{
    cl_command_queue const queue = clnorm_context_queue(s->context);
    cl_event const gate = clCreateUserEvent(clnorm_context_opencl(s->context), NULL);
    int fine = gate && clEnqueueBarrierWithWaitList(queue, 1, &gate, NULL) == CL_SUCCESS;
    const double start = bench_now();
    for (unsigned i = 0; fine && i < BATCH; i++)
        fine = run(s, queue);
    const double time = bench_now() - start;
    if (gate) {
        clSetUserEventStatus(gate, CL_COMPLETE);
        clReleaseEvent(gate);
    }
    return clFinish(queue) == CL_SUCCESS && fine ? time / BATCH : -1;
}

/* The batches of all ways in turn, so that what disturbs one disturbs all. */
static int time_runs(struct subject *const s)
{
    static const struct {
        const char *name;
        int (*run)(struct subject *s, cl_command_queue queue);
    } ways[] = {{"run of the plan", run_plan},
                {"its enqueues, bare", run_calls},
                {"its enqueues, bare, and its flush", run_calls_and_flush}};
    double times[ROWS(ways)][BATCHES], median[ROWS(ways)];
    for (int batch = -1; batch < BATCHES; batch++) /* the first warms up */
        for (size_t i = 0; i < ROWS(ways); i++) {
            const double time = time_batch(s, ways[i].run);
            if (time < 0)
                return fail_with(s, ways[i].name);
            times[i][batch < 0 ? 0 : batch] = time;
        }
    int status = BENCH_DONE;
    for (size_t i = 0; status == BENCH_DONE && i < ROWS(ways); i++) {
        median[i] = median_of(times[i], BATCHES);
        status = report(s, ways[i].name, median[i], BATCHES * BATCH);
    }
    if (status == BENCH_DONE)
        status =
            report(s, "run over bare enqueues and flush", median[0] - median[2], BATCHES * BATCH);
    return status;
}

/* One buffer for each argument, zeroed. */
static int make_arguments(struct subject *const s)
{
    const struct clnorm_problem *const p = &s->one->problem;
    const size_t workspace = clnorm_plan_workspace_size(s->plan, p->batch, p->spatial);
    const cl_context context = clnorm_context_opencl(s->context);
    s->arguments = (struct clnorm_arguments){.size = sizeof s->arguments, .sets = 1};
    for (int i = 0; i < CLNORM_SLOT_COUNT; i++) {
        uint64_t elements = 0;
        size_t size = 0;
        if (clnorm_problem_buffer(p, clnorm_slots[i].name, p->batch, p->spatial, 1, &elements,
                                  &size) == CLNORM_UNUSED)
            continue;
        void *const zeros = calloc(elements, size);
        cl_mem const memory =
            zeros ? clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, elements * size, zeros, NULL)
                  : NULL;
        free(zeros);
        if (!memory)
            return fail_with(s, "making buffers");
        ((struct clnorm_buffer *)((char *)&s->arguments + clnorm_slots[i].offset))->memory = memory;
    }
    if (workspace)
        s->arguments.workspace.memory =
            clCreateBuffer(context, CL_MEM_READ_WRITE, workspace, NULL, NULL);
    return !workspace || s->arguments.workspace.memory ? BENCH_DONE
                                                       : fail_with(s, "making a workspace");
}

static void free_arguments(struct subject *const s)
{
    for (int i = 0; i < CLNORM_SLOT_COUNT; i++) {
        cl_mem const memory =
            ((struct clnorm_buffer *)((char *)&s->arguments + clnorm_slots[i].offset))->memory;
        if (memory)
            clReleaseMemObject(memory);
    }
    if (s->arguments.workspace.memory)
        clReleaseMemObject(s->arguments.workspace.memory);
}

/* Runs once with the spy's eyes open. */
static int note_calls(struct subject *const s)
{
    spy.calls = 0;
    spy.noting = 1;
    const int fine = run_plan(s, clnorm_context_queue(s->context)) &&
                     clFinish(clnorm_context_queue(s->context)) == CL_SUCCESS;
    spy.noting = 0;
    return fine && spy.calls <= CALLS ? BENCH_DONE : fail_with(s, "a run");
}

/* ---- Plans and text -------------------------------------------------------------------------- */

static int open_context(struct subject *const s, const char *const cache)
{
    char message[1024];
    const struct clnorm_context_options options = {
        .size = sizeof options, .device_selector = s->device, .cache_directory = cache};
    if (clnorm_context_create(&options, &s->context, message, sizeof message) == CLNORM_OK)
        return BENCH_DONE;
    s->context = NULL;
    return bench_fail(BENCH_FAILED, "cannot use the device: %s", message);
}

/* Seconds to make a plan; negative: it failed. */
static double time_plan(const struct subject *const s, const struct clnorm_problem *const problem)
{
    struct clnorm_plan *plan = NULL;
    const double start = bench_now();
    const enum clnorm_status made = clnorm_plan_create(s->context, problem, NULL, &plan);
    const double time = bench_now() - start;
    clnorm_plan_release(plan);
    return made == CLNORM_OK ? time : -1;
}

/* The first plan of new contexts: from disk, or, of a problem that differs each time by a flag of
 * its extents, compiled. */
static int time_first_plans(struct subject *const s, const char *const cache, const int compiled)
{
    double times[LOADS];
    const unsigned count = compiled ? BUILDS : LOADS;
    for (unsigned i = 0; i < count; i++) {
        struct clnorm_problem problem = s->one->problem;
        problem.channels += compiled ? i + 1 : 0;
        const int status = open_context(s, cache);
        if (status != BENCH_DONE)
            return status;
        times[i] = time_plan(s, &problem);
        if (times[i] < 0)
            return fail_with(s, "making a plan");
        clnorm_context_release(s->context);
        s->context = NULL;
    }
    return report(s, compiled ? "plan, compiled from source" : "plan, from disk",
                  median_of(times, count), count);
}

static int time_memory_plans(struct subject *const s)
{
    double times[TRIES];
    for (unsigned i = 0; i < TRIES; i++)
        times[i] = time_plan(s, &s->one->problem);
    return times[0] < 0 ? fail_with(s, "making a plan")
                        : report(s, "plan, from memory", median_of(times, TRIES), TRIES);
}

static int time_text(const struct subject *const s)
{
    double times[TRIES];
    const struct clnorm_schedule schedule = *clnorm_plan_schedule(s->plan);
    for (unsigned i = 0; i < TRIES; i++) {
        struct clnorm_source source;
        char message[512];
        const double start = bench_now();
        if (clnorm_source_emit(&s->one->problem, &schedule, &source, message, sizeof message) !=
            CLNORM_OK)
            return bench_fail(BENCH_FAILED, "%s: %s", s->one->text, message);
        times[i] = bench_now() - start;
        clnorm_source_free(&source);
    }
    return report(s, "kernel text", median_of(times, TRIES), TRIES);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static int measure_open(struct subject *const s)
{
    if (clnorm_plan_create(s->context, &s->one->problem, NULL, &s->plan) != CLNORM_OK) {
        s->plan = NULL;
        return fail_with(s, "making a plan");
    }
    int status = make_arguments(s);
    if (status == BENCH_DONE)
        status = note_calls(s);
    if (status == BENCH_DONE)
        status = time_runs(s);
    if (status == BENCH_DONE)
        status = time_memory_plans(s);
    if (status == BENCH_DONE)
        status = time_text(s);
    free_arguments(s);
    clnorm_plan_release(s->plan);
    return status;
}

static int measure(struct subject *const s, const char *const cache)
{
    if (!s->json)
        printf("%s\n", s->one->text);
    int status = open_context(s, cache);
    if (status == BENCH_DONE)
        status = measure_open(s);
    clnorm_context_release(s->context);
    s->context = NULL;
    if (status == BENCH_DONE)
        status = time_first_plans(s, cache, 0);
    if (status == BENCH_DONE)
        status = time_first_plans(s, cache, 1);
    clnorm_context_release(s->context);
    fflush(stdout);
    return status;
}

int bench_latency(const char *const device, const struct bench_cases *const cases, const int json)
{
    char folder[] = "/tmp/clnorm-bench-XXXXXX", cache[64], pocl[64], command[128];
    if (!mkdtemp(folder))
        return bench_fail(BENCH_FAILED, "%s: no temporary folder can be made", folder);
    snprintf(cache, sizeof cache, "%s/cache", folder);
    snprintf(pocl, sizeof pocl, "%s/pocl", folder);
    mkdir(cache, 0700);
    mkdir(pocl, 0700);
    /* PoCL keeps compiled kernels of its own; with those of earlier runs, "compiled" would mean
     * "loaded". */
    setenv("POCL_CACHE_DIR", pocl, 1);
    int status = BENCH_DONE;
    for (size_t i = 0; status == BENCH_DONE && i < cases->count; i++) {
        struct subject s = {.one = &cases->items[i], .device = device, .json = json};
        bench_step("[%zu/%zu] %s", i + 1, cases->count, cases->items[i].text);
        bench_progress("%s", "");
        status = measure(&s, cache);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        bench_note("%s is left behind; remove it", folder);
    return status;
}
