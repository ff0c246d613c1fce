#include "plan.h"

#include <stdlib.h>

/* The caller's schedule, or what tuning found, or the library's choice for this device. */
static enum clnorm_status choose_schedule(struct clnorm_context *context,
                                          const struct clnorm_problem *problem,
                                          const struct clnorm_plan_options *options,
                                          struct clnorm_schedule *schedule)
{
    char message[256];
    if (!options || !options->schedule) {
        if (!clnorm__tuning_find(context->tuning, problem, &context->device.target, schedule, NULL))
            clnorm_schedule_choose(problem, &context->device.target, 0, schedule);
        return CLNORM_OK;
    }
    *schedule = *options->schedule;
    if (clnorm_schedule_check(schedule, problem, message, sizeof message) != CLNORM_OK)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT, "%s", message);
    const struct clnorm_target *const target = &context->device.target;
    if (!clnorm_schedule_fits(schedule, problem, target))
        return clnorm__fail(context, CLNORM_UNSUPPORTED,
                            "schedule: group %u is too large for %s: it takes %u work-items and "
                            "has %llu bytes of local memory",
                            (unsigned)schedule->group, context->device.device_name,
                            (unsigned)target->max_group, (unsigned long long)target->local_memory);
    return CLNORM_OK;
}

static enum clnorm_status check_request(struct clnorm_context *context,
                                        const struct clnorm_problem *problem,
                                        const struct clnorm_plan_options *options)
{
    char message[256];
    const enum clnorm_status status = clnorm__check_process(context);
    if (status != CLNORM_OK)
        return status;
    if (options && options->size != sizeof *options)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                            "options.size must be sizeof(struct clnorm_plan_options)");
    if (clnorm_problem_check(problem, message, sizeof message) != CLNORM_OK)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT, "%s", message);
    if (problem->dtype == CLNORM_F64 && !context->device.target.f64)
        return clnorm__fail(context, CLNORM_UNSUPPORTED,
                            "%s has no double precision (cl_khr_fp64): use f32",
                            context->device.device_name);
    return CLNORM_OK;
}

enum clnorm_status clnorm_plan_create(struct clnorm_context *context,
                                      const struct clnorm_problem *problem,
                                      const struct clnorm_plan_options *options,
                                      struct clnorm_plan **plan)
{
    if (!context || !plan)
        return CLNORM_INVALID_ARGUMENT;
    struct clnorm_schedule schedule;
    const struct clnorm__program *program;
    enum clnorm_status status = check_request(context, problem, options);
    if (status == CLNORM_OK)
        status = choose_schedule(context, problem, options, &schedule);
    if (status == CLNORM_OK)
        status = clnorm__program_get(context, problem, &schedule, &program);
    if (status != CLNORM_OK)
        return status;
    struct clnorm_plan *const made = calloc(1, sizeof *made);
    if (!made)
        return clnorm__fail(context, CLNORM_OUT_OF_MEMORY, "out of memory");
    made->context = context;
    made->program = program;
    status = clnorm__kernels_create(context, program, &made->kernels);
    if (status != CLNORM_OK) {
        free(made);
        return status;
    }
    *plan = made;
    return CLNORM_OK;
}

void clnorm_plan_release(struct clnorm_plan *plan)
{
    if (!plan)
        return;
    if (clnorm__check_process(plan->context) == CLNORM_OK)
        clnorm__kernels_release(&plan->kernels);
    free(plan);
}

const struct clnorm_problem *clnorm_plan_problem(const struct clnorm_plan *plan)
{
    return &plan->program->problem;
}

const struct clnorm_schedule *clnorm_plan_schedule(const struct clnorm_plan *plan)
{
    return &plan->program->schedule;
}

const struct clnorm_source *clnorm_plan_source(const struct clnorm_plan *plan)
{
    return &plan->program->source;
}

size_t clnorm_plan_workspace_size(const struct clnorm_plan *plan, int64_t batch, int64_t spatial)
{
    const struct clnorm_problem *const p = &plan->program->problem;
    const int64_t n = p->batch == CLNORM_ANY ? batch : p->batch;
    const int64_t s = p->spatial == CLNORM_ANY ? spatial : p->spatial;
    if (n < 0 || s < 0)
        return 0;
    return (size_t)clnorm_launches_plan(p, &plan->program->schedule, (uint64_t)n, (uint64_t)s)
        .workspace;
}
