#include <stdlib.h>

#include "binding.h"
#include "events.h"

/*
 * Drivers compile late: PoCL at the first enqueue of a kernel for a work-group size. Here each
 * kernel runs once, over as many tiles as it will ever have but over a single position (baked
 * extents: over all), on zeroed buffers and a queue that nobody else uses, so that it waits for nobody's work.
 */
static struct clnorm__extents warm_extents(const struct clnorm__program *program)
{
    const struct clnorm_problem *const p = &program->problem;
    const struct clnorm_launch launch =
        clnorm_launch_of_step(p, &program->schedule, CLNORM_STEP_MAP);
    if (program->schedule.baked)
        return (struct clnorm__extents){(uint64_t)p->batch, (uint64_t)p->spatial, launch.spread};
    return (struct clnorm__extents){1, launch.spread, launch.spread};
}

static int is_bound(const struct clnorm__step_kernels *kernels, unsigned role)
{
    for (unsigned i = 0; i < CLNORM_STEP_COUNT; i++)
        for (unsigned j = 0; j < kernels->step[i].arguments; j++) {
            const struct clnorm__binding *const b = &kernels->step[i].binding[j];
            if (b->what == CLNORM__BIND_MEMORY && b->role == role)
                return 1;
        }
    return 0;
}

static enum clnorm_status clear(struct clnorm_context *context, cl_mem memory, size_t bytes)
{
    void *const zeros = calloc(1, bytes);
    if (!zeros)
        return clnorm__fail(context, CLNORM_OUT_OF_MEMORY, "out of memory");
    const cl_int code =
        clEnqueueWriteBuffer(context->warm_queue, memory, CL_TRUE, 0, bytes, zeros, 0, NULL, NULL);
    free(zeros);
    return code == CL_SUCCESS ? CLNORM_OK
                              : clnorm__fail_call(context, code, "clEnqueueWriteBuffer");
}

/* A zeroed buffer for each role that a kernel argument names. On failure some may be there. */
static enum clnorm_status acquire_buffers(struct clnorm_context *context,
                                          const struct clnorm__program *program,
                                          const struct clnorm__step_kernels *kernels,
                                          struct clnorm__values *values)
{
    const struct clnorm__extents extents = warm_extents(program);
    enum clnorm_status status = CLNORM_OK;
    for (unsigned role = 0; role < CLNORM__BUFFER_COUNT && status == CLNORM_OK; role++) {
        if (!is_bound(kernels, role))
            continue;
        cl_mem *const memory = &values->buffer[role].memory;
        const uint64_t bytes = clnorm__buffer_bytes(&program->problem, role, &extents);
        status = clnorm_pool_acquire(context, (bytes / 64 + 1) * 64, context->warm_queue, memory);
        if (status == CLNORM_OK)
            status = clear(context, *memory, (bytes / 64 + 1) * 64);
    }
    return status;
}

/* They stay in the pool, but for whole tensors. */
static void release_buffers(struct clnorm_context *context, const struct clnorm__program *program,
                            const struct clnorm__values *values)
{
    for (unsigned role = 0; role < CLNORM__BUFFER_COUNT; role++)
        if (values->buffer[role].memory)
            clnorm_pool_release(context, values->buffer[role].memory, context->warm_queue, NULL);
    if (program->schedule.baked)
        clnorm_pool_trim(context);
}

static struct clnorm__values warm_values(const struct clnorm__program *program)
{
    const struct clnorm_arguments arguments = {.size = sizeof arguments, .optimiser = {.step = 1}};
    const struct clnorm__extents extents = warm_extents(program);
    const struct clnorm_launches launches = {
        .batch = 1, .spatial = 1, .parts = 1, .ghosts = 1, .ghost_sets = 1};
    const struct clnorm_buffer nowhere = {0};
    struct clnorm__values values = {0};
    clnorm__arguments_values(&program->problem, &arguments, &extents, &launches, nowhere, &values);
    values.buffer[CLNORM__CONSTANTS].offset = 0;
    return values;
}

static enum clnorm_status run_kernel(struct clnorm_context *context,
                                     const struct clnorm__program *program,
                                     const struct clnorm__step_kernel *kernel,
                                     enum clnorm_step step, struct clnorm__values *values)
{
    const struct clnorm_launch launch =
        clnorm_launch_of_step(&program->problem, &program->schedule, step);
    const size_t global[3] = {launch.global[0], 1, 1}, local[3] = {launch.local[0], 1, 1};
    clnorm__launch_values(&launch, values);
    cl_int code = clnorm__kernel_bind(kernel->kernel, kernel->binding, kernel->arguments, values);
    if (code != CL_SUCCESS)
        return clnorm__fail_call(context, code, "clSetKernelArg");
    code = clEnqueueNDRangeKernel(context->warm_queue, kernel->kernel, 3, NULL, global, local, 0,
                                  NULL, NULL);
    return code == CL_SUCCESS ? CLNORM_OK
                              : clnorm__fail_call(context, code, "clEnqueueNDRangeKernel");
}

static enum clnorm_status run_kernels(struct clnorm_context *context,
                                      const struct clnorm__program *program,
                                      const struct clnorm__step_kernels *kernels,
                                      struct clnorm__values *values)
{
    enum clnorm_status status = CLNORM_OK;
    for (unsigned i = 0; i < CLNORM_STEP_COUNT && status == CLNORM_OK; i++)
        if (kernels->step[i].kernel)
            status = run_kernel(context, program, &kernels->step[i], (enum clnorm_step)i, values);
    const char *call;
    const cl_int code = clnorm__queue_wait(context->warm_queue, &call);
    const enum clnorm_status finished =
        code == CL_SUCCESS ? CLNORM_OK : clnorm__fail_call(context, code, call);
    return status == CLNORM_OK ? finished : status;
}

enum clnorm_status clnorm__program_warm(struct clnorm_context *context,
                                        const struct clnorm__program *program)
{
    struct clnorm__step_kernels kernels;
    enum clnorm_status status = clnorm__kernels_create(context, program, &kernels);
    if (status != CLNORM_OK)
        return status;
    struct clnorm__values values = warm_values(program);
    status = acquire_buffers(context, program, &kernels, &values);
    if (status == CLNORM_OK)
        status = run_kernels(context, program, &kernels, &values);
    release_buffers(context, program, &values);
    clnorm__kernels_release(&kernels);
    return status;
}
