#include <string.h>

#include "group.h"

/* A tensor per channel on the host, all of it. */
static enum clnorm_status try_host(struct clnorm__group_run *run, unsigned role,
                                   enum clnorm_access_mode mode, struct clnorm_access *access)
{
    struct clnorm_tensor *const tensor = run->tensor[role];
    char text[CLNORM__GROUP_TEXT_SIZE];
    const enum clnorm_status status =
        clnorm_tensor_acquire(tensor, NULL, 0, clnorm_tensor_samples(tensor), mode, access);
    if (status == CLNORM_OK)
        return CLNORM_OK;
    clnorm_tensor_error(tensor, text, sizeof text);
    return clnorm__group_fail(run->group, status, "'%s' on the host: %s", clnorm__buffer_name(role),
                              text);
}

/* What fails on the host may be the fault of a device that had the tensor: without it, once more. */
static enum clnorm_status open_host(struct clnorm__group_run *run, unsigned role,
                                    enum clnorm_access_mode mode, struct clnorm_access *access)
{
    enum clnorm_status status;
    do
        status = try_host(run, role, mode, access);
    while (status != CLNORM_OK && status != CLNORM_INVALID_ARGUMENT &&
           clnorm__group_lose_dead(run));
    return status;
}

static size_t bytes_of(const struct clnorm__group_run *run, unsigned role)
{
    return (size_t)clnorm__buffer_bytes(&run->plan->problem, role, &run->extents);
}

/* ---- What is read and written per channel ---- */

enum clnorm_status clnorm__group_keep(struct clnorm__group_run *run)
{
    for (unsigned role = 0; role < CLNORM__CONSTANTS; role++) {
        struct clnorm_access access;
        if (clnorm__group_use(run, role) != CLNORM_READ_WRITTEN)
            continue;
        const enum clnorm_status status = open_host(run, role, CLNORM_ACCESS_READ, &access);
        if (status != CLNORM_OK)
            return status;
        memcpy(clnorm__group_given(run->plan, role), access.host, bytes_of(run, role));
        clnorm_access_release(&access, NULL);
    }
    return CLNORM_OK;
}

/* ---- The merged set ---- */

/* Sets that lie `stride` bytes apart, merged in this order. */
struct sets {
    const unsigned char *first;
    size_t count, stride;
};

static void merge_moments(struct clnorm_group_plan *plan, const struct sets *sets)
{
    const enum clnorm_dtype dtype = plan->problem.dtype;
    memset(plan->merged, 0, clnorm__group_room(plan));
    clnorm_moments_unpack(&plan->total, dtype, plan->merged);
    for (size_t i = 0; i < sets->count; i++) {
        clnorm_moments_unpack(&plan->more, dtype, sets->first + i * sets->stride);
        clnorm_moments_merge(&plan->total, &plan->more);
    }
    clnorm_moments_pack(&plan->total, dtype, plan->merged);
}

/* Sums of f32 are added up in f64. */
static void merge_sums(struct clnorm_group_plan *plan, const struct sets *sets)
{
    const int f64 = plan->problem.dtype == CLNORM_F64;
    const size_t size = clnorm_dtype_parameter_size(plan->problem.dtype);
    for (size_t at = 0; at < clnorm__group_set_bytes(plan); at += size) {
        double sum = 0, wide = 0;
        float narrow = 0;
        for (size_t i = 0; i < sets->count; i++) {
            memcpy(f64 ? (void *)&wide : (void *)&narrow, sets->first + i * sets->stride + at,
                   size);
            sum += f64 ? wide : (double)narrow;
        }
        narrow = (float)sum;
        memcpy(plan->merged + at, f64 ? (const void *)&sum : (const void *)&narrow, size);
    }
}

static void merge(struct clnorm_group_plan *plan, const struct sets *sets)
{
    if (plan->halves->set == CLNORM__SET_MOMENTS)
        merge_moments(plan, sets);
    else
        merge_sums(plan, sets);
}

