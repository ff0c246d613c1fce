/* clnorm.c: clnorm as a contestant: a plan for the case's extents, buffers and workspace reused. A
 * run's time is from clnorm_plan_run until clFinish returns. */
#include "contestant.h"
#include "message.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct state {
    struct clnorm_context *context; /* not owned */
    struct clnorm_plan *plan;
    struct clnorm_arguments arguments;
};

static struct clnorm_buffer *buffer_of(struct state *const s, const int slot)
{
    return (struct clnorm_buffer *)((char *)&s->arguments + clnorm_slots[slot].offset);
}

static void release_state(struct state *const s)
{
    for (int i = 0; i < CLNORM_SLOT_COUNT; i++)
        if (buffer_of(s, i)->memory)
            clReleaseMemObject(buffer_of(s, i)->memory);
    if (s->arguments.workspace.memory)
        clReleaseMemObject(s->arguments.workspace.memory);
    clnorm_plan_release(s->plan);
    free(s);
}

static void release(struct bench_contestant *const self)
{
    release_state(self->state);
}

static int failed(const struct state *const s, const enum clnorm_status status,
                  const char *const text, const char *const what)
{
    char detail[1024];
    clnorm_context_error(s->context, detail, sizeof detail);
    return bench_fail(BENCH_FAILED, "%s: clnorm cannot %s: %s: %s", text, what,
                      clnorm_status_text(status), detail);
}

static int run_once(struct state *const s)
{
    cl_command_queue const queue = clnorm_context_queue(s->context);
    const enum clnorm_status status = clnorm_plan_run(s->plan, queue, &s->arguments, 0, NULL, NULL);
    return status == CLNORM_OK && clFinish(queue) == CL_SUCCESS;
}

static int run(struct bench_contestant *const self, const unsigned count, double *const seconds)
{
    for (unsigned i = 0; i < count; i++) {
        const double start = bench_now();
        if (!run_once(self->state))
            return failed(self->state, CLNORM_DEVICE_FAILED, self->name, "run");
        seconds[i] = bench_now() - start;
    }
    return BENCH_DONE;
}

static cl_mem make_buffer(const struct state *const s, const size_t bytes)
{
    return clCreateBuffer(clnorm_context_opencl(s->context), CL_MEM_READ_WRITE, bytes ? bytes : 1,
                          NULL, NULL);
}

/* Buffers with the inputs in them; 0 when a call failed. */
static int make_buffers(struct state *const s, const struct bench_data *const data)
{
    cl_command_queue const queue = clnorm_context_queue(s->context);
    for (int i = 0; i < CLNORM_SLOT_COUNT; i++) {
        if (data->use[i] == CLNORM_UNUSED)
            continue;
        cl_mem const memory = buffer_of(s, i)->memory = make_buffer(s, data->bytes[i]);
        if (!memory)
            return 0;
        if (data->input[i] && clEnqueueWriteBuffer(queue, memory, CL_TRUE, 0, data->bytes[i],
                                                   data->input[i], 0, NULL, NULL) != CL_SUCCESS)
            return 0;
    }
    const size_t size =
        clnorm_plan_workspace_size(s->plan, data->one->problem.batch, data->one->problem.spatial);
    s->arguments.workspace.memory = size ? make_buffer(s, size) : NULL;
    return size == 0 || s->arguments.workspace.memory;
}

/* Copies the outputs to the host; 0 when a call failed. */
static int read_outputs(struct state *const s, const struct bench_data *const data,
                        void *outputs[CLNORM_SLOT_COUNT])
{
    for (int i = 0; i < CLNORM_SLOT_COUNT; i++) {
        if (data->use[i] != CLNORM_WRITTEN)
            continue;
        outputs[i] = malloc(data->bytes[i]);
        if (!outputs[i] ||
            clEnqueueReadBuffer(clnorm_context_queue(s->context), buffer_of(s, i)->memory, CL_TRUE,
                                0, data->bytes[i], outputs[i], 0, NULL, NULL) != CL_SUCCESS)
            return 0;
    }
    return 1;
}

