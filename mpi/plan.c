/* Forward and backward over all ranks: reduce each share, merge all, map this rank's samples. */
#include "ranks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct clnorm_mpi_plan {
    struct clnorm_mpi *mpi;
    struct clnorm_context *context;
    struct clnorm_problem problem;
    struct clnorm_plan *reduce; /* moments or backward-sums */
    struct clnorm_plan *map;    /* normalise or input-gradient */
    unsigned char *records;     /* of this rank's shares, or one */
    size_t record;              /* bytes */
    cl_event *events;           /* of the shares' reductions */
};

/* Those under which shares of a batch add up to the batch. */
#define FLAGS                                                                                      \
    (CLNORM_SCALE | CLNORM_SHIFT | CLNORM_ADD | CLNORM_RELU | CLNORM_RUNNING | CLNORM_BIASED |     \
     CLNORM_RENORM | CLNORM_SGD | CLNORM_ADAM | CLNORM_LENGTHS)

/* A pass as staged operations. */
static const struct stages {
    enum clnorm_operation reduce, map;
    size_t result; /* of reduce: offset of its struct clnorm_buffer */
} forward_stages = {CLNORM_MOMENTS, CLNORM_NORMALISE, offsetof(struct clnorm_arguments, moments)},
  backward_stages = {CLNORM_BACKWARD_SUMS, CLNORM_INPUT_GRADIENT,
                     offsetof(struct clnorm_arguments, sums)};

static const struct stages *stages_of(const struct clnorm_problem *problem)
{
    return problem->operation == CLNORM_FORWARD    ? &forward_stages
           : problem->operation == CLNORM_BACKWARD ? &backward_stages
                                                   : NULL;
}

/* The pass of a plan, over so many values per channel of this rank. */
static struct clnorm_mpi_pass pass_of(const struct clnorm_mpi_plan *plan, int64_t values)
{
    return (struct clnorm_mpi_pass){
        .operation = stages_of(&plan->problem)->reduce,
        .dtype = plan->problem.dtype,
        .channels = plan->problem.channels,
        .values = values,
    };
}

/* Keeps the context's detail as the communicator's. */
static enum clnorm_status fail_as_context(const struct clnorm_mpi_plan *plan,
                                          enum clnorm_status status)
{
    char detail[sizeof plan->mpi->error];
    clnorm_context_error(plan->context, detail, sizeof detail);
    return clnorm__mpi_fail(plan->mpi, status, "%s", detail);
}

static enum clnorm_status check_call(const struct clnorm_mpi_plan *plan, cl_int code,
                                     const char *call)
{
    if (code == CL_SUCCESS)
        return CLNORM_OK;
    return clnorm__mpi_fail(plan->mpi, CLNORM_DEVICE_FAILED, "%s failed with OpenCL error %d on %s",
                            call, (int)code, clnorm_context_device(plan->context)->device_name);
}

/* ---- Making ---- */

static enum clnorm_status make_stage(struct clnorm_mpi_plan *plan, enum clnorm_operation operation,
                                     struct clnorm_plan **stage)
{
    struct clnorm_problem problem = plan->problem;
    problem.operation = operation;
    problem.batch = CLNORM_ANY;
    problem.flags &= clnorm_operation_flags(operation);
    const enum clnorm_status status = clnorm_plan_create(plan->context, &problem, NULL, stage);
    return status == CLNORM_OK ? CLNORM_OK : fail_as_context(plan, status);
}

static enum clnorm_status make_parts(struct clnorm_mpi_plan *plan)
{
    const struct stages *const stages = stages_of(&plan->problem);
    const size_t shares = (size_t)clnorm__mpi_shares(plan->mpi);
    const struct clnorm_mpi_pass pass = pass_of(plan, 0);
    plan->record = clnorm__mpi_record_bytes(&pass);
    plan->records = calloc(shares ? shares : 1, plan->record);
    plan->events = calloc(shares ? shares : 1, sizeof *plan->events);
    if (!plan->records || !plan->events)
        return clnorm__mpi_fail(plan->mpi, CLNORM_OUT_OF_MEMORY,
                                "no memory for the records of %zu shares", shares);
    const enum clnorm_status status = make_stage(plan, stages->reduce, &plan->reduce);
    return status == CLNORM_OK ? make_stage(plan, stages->map, &plan->map) : status;
}