static enum clnorm_status merge_given(struct clnorm__group_run *run)
{
    struct clnorm_access access;
    const enum clnorm_status status = open_host(run, CLNORM__PARTS, CLNORM_ACCESS_READ, &access);
    if (status != CLNORM_OK)
        return status;
    const struct sets sets = {access.host, (size_t)run->extents.sets,
                              clnorm__group_set_bytes(run->plan)};
    merge(run->plan, &sets);
    clnorm_access_release(&access, NULL);
    return CLNORM_OK;
}

enum clnorm_status clnorm__group_merge(struct clnorm__group_run *run)
{
    struct clnorm_group_plan *const plan = run->plan;
    const struct sets sets = {plan->sets, run->batch_shares, clnorm__group_room(plan)};
    enum clnorm_status status = CLNORM_OK;
    if (plan->halves->set == CLNORM__SET_NONE)
        return CLNORM_OK;
    if (plan->halves->reduce == CLNORM_OPERATION_COUNT)
        status = merge_given(run);
    else
        merge(plan, &sets);
    if (status != CLNORM_OK || !run->given->exchange)
        return status;
    status = run->given->exchange(run->given->user, plan->merged, clnorm__group_set_bytes(plan));
    return status == CLNORM_OK
               ? status
               : clnorm__group_fail(run->group, status, "arguments.exchange returned '%s'",
                                    clnorm_status_text(status));
}

/* ---- What there is once per channel ---- */

/* A role's values after a stage; NULL: it has none. */
static const unsigned char *result(const struct clnorm__group_run *run, unsigned role,
                                   enum clnorm__group_stage stage)
{
    const struct clnorm_group_plan *const plan = run->plan;
    struct clnorm_problem problem;
    const int exists = clnorm__group_stage_problem(plan, stage, &problem);
    const int is_output =
        clnorm__group_use(run, role) == CLNORM_WRITTEN && !clnorm__buffer_is_tensor(role);
    if (exists && clnorm__buffer_use(&problem, role) == CLNORM_READ_WRITTEN)
        return clnorm__group_taken(plan, role, 0);
    if (stage != CLNORM__STAGE_APPLY || !is_output)
        return NULL;
    return exists ? clnorm__group_taken(plan, role, 0)
                  : plan->merged + clnorm__group_place(plan, role);
}

/* Acquires the tensors of all results, or none. */
static enum clnorm_status open_results(struct clnorm__group_run *run,
                                       enum clnorm__group_stage stage,
                                       struct clnorm_access access[CLNORM__CONSTANTS])
{
    enum clnorm_status status = CLNORM_OK;
    unsigned role = 0;
    for (; role < CLNORM__CONSTANTS && status == CLNORM_OK; role++)
        if (result(run, role, stage))
            status = try_host(run, role, CLNORM_ACCESS_WRITE, &access[role]);
    while (status != CLNORM_OK && role-- > 0)
        clnorm_access_abandon(&access[role], 0);
    return status;
}

enum clnorm_status clnorm__group_write_once(struct clnorm__group_run *run,
                                            enum clnorm__group_stage stage)
{
    struct clnorm_access access[CLNORM__CONSTANTS] = {{.first = 0}};
    enum clnorm_status status;
    do {
        /* What a member had done and took with it, while what it depends on is as it was. */
        status = clnorm__group_stage_run(run, run->last);
        if (status == CLNORM_OK)
            status = open_results(run, stage, access);
    } while (status != CLNORM_OK && status != CLNORM_INVALID_ARGUMENT &&
             clnorm__group_lose_dead(run));
    for (unsigned role = 0; role < CLNORM__CONSTANTS && status == CLNORM_OK; role++) {
        const unsigned char *const values = result(run, role, stage);
        if (!values)
            continue;
        memcpy(access[role].host, values, bytes_of(run, role));
        clnorm_access_release(&access[role], NULL);
    }
    return status;
}
