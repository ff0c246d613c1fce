/* first.c: normalises a batch of four samples with two channels, and prints it. */
#include <clnorm/clnorm.h>
#include <stddef.h>
#include <stdio.h>

struct data {
    float x[4][2], mean[2], invstd[2];
};

/* Copies the data to the device, normalises x in place, and copies all back. */
static enum clnorm_status normalise(struct clnorm_context *context, struct clnorm_plan *plan,
                                    struct data *data)
{
    const cl_command_queue queue = clnorm_context_queue(context);
    const cl_mem memory = clCreateBuffer(clnorm_context_opencl(context), CL_MEM_COPY_HOST_PTR,
                                         sizeof *data, data, NULL);
    const struct clnorm_arguments arguments = {
        .size = sizeof arguments,
        .batch = 4,
        .x = {memory, 0},
        .y = {memory, 0},
        .mean = {memory, offsetof(struct data, mean)},
        .invstd = {memory, offsetof(struct data, invstd)},
    };
    enum clnorm_status status = clnorm_plan_run(plan, queue, &arguments, 0, NULL, NULL);
    if (status == CLNORM_OK &&
        clEnqueueReadBuffer(queue, memory, CL_TRUE, 0, sizeof *data, data, 0, NULL, NULL) != 0)
        status = CLNORM_DEVICE_FAILED;
    if (memory)
        clReleaseMemObject(memory);
    return status;
}

int main(void)
{
    struct data data = {.x = {{1, 10}, {2, 20}, {3, 30}, {4, 60}}};
    struct clnorm_context *context = NULL;
    struct clnorm_plan *plan = NULL;
    struct clnorm_problem problem;
    char message[512] = "";

    /* The best device; batches of any size with two channels; a plan, compiled or from the cache. */
    enum clnorm_status status = clnorm_context_create(NULL, &context, message, sizeof message);
    if (status == CLNORM_OK)
        status = clnorm_problem_parse("forward nchw f32 ?x2", &problem, message, sizeof message);
    if (status == CLNORM_OK)
        status = clnorm_plan_create(context, &problem, NULL, &plan);
    if (status == CLNORM_OK)
        status = normalise(context, plan, &data);

    for (int n = 0; n < 4 && status == CLNORM_OK; n++)
        printf("%8.4f %8.4f\n", (double)data.x[n][0], (double)data.x[n][1]);
    if (status == CLNORM_OK)
        printf("mean %g %g\n", (double)data.mean[0], (double)data.mean[1]);
    else if (!message[0] && context)
        clnorm_context_error(context, message, sizeof message);
    if (status != CLNORM_OK)
        fprintf(stderr, "%s: %s\n", clnorm_status_text(status), message);
    clnorm_plan_release(plan);
    clnorm_context_release(context);
    return status == CLNORM_OK ? 0 : 1;
}