enum clnorm_status clnorm_mpi_plan_create(struct clnorm_mpi *mpi, struct clnorm_context *context,
                                          const struct clnorm_problem *problem,
                                          struct clnorm_mpi_plan **plan)
{
    char message[256];
    *plan = NULL;
    if (clnorm_problem_check(problem, message, sizeof message) != CLNORM_OK)
        return clnorm__mpi_fail(mpi, CLNORM_INVALID_ARGUMENT, "problem: %s", message);
    if (!stages_of(problem))
        return clnorm__mpi_fail(mpi, CLNORM_INVALID_ARGUMENT,
                                "problem: %s; forward and backward run on several ranks",
                                clnorm_operation_name(problem->operation));
    if (problem->flags & ~FLAGS)
        return clnorm__mpi_fail(mpi, CLNORM_UNSUPPORTED,
                                "problem: of its flags only scale, shift, add, relu, running, "
                                "biased, renorm, lengths, sgd and adam work over several ranks");
    struct clnorm_mpi_plan *const made = calloc(1, sizeof *made);
    if (!made)
        return clnorm__mpi_fail(mpi, CLNORM_OUT_OF_MEMORY, "no memory for a plan");
    made->mpi = mpi;
    made->context = context;
    made->problem = *problem;
    const enum clnorm_status status = make_parts(made);
    if (status == CLNORM_OK)
        *plan = made;
    else
        clnorm_mpi_plan_release(made);
    return status;
}

void clnorm_mpi_plan_release(struct clnorm_mpi_plan *plan)
{
    if (!plan)
        return;
    clnorm_plan_release(plan->reduce);
    clnorm_plan_release(plan->map);
    free(plan->records);
    free(plan->events);
    free(plan);
}

/* ---- Running ---- */

struct run {
    struct clnorm_mpi_plan *plan;
    cl_command_queue queue;
    const struct clnorm_arguments *arguments;
    const int64_t *samples; /* NULL: even */
    int64_t shares, spatial;
    cl_mem memory; /* of the pool: a record for each share, later the merged one */
    cl_uint waits;
    const cl_event *wait;
};

static int64_t samples_of(const struct run *run, int64_t share)
{
    const int64_t batch = run->arguments->batch;
    return run->samples ? run->samples[share] : batch / run->shares + (share < batch % run->shares);
}

static enum clnorm_status check_samples(const struct run *run)
{
    int64_t left = run->arguments->batch;
    struct clnorm_mpi *const mpi = run->plan->mpi;
    if (run->arguments->size != sizeof *run->arguments)
        return clnorm__mpi_fail(mpi, CLNORM_INVALID_ARGUMENT,
                                "arguments.size is %zu; it must be sizeof(struct clnorm_arguments)",
                                run->arguments->size);
    if (run->shares == 0 && left != 0)
        return clnorm__mpi_fail(mpi, CLNORM_INVALID_ARGUMENT,
                                "batch is %lld on a rank without shares; it must be 0",
                                (long long)left);
    for (int64_t i = 0; i < run->shares; i++) {
        const int64_t samples = samples_of(run, i);
        if (samples < 0 || samples > left)
            return clnorm__mpi_fail(mpi, CLNORM_INVALID_ARGUMENT,
                                    "samples[%lld] is %lld, with %lld of the batch left; they must "
                                    "be >= 0 and add up to the batch",
                                    (long long)i, (long long)samples, (long long)left);
        left -= samples;
    }
    if (run->shares > 0 && left != 0)
        return clnorm__mpi_fail(mpi, CLNORM_INVALID_ARGUMENT,
                                "samples add up to %lld less than the batch", (long long)left);
    return CLNORM_OK;
}

/* Arguments for the samples from `first` on: tensors that a reduction reads begin there. */
static struct clnorm_arguments share_arguments(const struct run *run, int64_t first,
                                               int64_t samples, int64_t share)
{
    const struct clnorm_problem *const problem = &run->plan->problem;
    const size_t skipped =
        (size_t)(first * problem->channels * run->spatial) * clnorm_dtype_size(problem->dtype);
    struct clnorm_arguments arguments = *run->arguments;
    arguments.batch = samples;
    arguments.x.offset += skipped;
    arguments.dy.offset += skipped;
    arguments.y.offset += skipped;
    arguments.lengths.offset += (size_t)first * sizeof(uint32_t);
    arguments.workspace = (struct clnorm_buffer){NULL, 0};
    struct clnorm_buffer *const result = (void *)((char *)&arguments + stages_of(problem)->result);
    *result = (struct clnorm_buffer){run->memory, (size_t)share * run->plan->record};
    return arguments;
}

/* Enqueues the reduction of every share; *started counts those that have an event. */
static enum clnorm_status reduce_shares(const struct run *run, cl_uint *started)
{
    struct clnorm_mpi_plan *const plan = run->plan;
    int64_t first = 0;
    for (int64_t i = 0; i < run->shares; i++) {
        const int64_t samples = samples_of(run, i);
        const struct clnorm_arguments arguments = share_arguments(run, first, samples, i);
        const enum clnorm_status status = clnorm_plan_run(plan->reduce, run->queue, &arguments,
                                                          run->waits, run->wait, &plan->events[i]);
        if (status != CLNORM_OK)
            return fail_as_context(plan, status);
        ++*started;
        first += samples;
    }
    return CLNORM_OK;
}