/* Runs once and compares; the error is infinite when that could not be done. */
static double check(struct state *const s, const struct bench_data *const data, char what[32])
{
    void *outputs[CLNORM_SLOT_COUNT] = {NULL};
    struct bench_outputs seen = {{NULL}};
    double error = INFINITY;
    if (run_once(s) && read_outputs(s, data, outputs)) {
        for (int i = 0; i < CLNORM_SLOT_COUNT; i++)
            seen.slot[i] = outputs[i];
        error = bench_check(data, &seen, what);
    }
    for (int i = 0; i < CLNORM_SLOT_COUNT; i++)
        free(outputs[i]);
    return error;
}

static int add(const struct bench_device *const device, const struct bench_data *const data,
               const struct clnorm_schedule *const schedule, const char *const name,
               struct bench_roster *const roster)
{
    const char *const text = data->one->text;
    const struct clnorm_plan_options options = {.size = sizeof options, .schedule = schedule};
    char what[32] = "the run";
    struct state *const s = calloc(1, sizeof *s);
    if (!s)
        return bench_fail(BENCH_FAILED, "%s: out of memory", text);
    s->context = device->context;
    s->arguments =
        (struct clnorm_arguments){.size = sizeof s->arguments, .sets = 1, .epsilon = BENCH_EPSILON};
    const enum clnorm_status made =
        clnorm_plan_create(s->context, &data->one->problem, &options, &s->plan);
    int status = made == CLNORM_OK ? BENCH_DONE : failed(s, made, text, "make a plan");
    if (status == BENCH_DONE && !make_buffers(s, data))
        status = bench_fail(BENCH_FAILED, "%s: no device memory for clnorm's buffers", text);
    double error = 0;
    if (status == BENCH_DONE) {
        error = check(s, data, what);
        if (!(error <= bench_tolerance(data->one->problem.dtype)))
            status = bench_fail(BENCH_FAILED, "%s: %s is wrong: %s has error %.3g", text, name,
                                what, error);
    }
    struct bench_contestant *const it =
        status == BENCH_DONE ? bench_roster_add(roster, name, device->label) : NULL;
    if (!it) {
        release_state(s);
        return status;
    }
    it->buffers = "reused";
    it->threads = device->threads;
    it->error = error;
    clnorm_schedule_format(clnorm_plan_schedule(s->plan), it->schedule);
    it->state = s;
    it->run = run;
    it->release = release;
    return BENCH_DONE;
}

/* Every other legal schedule, as clnorm:<row>. One that is refused or wrong is left out. */
static void add_others(struct bench *const bench, const struct bench_device *const device,
                       const struct bench_data *const data, struct bench_roster *const roster)
{
    const struct clnorm_target *const target = &clnorm_context_device(device->context)->target;
    struct clnorm_schedule schedule;
    for (unsigned i = 0; clnorm_schedule_choose(&data->one->problem, target, i, &schedule); i++) {
        char name[BENCH_NAME_SIZE];
        snprintf(name, sizeof name, "clnorm:%s", schedule.name);
        if (i != bench->schedule)
            add(device, data, &schedule, name, roster);
    }
}

static int add_device(struct bench *const bench, const struct bench_device *const device,
                      const struct bench_data *const data, struct bench_roster *const roster)
{
    const struct clnorm_target *const target = &clnorm_context_device(device->context)->target;
    const struct clnorm_problem *const problem = &data->one->problem;
    struct clnorm_schedule schedule;
    if (!clnorm_schedule_choose(problem, target, bench->schedule, &schedule)) {
        bench_note("%s: there is no schedule %u; clnorm is left out", data->one->text,
                   bench->schedule);
        return BENCH_DONE;
    }
    /* Schedule 0 is left to the library: that is what its users get, tuning included. */
    const int status = add(device, data, bench->schedule ? &schedule : NULL, "clnorm", roster);
    if (bench->all_schedules)
        add_others(bench, device, data, roster);
    return status;
}

int bench_make_clnorm(struct bench *const bench, const struct bench_data *const data,
                      struct bench_roster *const roster)
{
    int status = BENCH_DONE;
    for (unsigned i = 0; i < bench->devices && status == BENCH_DONE; i++)
        status = add_device(bench, &bench->device[i], data, roster);
    return status;
}
