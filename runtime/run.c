#include "checks.h"
#include "plan.h"

/* One run in progress. */
struct run {
    struct clnorm_plan *plan;
    cl_command_queue queue;
    int out_of_order;
    const struct clnorm_launches *launches;
    struct clnorm__values values;
    const char *call; /* the OpenCL call that enqueueing has come to */
};

/* A query on the caller's queue failed: it is none, or the device is at fault. */
static enum clnorm_status fail_query(struct clnorm_context *context, cl_int code)
{
    if (code != CL_INVALID_COMMAND_QUEUE)
        return clnorm__fail_call(context, code, "clGetCommandQueueInfo");
    return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                        "the command queue is not valid: clGetCommandQueueInfo failed with %s (%d)",
                        clnorm__code_name(code), (int)code);
}

static enum clnorm_status check_queue(struct clnorm_context *context, cl_command_queue queue,
                                      int *out_of_order)
{
    cl_context owner;
    cl_device_id device;
    cl_command_queue_properties properties;
    if (!queue)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT, "no command queue given (NULL)");
    cl_int code = clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof owner, &owner, NULL);
    if (code == CL_SUCCESS)
        code = clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof device, &device, NULL);
    if (code == CL_SUCCESS)
        code =
            clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof properties, &properties, NULL);
    if (code != CL_SUCCESS)
        return fail_query(context, code);
    if (owner != context->opencl || device != context->device.device)
        return clnorm__fail(
            context, CLNORM_INVALID_ARGUMENT,
            "the command queue belongs to another cl_context or device than the plan");
    *out_of_order = (properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) != 0;
    return CLNORM_OK;
}

static cl_int enqueue(struct run *run, const struct clnorm_launch *launch, cl_uint waits,
                      const cl_event *wait, cl_event *event)
{
    const struct clnorm__step_kernel *const k = &run->plan->kernels.step[launch->step];
    const size_t global[3] = {launch->global[0], launch->global[1], launch->global[2]};
    const size_t local[3] = {launch->local[0], launch->local[1], launch->local[2]};
    clnorm__launch_values(launch, &run->values);
    run->call = "clSetKernelArg";
    const cl_int code = clnorm__kernel_bind(k->kernel, k->binding, k->arguments, &run->values);
    if (code != CL_SUCCESS)
        return code;
    run->call = "clEnqueueNDRangeKernel";
    return clEnqueueNDRangeKernel(run->queue, k->kernel, 3, NULL, global, local, waits, wait,
                                  event);
}

/*
 * Enqueues the launches: the first waits for the caller's events, each further one for the one
 * before (in-order queues do that themselves). *last is the last one's event when wanted. On
 * failure *last is the last that was enqueued, or NULL.
 */
static cl_int enqueue_all(struct run *run, cl_uint waits, const cl_event *wait, int wanted,
                          cl_event *last)
{
    *last = NULL;
    run->call = "clEnqueueMarkerWithWaitList";
    if (run->launches->count == 0)
        return wanted || waits > 0 ? clEnqueueMarkerWithWaitList(run->queue, waits, wait, last)
                                   : CL_SUCCESS;
    for (unsigned i = 0; i < run->launches->count; i++) {
        const int needs_event = run->out_of_order || (wanted && i + 1 == run->launches->count);
        cl_event event = NULL;
        const cl_int code =
            enqueue(run, &run->launches->launch[i], waits, wait, needs_event ? &event : NULL);
        if (code != CL_SUCCESS)
            return code;
        if (*last)
            clReleaseEvent(*last);
        *last = event;
        waits = run->out_of_order ? 1 : 0;
        wait = run->out_of_order ? last : NULL;
    }
    return CL_SUCCESS;
}

/* Runs with the workspace in place; a pooled workspace goes back with the event of the last launch.
 */
static enum clnorm_status launch_all(struct run *run, cl_mem pooled, cl_uint waits,
                                     const cl_event *wait, cl_event *event)
{
    struct clnorm_context *const context = run->plan->context;
    const int wanted = event != NULL || (pooled && run->out_of_order);
    cl_event last;
    cl_int code = enqueue_all(run, waits, wait, wanted, &last);
    const cl_int flushed = clFlush(run->queue);
    if (code == CL_SUCCESS) {
        code = flushed;
        run->call = "clFlush";
    }
    if (pooled)
        clnorm_pool_release(context, pooled, run->queue, last);
    if (code == CL_SUCCESS && event)
        *event = last;
    else if (last)
        clReleaseEvent(last);
    return code == CL_SUCCESS ? CLNORM_OK : clnorm__fail_call(context, code, run->call);
}

static enum clnorm_status run_with_pool(struct run *run, const struct clnorm_arguments *arguments,
                                        const struct clnorm__extents *extents, cl_uint waits,
                                        const cl_event *wait, cl_event *event)
{
    struct clnorm_context *const context = run->plan->context;
    struct clnorm_buffer workspace = {0};
    const enum clnorm_status status =
        clnorm_pool_acquire(context, run->launches->workspace, run->queue, &workspace.memory);
    if (status != CLNORM_OK)
        return status;
    clnorm__arguments_values(&run->plan->problem, arguments, extents, run->launches, workspace,
                             &run->values);
    return launch_all(run, workspace.memory, waits, wait, event);
}

static const struct clnorm_launches *launches_of(struct clnorm_plan *plan,
                                                 const struct clnorm__extents *extents)
{
    if (!plan->planned || plan->batch != extents->batch || plan->spatial != extents->spatial) {
        plan->batch = extents->batch;
        plan->spatial = extents->spatial;
        plan->launches = clnorm_launches_plan(&plan->program->problem, &plan->program->schedule,
                                              extents->batch, extents->spatial);
        plan->planned = 1;
    }
    return &plan->launches;
}

enum clnorm_status clnorm_plan_run(struct clnorm_plan *plan, cl_command_queue queue,
                                   const struct clnorm_arguments *arguments, cl_uint waits,
                                   const cl_event *wait, cl_event *event)
{
    if (!plan)
        return CLNORM_INVALID_ARGUMENT;
    struct clnorm_context *const context = plan->context;
    const struct clnorm_problem *const problem = &plan->problem;
    struct run run = {.plan = plan, .queue = queue};
    if (waits == 0)
        wait = NULL;
    struct clnorm__extents extents;
    enum clnorm_status status = clnorm__check_process(context);
    if (status == CLNORM_OK)
        status = check_queue(context, queue, &run.out_of_order);
    if (status == CLNORM_OK && waits > 0 && !wait)
        status = clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                              "%u events to wait for, but wait is NULL", (unsigned)waits);
    if (status == CLNORM_OK)
        status = clnorm__arguments_extents(context, problem, arguments, &extents);
    if (status != CLNORM_OK)
        return status;
    run.launches = launches_of(plan, &extents);
    status =
        clnorm__arguments_check(context, problem, arguments, &extents, run.launches->workspace);
    if (status != CLNORM_OK)
        return status;
    if (run.launches->workspace > 0 && !arguments->workspace.memory)
        return run_with_pool(&run, arguments, &extents, waits, wait, event);
    clnorm__arguments_values(problem, arguments, &extents, run.launches, arguments->workspace,
                             &run.values);
    return launch_all(&run, NULL, waits, wait, event);
}