/* The records of this rank's shares, in host memory. */
static enum clnorm_status take_records(const struct run *run)
{
    struct clnorm_mpi_plan *const plan = run->plan;
    cl_uint started = 0;
    if (run->shares == 0)
        return CLNORM_OK;
    enum clnorm_status status = reduce_shares(run, &started);
    if (status == CLNORM_OK)
        status = check_call(plan,
                            clEnqueueReadBuffer(run->queue, run->memory, CL_TRUE, 0,
                                                (size_t)run->shares * plan->record, plan->records,
                                                started, plan->events, NULL),
                            "clEnqueueReadBuffer");
    else if (started > 0)
        clWaitForEvents(started, plan->events); /* the pool gets the memory back */
    for (cl_uint i = 0; i < started; i++)
        clReleaseEvent(plan->events[i]);
    return status;
}

/* Valid positions of this rank's samples: M, as lengths in device memory have it. */
static enum clnorm_status add_lengths(const struct run *run, int64_t *values)
{
    const struct clnorm_buffer *const lengths = &run->arguments->lengths;
    const size_t samples = (size_t)run->arguments->batch;
    const uint64_t most = (uint64_t)run->spatial;
    *values = 0;
    if (samples == 0)
        return CLNORM_OK;
    uint32_t *const copy = malloc(samples * sizeof *copy);
    if (!copy)
        return clnorm__mpi_fail(run->plan->mpi, CLNORM_OUT_OF_MEMORY,
                                "no memory for the lengths of %zu samples", samples);
    const enum clnorm_status status =
        check_call(run->plan,
                   clEnqueueReadBuffer(run->queue, lengths->memory, CL_TRUE, lengths->offset,
                                       samples * sizeof *copy, copy, run->waits, run->wait, NULL),
                   "clEnqueueReadBuffer");
    for (size_t i = 0; status == CLNORM_OK && i < samples; i++)
        *values += (int64_t)(copy[i] < most ? copy[i] : most);
    free(copy);
    return status;
}

/* Everything up to the reduction: what goes wrong here is told to all ranks. *values is M of this
 * rank's samples. */
static enum clnorm_status prepare(struct run *run, int64_t *values)
{
    struct clnorm_mpi_plan *const plan = run->plan;
    const int64_t records = run->shares > 0 ? run->shares : 1;
    enum clnorm_status status = check_samples(run);
    if (status != CLNORM_OK)
        return status;
    status = clnorm_pool_acquire(plan->context, (size_t)records * plan->record, run->queue,
                                 &run->memory);
    if (status != CLNORM_OK) {
        run->memory = NULL;
        return fail_as_context(plan, status);
    }
    status = take_records(run);
    if (status == CLNORM_OK && run->plan->problem.flags & CLNORM_LENGTHS)
        status = add_lengths(run, values);
    return status;
}

/* Maps this rank's samples by what all ranks have seen: `values` per channel. */
static enum clnorm_status finish(const struct run *run, int64_t values, cl_event *event)
{
    struct clnorm_mpi_plan *const plan = run->plan;
    struct clnorm_arguments arguments = *run->arguments;
    arguments.parts = (struct clnorm_buffer){run->memory, 0};
    arguments.sets = 1;
    arguments.count = (double)values;
    arguments.workspace = (struct clnorm_buffer){NULL, 0};
    const enum clnorm_status status =
        check_call(plan,
                   clEnqueueWriteBuffer(run->queue, run->memory, CL_TRUE, 0, plan->record,
                                        plan->records, 0, NULL, NULL),
                   "clEnqueueWriteBuffer");
    if (status != CLNORM_OK)
        return status;
    const enum clnorm_status ran =
        clnorm_plan_run(plan->map, run->queue, &arguments, run->waits, run->wait, event);
    return ran == CLNORM_OK ? CLNORM_OK : fail_as_context(plan, ran);
}

enum clnorm_status clnorm_mpi_plan_run(struct clnorm_mpi_plan *plan, cl_command_queue queue,
                                       const struct clnorm_arguments *arguments,
                                       const int64_t *samples, cl_uint waits, const cl_event *wait,
                                       cl_event *event)
{
    const struct clnorm_problem *const problem = &plan->problem;
    const struct clnorm_arguments none = {.size = 0};
    arguments = arguments ? arguments : &none; /* which all ranks will hear about */
    struct run run = {
        .plan = plan,
        .queue = queue,
        .arguments = arguments,
        .samples = samples,
        .shares = clnorm__mpi_shares(plan->mpi),
        .spatial = problem->spatial == CLNORM_ANY ? arguments->spatial : problem->spatial,
        .waits = waits,
        .wait = wait,
    };
    struct clnorm_mpi_pass pass = pass_of(plan, arguments->batch * run.spatial);
    cl_event last = NULL;
    enum clnorm_status status = prepare(&run, &pass.values);
    status = clnorm__mpi_reduce(plan->mpi, status, &pass, plan->records, plan->records);
    if (status == CLNORM_OK)
        status = finish(&run, pass.values, &last);
    if (run.memory)
        clnorm_pool_release(plan->context, run.memory, queue, last);
    if (event && last)
        *event = last;
    else if (last)
        clReleaseEvent(last);
    return status;
}
