#include "checks.h"
#include "options.h"
#include "plan.h"

#include <stddef.h>
#include <stdlib.h>

/* What a plan is made of: the problem and schedule of its program. */
struct choice {
    struct clnorm_problem problem;
    struct clnorm_schedule schedule;
};

/* The caller's schedule; or the bundle's program, where it has one that serves, what tuning found,
 * the library's choice for this device. An adopted program is not for the bundle or tuning to
 * decide on. */
static enum clnorm_status choose(struct clnorm_context *context,
                                 const struct clnorm_problem *problem,
                                 const struct clnorm_plan_options *options, struct choice *choice)
{
    choice->problem = *problem;
    if (options->schedule) {
        choice->schedule = *options->schedule;
        if (options->schedule->bound > 0) /* one program for all that the bound holds */
            choice->problem.channels = (int64_t)options->schedule->bound;
        return clnorm__schedule_taken(context, problem, options->schedule);
    }
    const struct clnorm__manifest_program *const held =
        options->program ? NULL : clnorm__bundle_find(context->bundle, problem, NULL);
    struct clnorm__tuning *const tuning = options->program ? NULL : context->tuning;
    const struct clnorm_target *const target = &context->device.target;
    if (held)
        *choice = (struct choice){held->problem, held->schedule};
    else if (!clnorm__tuning_find(tuning, problem, target, &choice->schedule, NULL))
        clnorm_schedule_choose(problem, target, 0, &choice->schedule);
    return CLNORM_OK;
}

/* Sizes of struct clnorm_plan_options in earlier versions. */
static const size_t options_sizes[] = {offsetof(struct clnorm_plan_options, program), 0};

static enum clnorm_status check_request(struct clnorm_context *context,
                                        const struct clnorm_problem *problem,
                                        const struct clnorm_plan_options *given,
                                        struct clnorm_plan_options *options)
{
    char message[256];
    const enum clnorm_status status = clnorm__check_process(context);
    if (status != CLNORM_OK)
        return status;
    if (given && !clnorm__options_copy(options, sizeof *options, given, options_sizes))
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

/* The program and kernels of a plan that knows its context and problem. */
static enum clnorm_status fill(struct clnorm_plan *plan, const struct clnorm_plan_options *options)
{
    struct clnorm_context *const context = plan->context;
    struct choice choice;
    enum clnorm_status status = choose(context, &plan->problem, options, &choice);
    if (status == CLNORM_OK && options->program) {
        status = clnorm__program_adopt(context, &choice.problem, &choice.schedule, options->program,
                                       &plan->adopted);
        plan->program = plan->adopted;
    } else if (status == CLNORM_OK) {
        status = clnorm__program_get(context, &choice.problem, &choice.schedule, &plan->program);
    }
    return status == CLNORM_OK ? clnorm__kernels_create(context, plan->program, &plan->kernels)
                               : status;
}

enum clnorm_status clnorm_plan_create(struct clnorm_context *context,
                                      const struct clnorm_problem *problem,
                                      const struct clnorm_plan_options *options,
                                      struct clnorm_plan **plan)
{
    if (!context || !plan)
        return CLNORM_INVALID_ARGUMENT;
    struct clnorm_plan_options all = {.size = sizeof all};
    enum clnorm_status status = check_request(context, problem, options, &all);
    if (status != CLNORM_OK)
        return status;
    struct clnorm_plan *const made = calloc(1, sizeof *made);
    if (!made)
        return clnorm__fail(context, CLNORM_OUT_OF_MEMORY, "out of memory");
    made->context = context;
    made->problem = *problem;
    status = fill(made, &all);
    if (status == CLNORM_OK)
        *plan = made;
    else
        clnorm_plan_release(made);
    return status;
}

void clnorm_plan_release(struct clnorm_plan *plan)
{
    if (!plan)
        return;
    if (clnorm__check_process(plan->context) == CLNORM_OK) {
        clnorm__kernels_release(&plan->kernels);
        if (plan->adopted)
            clnorm__program_free(plan->adopted);
    }
    free(plan);
}

const struct clnorm_problem *clnorm_plan_problem(const struct clnorm_plan *plan)
{
    return &plan->problem;
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
    const struct clnorm_problem *const p = &plan->problem;
    const int64_t n = p->batch == CLNORM_ANY ? batch : p->batch;
    const int64_t s = p->spatial == CLNORM_ANY ? spatial : p->spatial;
    if (n < 0 || s < 0)
        return 0;
    return (size_t)clnorm_launches_plan(&plan->program->problem, &plan->program->schedule,
                                        (uint64_t)n, (uint64_t)s)
        .workspace;
}
