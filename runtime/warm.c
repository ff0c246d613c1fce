#include <string.h>

#include "plan.h"

/*
 * Drivers compile late: PoCL at the first enqueue of a kernel for a work-group size. Here each
 * kernel runs once, over as many tiles as it will ever have but over no positions (baked extents:
 * all of them), on one scratch buffer that stands in for all others and is large enough for any.
 */
static size_t scratch_bytes(const struct clnorm__program *program)
{
    const struct clnorm_problem *const p = &program->problem;
    size_t bytes = 8 * (size_t)p->channels * clnorm_dtype_parameter_size(p->dtype);
    if (program->schedule.baked) {
        const size_t tensor = (size_t)p->batch * (size_t)p->channels * (size_t)p->spatial *
                              clnorm_dtype_size(p->dtype);
        bytes = tensor > bytes ? tensor : bytes;
    }
    return bytes;
}

static enum clnorm_status run_once(struct clnorm_context *context,
                                   const struct clnorm__program *program,
                                   const struct clnorm__step_kernel *kernel, enum clnorm_step step,
                                   const struct clnorm__values *values)
{
    const struct clnorm_launch launch =
        clnorm_launch_of_step(&program->problem, &program->schedule, step);
    const size_t global[3] = {launch.global[0], 1, 1}, local[3] = {launch.local[0], 1, 1};
    cl_int code = clnorm__kernel_bind(kernel->kernel, kernel->binding, kernel->arguments, values);
    if (code == CL_SUCCESS)
        code = clEnqueueNDRangeKernel(context->queue, kernel->kernel, 3, NULL, global, local, 0,
                                      NULL, NULL);
    if (code == CL_SUCCESS)
        code = clFinish(context->queue);
    return code == CL_SUCCESS ? CLNORM_OK
                              : clnorm__fail_call(context, code, "the first run of a kernel");
}

/* All buffers are the scratch buffer, all extents none. */
static struct clnorm__values scratch_values(const struct clnorm__program *program, cl_mem scratch)
{
    const struct clnorm_arguments arguments = {.size = sizeof arguments, .optimiser = {.step = 1}};
    const struct clnorm__extents none = {0, 0, 0};
    const struct clnorm_launches launches = {.count = 0};
    struct clnorm__values values = {0};
    clnorm__arguments_values(&program->problem, &arguments, &none, &launches,
                             (struct clnorm_buffer){scratch, 0}, &values);
    for (unsigned i = 0; i < CLNORM__BUFFER_COUNT; i++)
        values.buffer[i].memory = scratch;
    return values;
}

enum clnorm_status clnorm__program_warm(struct clnorm_context *context,
                                        const struct clnorm__program *program)
{
    struct clnorm__step_kernels kernels;
    cl_mem scratch;
    enum clnorm_status status = clnorm__kernels_create(context, program, &kernels);
    if (status != CLNORM_OK)
        return status;
    status = clnorm_pool_acquire(context, scratch_bytes(program), context->queue, &scratch,
                                 &(cl_event){0});
    if (status == CLNORM_OK) {
        const struct clnorm__values values = scratch_values(program, scratch);
        for (unsigned i = 0; i < CLNORM_STEP_COUNT && status == CLNORM_OK; i++)
            if (kernels.step[i].kernel)
                status = run_once(context, program, &kernels.step[i], (enum clnorm_step)i, &values);
        clnorm_pool_release(context, scratch, context->queue, NULL);
    }
    clnorm__kernels_release(&kernels);
    return status;
}
