/* first.c: normalises four samples with two channels on the best device, in place, and prints them. */
#include <clnorm/clnorm.h>
#include <stdio.h>
#include <stdlib.h>

/* Ends the program unless the status is good: with the context's last error or, without one, `why`. */
static void need(enum clnorm_status status, const struct clnorm_context *context, const char *why)
{
    char detail[1024];
    if (status == CLNORM_OK)
        return;
    if (context)
        clnorm_context_error(context, detail, sizeof detail);
    fprintf(stderr, "first: %s\n", context ? detail : why);
    exit(1);
}

int main(void)
{
    struct {
        float x[4][2], mean[2], invstd[2];
    } data = {.x = {{1, 10}, {2, 20}, {3, 30}, {4, 60}}};
    struct clnorm_problem problem;
    struct clnorm_context *context;
    struct clnorm_plan *plan;
    char why[512];
    need(clnorm_problem_parse("forward nchw f32 ?x2", &problem, why, sizeof why), NULL, why);
    need(clnorm_context_create(NULL, &context, why, sizeof why), NULL, why);
    need(clnorm_plan_create(context, &problem, NULL, &plan), context, NULL);

    const cl_command_queue queue = clnorm_context_queue(context);
    const cl_mem m = clCreateBuffer(clnorm_context_opencl(context), CL_MEM_COPY_HOST_PTR,
                                    sizeof data, &data, NULL);
    const struct clnorm_buffer x = {m, 0}, mean = {m, sizeof data.x};
    const struct clnorm_buffer invstd = {m, sizeof data.x + sizeof data.mean};
    const struct clnorm_arguments arguments = {
        .size = sizeof arguments, .batch = 4, .x = x, .y = x, .mean = mean, .invstd = invstd};
    need(clnorm_plan_run(plan, queue, &arguments, 0, NULL, NULL), context, NULL);
    if (clEnqueueReadBuffer(queue, m, CL_TRUE, 0, sizeof data, &data, 0, NULL, NULL) != CL_SUCCESS)
        need(CLNORM_DEVICE_FAILED, NULL, "clEnqueueReadBuffer failed");

    for (int n = 0; n < 4; n++)
        printf("%8.4f %8.4f\n", (double)data.x[n][0], (double)data.x[n][1]);
    printf("mean %g %g\n", (double)data.mean[0], (double)data.mean[1]);
    clReleaseMemObject(m);
    clnorm_plan_release(plan);
    clnorm_context_release(context);
}
