#include <stdlib.h>

#include "group.h"

/* clang-format off */
#define NONE CLNORM_OPERATION_COUNT
static const struct clnorm__group_halves halves_of[CLNORM_OPERATION_COUNT] = {
    [CLNORM_MOMENTS]         = {CLNORM__SET_MOMENTS, CLNORM_MOMENTS, NONE},
    [CLNORM_MERGE]           = {CLNORM__SET_NONE, NONE, NONE},
    [CLNORM_NORMALISE]       = {CLNORM__SET_MOMENTS, NONE, CLNORM_NORMALISE},
    [CLNORM_FORWARD]         = {CLNORM__SET_MOMENTS, CLNORM_MOMENTS, CLNORM_NORMALISE},
    [CLNORM_INFER]           = {CLNORM__SET_NONE, NONE, CLNORM_INFER},
    [CLNORM_BACKWARD_SUMS]   = {CLNORM__SET_SUMS, CLNORM_BACKWARD_SUMS, NONE},
    [CLNORM_INPUT_GRADIENT]  = {CLNORM__SET_SUMS, NONE, CLNORM_INPUT_GRADIENT},
    [CLNORM_BACKWARD]        = {CLNORM__SET_SUMS, CLNORM_BACKWARD_SUMS, CLNORM_INPUT_GRADIENT},
    /* dx does not depend on the sums: one pass gives it, and a share's dshift and dscale. */
    [CLNORM_BACKWARD_FROZEN] = {CLNORM__SET_SUMS, CLNORM_BACKWARD_FROZEN, NONE},
    [CLNORM_UPDATE]          = {CLNORM__SET_NONE, NONE, NONE},
};
#undef NONE
/* clang-format on */

/* What halves do as the whole does, and what is done once they are through. */
static const uint32_t shared = CLNORM_SCALE | CLNORM_SHIFT | CLNORM_ADD | CLNORM_RELU |
                               CLNORM_RUNNING | CLNORM_BIASED | CLNORM_RENORM;
static const uint32_t optimisers = CLNORM_SGD | CLNORM_ADAM;

size_t clnorm__group_set_bytes(const struct clnorm_group_plan *plan)
{
    static const size_t parameters[] = {
        [CLNORM__SET_NONE] = 0, [CLNORM__SET_MOMENTS] = 4, [CLNORM__SET_SUMS] = 2};
    return parameters[plan->halves->set] * (size_t)plan->problem.channels *
           clnorm_dtype_parameter_size(plan->problem.dtype);
}

size_t clnorm__group_room(const struct clnorm_group_plan *plan)
{
    return 4 * (size_t)plan->problem.channels * clnorm_dtype_parameter_size(plan->problem.dtype);
}

/* What a share gives, 4 arrays; what was merged, 4; what is read and written per channel, running
 * statistics or scale, shift and, for Adam, two moments of each. */
enum { ARRAYS = 4 + 4 + 6 };

size_t clnorm__group_place(const struct clnorm_group_plan *plan, unsigned role)
{
    static const unsigned arrays[CLNORM__CONSTANTS] = {
        [CLNORM__INVSTD] = 1,   [CLNORM__DSCALE] = 1,       [CLNORM__RENORM_R] = 2,
        [CLNORM__RENORM_D] = 3, [CLNORM__PARTS] = 4,        [CLNORM__SCALE] = 8,
        [CLNORM__SHIFT] = 9,    [CLNORM__RUNNING_MEAN] = 8, [CLNORM__RUNNING_VAR] = 9,
        [CLNORM__STATE] = 10};
    return arrays[role] * (clnorm__group_room(plan) / 4);
}

size_t clnorm__group_scratch_bytes(const struct clnorm_group_plan *plan)
{
    return ARRAYS * (clnorm__group_room(plan) / 4);
}

unsigned char *clnorm__group_given(const struct clnorm_group_plan *plan, unsigned role)
{
    return role == CLNORM__PARTS
               ? plan->merged
               : plan->before + clnorm__group_place(plan, role) - 2 * clnorm__group_room(plan);
}

unsigned char *clnorm__group_taken(const struct clnorm_group_plan *plan, unsigned role,
                                   size_t share)
{
    const size_t place = clnorm__group_place(plan, role), room = clnorm__group_room(plan);
    return place < room ? plan->sets + share * room + place : plan->after + (place - 2 * room);
}

int clnorm__group_stage_problem(const struct clnorm_group_plan *plan,
                                enum clnorm__group_stage stage, struct clnorm_problem *problem)
{
    *problem = plan->problem;
    if (stage == CLNORM__STAGE_WHOLE)
        return 1;
    const int updates = stage == CLNORM__STAGE_UPDATE;
    problem->batch = CLNORM_ANY;
    problem->operation = updates                         ? CLNORM_UPDATE
                         : stage == CLNORM__STAGE_REDUCE ? plan->halves->reduce
                                                         : plan->halves->apply;
    if (problem->operation == CLNORM_OPERATION_COUNT || (updates && !(problem->flags & optimisers)))
        return 0;
    problem->flags &= clnorm_operation_flags(problem->operation) & (updates ? ~0u : shared);
    return 1;
}

enum clnorm_status clnorm__group_stage_plan(struct clnorm_group_plan *plan, size_t member,
                                            enum clnorm__group_stage stage,
                                            struct clnorm_plan **made)
{
    struct clnorm_plan **const at = &plan->parts[member].plan[stage];
    struct clnorm_context *const context = plan->group->members[member].context;
    struct clnorm_problem problem;
    enum clnorm_status status = CLNORM_OK;
    clnorm__group_stage_problem(plan, stage, &problem);
    if (!*at)
        status = clnorm_plan_create(context, &problem, NULL, at);
    *made = *at;
    return status;
}

