#include <string.h>

#include "binding.h"

/*
 * Drivers compile late: PoCL at the first enqueue of a kernel for a work-group size. Here each
 * kernel runs once, over as many tiles as it will ever have but over a single position (baked
 * extents: over all), on a queue and zeroed buffers of its own, so that it waits for nobody's work.
 */
static struct clnorm__extents warm_extents(const struct clnorm__program *program)
{
    const struct clnorm_problem *const p = &program->problem;
    if (program->schedule.baked)
        return (struct clnorm__extents){(uint64_t)p->batch, (uint64_t)p->spatial, 1};
    return (struct clnorm__extents){1, 1, 1};
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

static cl_int clear(cl_command_queue queue, cl_mem memory, size_t bytes)
{
    cl_int code;
    void *const mapped =
        clEnqueueMapBuffer(queue, memory, CL_TRUE, CL_MAP_WRITE, 0, bytes, 0, NULL, NULL, &code);
    if (code != CL_SUCCESS)
        return code;
    memset(mapped, 0, bytes);
    return clEnqueueUnmapMemObject(queue, memory, mapped, 0, NULL, NULL);
}

/* A zeroed buffer for each role that a kernel argument names. On failure some may be there. */
static cl_int make_buffers(struct clnorm_context *context, cl_command_queue queue,
                           const struct clnorm__program *program,
                           const struct clnorm__step_kernels *kernels,
                           struct clnorm__values *values)
{
    const struct clnorm__extents extents = warm_extents(program);
    cl_int code = CL_SUCCESS;
    for (unsigned role = 0; role < CLNORM__BUFFER_COUNT && code == CL_SUCCESS; role++) {
        if (!is_bound(kernels, role))
            continue;
        const size_t bytes = clnorm__buffer_bytes(&program->problem, role, &extents) + 64;
        values->buffer[role].memory =
            clCreateBuffer(context->opencl, CL_MEM_READ_WRITE, bytes, NULL, &code);
        if (code == CL_SUCCESS)
            code = clear(queue, values->buffer[role].memory, bytes);
    }
    return code;
}

static struct clnorm__values warm_values(const struct clnorm__program *program)
{
    const struct clnorm_arguments arguments = {.size = sizeof arguments, .optimiser = {.step = 1}};
    const struct clnorm__extents extents = warm_extents(program);
    const struct clnorm_launches launches = {
        .batch = 1, .spatial = 1, .batch_step = 1, .spatial_step = 1, .parts = 1};
    const struct clnorm_buffer nowhere = {0};
    struct clnorm__values values = {0};
    clnorm__arguments_values(&program->problem, &arguments, &extents, &launches, nowhere, &values);
    values.buffer[CLNORM__CONSTANTS].offset = 0;
    return values;
}

static cl_int run_once(cl_command_queue queue, const struct clnorm__program *program,
                       const struct clnorm__step_kernel *kernel, enum clnorm_step step,
                       const struct clnorm__values *values)
{
    const struct clnorm_launch launch =
        clnorm_launch_of_step(&program->problem, &program->schedule, step);
    const size_t global[3] = {launch.global[0], 1, 1}, local[3] = {launch.local[0], 1, 1};
    const cl_int code =
        clnorm__kernel_bind(kernel->kernel, kernel->binding, kernel->arguments, values);
    if (code != CL_SUCCESS)
        return code;
    return clEnqueueNDRangeKernel(queue, kernel->kernel, 3, NULL, global, local, 0, NULL, NULL);
}

static cl_int run_all(struct clnorm_context *context, cl_command_queue queue,
                      const struct clnorm__program *program,
                      const struct clnorm__step_kernels *kernels)
{
    struct clnorm__values values = warm_values(program);
    cl_int code = make_buffers(context, queue, program, kernels, &values);
    for (unsigned i = 0; i < CLNORM_STEP_COUNT && code == CL_SUCCESS; i++)
        if (kernels->step[i].kernel)
            code = run_once(queue, program, &kernels->step[i], (enum clnorm_step)i, &values);
    const cl_int finished = clFinish(queue);
    for (unsigned role = 0; role < CLNORM__BUFFER_COUNT; role++)
        if (values.buffer[role].memory)
            clReleaseMemObject(values.buffer[role].memory);
    return code == CL_SUCCESS ? finished : code;
}

enum clnorm_status clnorm__program_warm(struct clnorm_context *context,
                                        const struct clnorm__program *program)
{
    struct clnorm__step_kernels kernels;
    cl_int code;
    const enum clnorm_status status = clnorm__kernels_create(context, program, &kernels);
    if (status != CLNORM_OK)
        return status;
    const cl_command_queue queue =
        clCreateCommandQueue(context->opencl, context->device.device, 0, &code);
    if (code == CL_SUCCESS) {
        code = run_all(context, queue, program, &kernels);
        clReleaseCommandQueue(queue);
    }
    clnorm__kernels_release(&kernels);
    return code == CL_SUCCESS ? CLNORM_OK
                              : clnorm__fail_call(context, code, "the first run of a kernel");
}
