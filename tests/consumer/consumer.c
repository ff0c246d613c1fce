/* A C program that uses an installed clnorm: normalises two samples on the device at hand. */
#include <clnorm/clnorm.h>

#include <stdio.h>
#include <string.h>

static enum clnorm_status normalise(struct clnorm_context *context, struct clnorm_plan *plan,
                                    float values[6])
{
    const size_t size = sizeof(float);
    cl_int code;
    cl_mem memory =
        clCreateBuffer(clnorm_context_opencl(context), CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                       6 * size, values, &code);
    if (code != CL_SUCCESS)
        return CLNORM_DEVICE_FAILED;
    const struct clnorm_arguments arguments = {.size = sizeof arguments,
                                               .batch = 2,
                                               .x = {memory, 0},
                                               .y = {memory, 2 * size},
                                               .mean = {memory, 4 * size},
                                               .invstd = {memory, 5 * size}};
    const cl_command_queue queue = clnorm_context_queue(context);
    enum clnorm_status status = clnorm_plan_run(plan, queue, &arguments, 0, NULL, NULL);
    if (clEnqueueReadBuffer(queue, memory, CL_TRUE, 0, 6 * size, values, 0, NULL, NULL) !=
        CL_SUCCESS)
        status = CLNORM_DEVICE_FAILED;
    clReleaseMemObject(memory);
    return status;
}

int main(void)
{
    float values[6] = {1.0f, 5.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    struct clnorm_context *context = NULL;
    struct clnorm_plan *plan = NULL;
    struct clnorm_problem problem;
    char message[512] = "";
    enum clnorm_status status =
        clnorm_problem_parse("forward nchw f32 ?x1", &problem, message, sizeof message);
    if (status == CLNORM_OK)
        status = clnorm_context_create(NULL, &context, message, sizeof message);
    if (status == CLNORM_OK)
        status = clnorm_plan_create(context, &problem, NULL, &plan);
    if (status == CLNORM_OK)
        status = normalise(context, plan, values);
    if (status != CLNORM_OK)
        printf("%s: %s\n", clnorm_status_text(status), message);
    clnorm_plan_release(plan);
    clnorm_context_release(context);
    /* mean 3, variance 4: one standard deviation below and above */
    const int right =
        values[4] == 3.0f && values[2] < -0.999f && values[2] > -1.0f && values[3] == -values[2];
    const int same_version = strcmp(clnorm_version(), CLNORM_VERSION_STRING) == 0;
    return status == CLNORM_OK && right && same_version ? 0 : 1;
}