/* The plans that runs need, and the scratch memory, of a member. */
static enum clnorm_status create_part(struct clnorm_group_plan *plan, size_t member)
{
    static const enum clnorm__group_stage several[] = {CLNORM__STAGE_REDUCE, CLNORM__STAGE_APPLY,
                                                       CLNORM__STAGE_UPDATE},
                                          alone[] = {CLNORM__STAGE_WHOLE};
    const int is_alone = plan->group->count == 1;
    const enum clnorm__group_stage *const stages = is_alone ? alone : several;
    const size_t count = is_alone ? 1 : sizeof several / sizeof *several;
    struct clnorm_context *const context = plan->group->members[member].context;
    struct clnorm_problem problem;
    struct clnorm_plan *made;
    enum clnorm_status status = CLNORM_OK;
    for (size_t i = 0; i < count && status == CLNORM_OK; i++)
        if (clnorm__group_stage_problem(plan, stages[i], &problem))
            status = clnorm__group_stage_plan(plan, member, stages[i], &made);
    if (status != CLNORM_OK)
        return status;
    cl_int code;
    plan->parts[member].scratch =
        clCreateBuffer(context->opencl, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR,
                       clnorm__group_scratch_bytes(plan), NULL, &code);
    return code == CL_SUCCESS ? CLNORM_OK : clnorm__fail_call(context, code, "clCreateBuffer");
}

static enum clnorm_status fail_part(struct clnorm_group_plan *plan, size_t member,
                                    enum clnorm_status status)
{
    char text[CLNORM__GROUP_TEXT_SIZE];
    clnorm_context_error(plan->group->members[member].context, text, sizeof text);
    return clnorm__group_fail(plan->group, status, "member %zu: %s", member, text);
}

/* Host memory of a plan that knows its group and problem. */
static enum clnorm_status allocate(struct clnorm_group_plan *plan)
{
    const size_t count = plan->group->count, room = clnorm__group_room(plan);
    plan->parts = calloc(count, sizeof *plan->parts);
    plan->shares = calloc(count + 1, sizeof *plan->shares);
    plan->tasks = calloc(count + 1, sizeof *plan->tasks);
    plan->sets = calloc(count, room);
    plan->merged = calloc(1, room);
    plan->before = calloc(1, clnorm__group_scratch_bytes(plan) - 2 * room);
    plan->after = calloc(1, clnorm__group_scratch_bytes(plan) - 2 * room);
    const int made = clnorm_moments_create(plan->problem.channels, &plan->total) == CLNORM_OK &&
                     clnorm_moments_create(plan->problem.channels, &plan->more) == CLNORM_OK;
    return made && plan->parts && plan->shares && plan->tasks && plan->sets && plan->merged &&
                   plan->before && plan->after
               ? CLNORM_OK
               : clnorm__group_fail(plan->group, CLNORM_OUT_OF_MEMORY, "out of memory");
}

static enum clnorm_status check_problem(struct clnorm_group *group,
                                        const struct clnorm_problem *problem)
{
    char message[256];
    if (clnorm_problem_check(problem, message, sizeof message) != CLNORM_OK)
        return clnorm__group_fail(group, CLNORM_INVALID_ARGUMENT, "%s", message);
    const struct clnorm__group_halves *const halves = &halves_of[problem->operation];
    if (halves->reduce == CLNORM_OPERATION_COUNT && halves->apply == CLNORM_OPERATION_COUNT)
        return clnorm__group_fail(group, CLNORM_INVALID_ARGUMENT,
                                  "'%s' has no batch that members could share",
                                  clnorm_operation_name(problem->operation));
    if (problem->flags & ~(shared | optimisers))
        return clnorm__group_fail(group, CLNORM_INVALID_ARGUMENT,
                                  "groups cannot do all that the flags of '%s' ask for",
                                  clnorm_operation_name(problem->operation));
    return CLNORM_OK;
}

enum clnorm_status clnorm_group_plan_create(struct clnorm_group *group,
                                            const struct clnorm_problem *problem,
                                            struct clnorm_group_plan **plan)
{
    if (!group || !plan)
        return CLNORM_INVALID_ARGUMENT;
    enum clnorm_status status = check_problem(group, problem);
    if (status != CLNORM_OK)
        return status;
    struct clnorm_group_plan *const made = calloc(1, sizeof *made);
    if (!made)
        return clnorm__group_fail(group, CLNORM_OUT_OF_MEMORY, "out of memory");
    made->group = group;
    made->problem = *problem;
    made->halves = &halves_of[problem->operation];
    status = allocate(made);
    for (size_t i = 0; i < group->count && status == CLNORM_OK; i++) {
        status = create_part(made, i);
        if (status != CLNORM_OK)
            fail_part(made, i, status);
    }
    if (status == CLNORM_OK)
        *plan = made;
    else
        clnorm_group_plan_release(made);
    return status;
}

void clnorm_group_plan_release(struct clnorm_group_plan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; plan->parts && i < plan->group->count; i++) {
        struct clnorm__group_part *const part = &plan->parts[i];
        for (unsigned stage = 0; stage < CLNORM__STAGE_COUNT; stage++)
            clnorm_plan_release(part->plan[stage]);
        if (part->scratch && clnorm__check_process(plan->group->members[i].context) == CLNORM_OK)
            clReleaseMemObject(part->scratch);
    }
    free(plan->parts);
    free(plan->shares);
    free(plan->tasks);
    free(plan->sets);
    free(plan->merged);
    clnorm_moments_free(&plan->total);
    clnorm_moments_free(&plan->more);
    free(plan->before);
    free(plan->after);
    free(plan);
}
