#include "batch.h"

/* A pass is a plan, under a name that hides it. */
static struct clnorm_plan *plan_of(const struct pass *pass)
{
    return (struct clnorm_plan *)(uintptr_t)pass;
}

struct pass *batch_pass(const struct device *device, const char *problem)
{
    return (struct pass *)device_plan(device, problem);
}

void batch_pass_run(const struct device *device, struct pass *pass,
                    const struct clnorm_arguments *arguments)
{
    device_run_plan(device, plan_of(pass), arguments);
}

void batch_pass_release(struct pass *pass)
{
    clnorm_plan_release(plan_of(pass));
}

size_t batch_pass_workspace(const struct pass *pass, size_t rows)
{
    return clnorm_plan_workspace_size(plan_of(pass), (int64_t)rows, 1);
}

struct part batch_part(const struct device *device, size_t rows)
{
    (void)device;
    return (struct part){0, rows};
}

void batch_sum(const struct device *device, cl_float *values, size_t count)
{
    (void)device;
    (void)values;
    (void)count;
}

/* The parameters themselves take the step: nothing is left to be done. */
struct step batch_step_begin(const struct device *device, cl_mem parameters, size_t count,
                             double rate)
{
    (void)device;
    (void)count;
    return (struct step){parameters, (float)-rate};
}

void batch_step_end(const struct device *device, struct step step, cl_mem parameters, size_t count,
                    double rate)
{
    (void)device;
    (void)step;
    (void)parameters;
    (void)count;
    (void)rate;
}
