#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "checks.h"
#include "group.h"

/* ---- What the caller gave ---- */

static const size_t places[CLNORM__CONSTANTS] = {
#define AT(member) offsetof(struct clnorm_group_arguments, member)
    [CLNORM__X] = AT(x),
    [CLNORM__Y] = AT(y),
    [CLNORM__ADD] = AT(add),
    [CLNORM__DY] = AT(dy),
    [CLNORM__DX] = AT(dx),
    [CLNORM__DADD] = AT(dadd),
    [CLNORM__SCALE] = AT(scale),
    [CLNORM__SHIFT] = AT(shift),
    [CLNORM__DSCALE] = AT(dscale),
    [CLNORM__DSHIFT] = AT(dshift),
    [CLNORM__MEAN] = AT(mean),
    [CLNORM__INVSTD] = AT(invstd),
    [CLNORM__VAR] = AT(var),
    [CLNORM__RUNNING_MEAN] = AT(running_mean),
    [CLNORM__RUNNING_VAR] = AT(running_var),
    [CLNORM__RENORM_R] = AT(renorm_r),
    [CLNORM__RENORM_D] = AT(renorm_d),
    [CLNORM__MOMENTS] = AT(moments),
    [CLNORM__SUMS] = AT(sums),
    [CLNORM__PARTS] = AT(parts),
    [CLNORM__STATE] = AT(state),
#undef AT
};

enum clnorm_use clnorm__group_use(const struct clnorm__group_run *run, unsigned role)
{
    return clnorm__buffer_use(&run->plan->problem, role);
}

int clnorm__group_is_first(const struct clnorm__group_run *run, unsigned role)
{
    unsigned first = 0;
    while (run->tensor[first] != run->tensor[role])
        first++;
    return first == role;
}

static enum clnorm_status check_tensor(const struct clnorm__group_run *run, unsigned role)
{
    const struct clnorm_tensor *const tensor = run->tensor[role];
    const uint64_t bytes = clnorm__buffer_bytes(&run->plan->problem, role, &run->extents);
    const char *const name = clnorm__buffer_name(role);
    if (!tensor)
        return clnorm__group_fail(run->group, CLNORM_INVALID_ARGUMENT,
                                  "the operation needs the tensor '%s': it was not given", name);
    const uint64_t samples = clnorm_tensor_samples(tensor);
    const uint64_t has = samples * clnorm_tensor_sample_bytes(tensor);
    if (clnorm__buffer_is_tensor(role) && samples != run->extents.batch)
        return clnorm__group_fail(run->group, CLNORM_INVALID_ARGUMENT,
                                  "the tensor '%s' has %" PRIu64 " samples, the batch %" PRIu64,
                                  name, samples, run->extents.batch);
    if (has != bytes)
        return clnorm__group_fail(run->group, CLNORM_INVALID_ARGUMENT,
                                  "the tensor '%s' has %" PRIu64 " bytes instead of %" PRIu64, name,
                                  has, bytes);
    return CLNORM_OK;
}

/* One tensor in two roles: as for buffers, a tensor of the batch may be written in place. */
static enum clnorm_status check_sharing(const struct clnorm__group_run *run, unsigned a, unsigned b)
{
    const enum clnorm_use use_a = clnorm__group_use(run, a), use_b = clnorm__group_use(run, b);
    const int reads = (use_a == CLNORM_READ) + (use_b == CLNORM_READ);
    if (run->tensor[a] != run->tensor[b] || reads == 2)
        return CLNORM_OK;
    if (reads == 1 && clnorm__buffer_is_tensor(a) && clnorm__buffer_is_tensor(b))
        return CLNORM_OK;
    return clnorm__group_fail(run->group, CLNORM_INVALID_ARGUMENT,
                              "'%s' and '%s' are one tensor, and it is written: only a tensor of "
                              "the batch may be written in place of one that is read",
                              clnorm__buffer_name(a), clnorm__buffer_name(b));
}

static enum clnorm_status take_tensors(struct clnorm__group_run *run)
{
    enum clnorm_status status = CLNORM_OK;
    for (unsigned role = 0; role < CLNORM__CONSTANTS && status == CLNORM_OK; role++) {
        if (clnorm__group_use(run, role) == CLNORM_UNUSED)
            continue;
        memcpy(&run->tensor[role], (const char *)run->given + places[role],
               sizeof run->tensor[role]);
        status = check_tensor(run, role);
        for (unsigned other = 0; other < role && status == CLNORM_OK; other++)
            if (run->tensor[other])
                status = check_sharing(run, other, role);
    }
    return status;
}

/* Extents and numbers, as a plan would take them. */
static enum clnorm_status take_numbers(struct clnorm__group_run *run)
{
    const struct clnorm_group_arguments *const g = run->given;
    struct clnorm_context *const context = run->group->members[0].context;
    char text[CLNORM__GROUP_TEXT_SIZE];
    run->numbers = (struct clnorm_arguments){.size = sizeof run->numbers,
                                             .batch = g->batch,
                                             .spatial = g->spatial,
                                             .sets = g->sets,
                                             .epsilon = g->epsilon,
                                             .momentum = g->momentum,
                                             .count = g->count,
                                             .r_max = g->r_max,
                                             .d_max = g->d_max,
                                             .optimiser = g->optimiser};
    enum clnorm_status status = CLNORM_OK;
    for (size_t i = 0; i < run->group->count && status == CLNORM_OK; i++)
        status = clnorm__check_process(run->group->members[i].context);
    if (status == CLNORM_OK)
        status =
            clnorm__arguments_extents(context, &run->plan->problem, &run->numbers, &run->extents);
    if (status != CLNORM_OK) {
        clnorm_context_error(context, text, sizeof text);
        return clnorm__group_fail(run->group, status, "%s", text);
    }
    if (run->numbers.count == 0)
        run->numbers.count = (double)run->extents.batch * (double)run->extents.spatial;
    return CLNORM_OK;
}

/* ---- Shares ---- */

static enum clnorm_status take_shares(struct clnorm__group_run *run, uint64_t *sum)
{
    const uint64_t *const given = run->given->shares;
    for (size_t i = 0; i < run->group->count; i++) {
        struct clnorm_group_report *const report = &run->plan->parts[i].report;
        if (given)
            report->share = given[i];
        if (report->share > run->extents.batch - *sum)
            return clnorm__group_fail(run->group, CLNORM_INVALID_ARGUMENT,
                                      "the shares are more than the batch, %" PRIu64,
                                      run->extents.batch);
        *sum += report->share;
        if (report->share > 0 && run->group->members[i].status != CLNORM_OK)
            return clnorm__group_fail(run->group, CLNORM_INVALID_ARGUMENT,
                                      "member %zu has a share, but is out: %s", i,
                                      run->group->members[i].text);
    }
    return CLNORM_OK;
}

/* Who has how much, into the report. */
static enum clnorm_status cut(struct clnorm__group_run *run)
{
    uint64_t sum = 0;
    size_t live = 0;
    for (size_t i = 0; i < run->group->count; i++)
        live += run->group->members[i].status == CLNORM_OK;
    if (live == 0)
        return clnorm__group_fail(run->group, run->group->members[0].status,
                                  "all members are out: clnorm_group_restore lets them take part "
                                  "again; member 0 failed with: %s",
                                  run->group->members[0].text);
    if (!run->given->shares)
        clnorm__group_cut(run->plan, run->extents.batch);
    const enum clnorm_status status = take_shares(run, &sum);
    if (status == CLNORM_OK && sum != run->extents.batch)
        return clnorm__group_fail(run->group, CLNORM_INVALID_ARGUMENT,
                                  "the shares add up to %" PRIu64 ", the batch is %" PRIu64, sum,
                                  run->extents.batch);
    return status;
}

/* The shares that are not empty, to be worked on. */
static void cut_shares(struct clnorm__group_run *run)
{
    uint64_t first = 0;
    for (size_t i = 0; i < run->group->count; i++) {
        const uint64_t count = run->plan->parts[i].report.share;
        if (count > 0)
            run->plan->shares[run->batch_shares++] =
                (struct clnorm__share){first, count, i, CLNORM__SHARE_WAITING};
        first += count;
    }
    run->shares = run->batch_shares;
}

/* Who does what is for one member: the first with a share, or, without any, the first. */
static size_t leader(const struct clnorm__group_run *run)
{
    const struct clnorm_group *const group = run->group;
    const size_t first = run->plan->shares[0].member;
    size_t member = 0;
    if (run->batch_shares > 0 && group->members[first].status == CLNORM_OK)
        return first;
    while (group->members[member].status != CLNORM_OK && member + 1 < group->count)
        member++;
    return member;
}

/* One share of `count` samples, in place of those of the batch. */
static void join_shares(struct clnorm__group_run *run, uint64_t count)
{
    run->plan->shares[0] = (struct clnorm__share){0, count, leader(run), CLNORM__SHARE_WAITING};
    run->shares = run->batch_shares = 1;
}

/* ---- The way of a run ---- */

static enum clnorm_status run_whole(struct clnorm__group_run *run)
{
    join_shares(run, run->extents.batch);
    run->last = CLNORM__STAGE_WHOLE;
    enum clnorm_status status = clnorm__group_keep(run);
    if (status == CLNORM_OK)
        status = clnorm__group_stage_run(run, CLNORM__STAGE_WHOLE);
    return status == CLNORM_OK ? clnorm__group_write_once(run, CLNORM__STAGE_WHOLE) : status;
}

/* All shares of the batch, and one of no samples where there are none: what there is per channel is
 * wanted all the same. */
static enum clnorm_status run_second_half(struct clnorm__group_run *run)
{
    if (run->batch_shares == 0)
        join_shares(run, 0);
    for (size_t i = 0; i < run->batch_shares; i++)
        run->plan->shares[i].state = CLNORM__SHARE_WAITING;
    return clnorm__group_stage_run(run, CLNORM__STAGE_APPLY);
}

/* The optimiser's step reads dscale and dshift from their tensors. */
static enum clnorm_status run_update(struct clnorm__group_run *run)
{
    const size_t place = run->group->count;
    struct clnorm_problem update;
    if (!clnorm__group_stage_problem(run->plan, CLNORM__STAGE_UPDATE, &update))
        return CLNORM_OK;
    run->plan->shares[place] = (struct clnorm__share){0, 1, leader(run), CLNORM__SHARE_WAITING};
    run->first = place;
    run->shares = 1;
    const enum clnorm_status status = clnorm__group_stage_run(run, CLNORM__STAGE_UPDATE);
    run->first = 0;
    run->shares = run->batch_shares;
    return status == CLNORM_OK ? clnorm__group_write_once(run, CLNORM__STAGE_UPDATE) : status;
}

static enum clnorm_status run_halves(struct clnorm__group_run *run)
{
    const int applies = run->plan->halves->apply != CLNORM_OPERATION_COUNT;
    run->last = applies ? CLNORM__STAGE_APPLY : CLNORM__STAGE_REDUCE;
    enum clnorm_status status = clnorm__group_keep(run);
    if (status == CLNORM_OK && run->plan->halves->reduce != CLNORM_OPERATION_COUNT)
        status = clnorm__group_stage_run(run, CLNORM__STAGE_REDUCE);
    if (status == CLNORM_OK)
        status = clnorm__group_merge(run);
    if (status == CLNORM_OK && applies)
        status = run_second_half(run);
    if (status == CLNORM_OK)
        status = clnorm__group_write_once(run, CLNORM__STAGE_APPLY);
    return status == CLNORM_OK ? run_update(run) : status;
}

static void count_done(struct clnorm__group_run *run)
{
    for (size_t i = 0; i < run->batch_shares; i++) {
        const struct clnorm__share *const share = &run->plan->shares[i];
        if (share->state == CLNORM__SHARE_DONE)
            run->plan->parts[share->member].report.done += share->count;
    }
}

/* ---- Reports ---- */

/* Bytes of tensors that a member moved since they were made. */
static void read_bytes(const struct clnorm__group_run *run, size_t member, uint64_t *to_device,
                       uint64_t *to_host)
{
    const struct clnorm_context *const context = run->group->members[member].context;
    *to_device = *to_host = 0;
    for (unsigned role = 0; role < CLNORM__CONSTANTS; role++) {
        if (!run->tensor[role] || !clnorm__group_is_first(run, role))
            continue;
        const struct clnorm_tensor_statistics s =
            clnorm_tensor_statistics(run->tensor[role], context);
        *to_device += s.bytes_to_device;
        *to_host += s.bytes_to_host;
    }
}

static void open_reports(struct clnorm__group_run *run)
{
    for (size_t i = 0; i < run->group->count; i++) {
        struct clnorm__group_part *const part = &run->plan->parts[i];
        part->report = (struct clnorm_group_report){0};
        read_bytes(run, i, &part->to_device, &part->to_host);
    }
}

static void close_reports(struct clnorm__group_run *run, struct clnorm_group_report *reports)
{
    for (size_t i = 0; i < run->group->count; i++) {
        struct clnorm__group_part *const part = &run->plan->parts[i];
        struct clnorm_group_report *const report = &part->report;
        const struct clnorm__member *const member = &run->group->members[i];
        uint64_t to_device, to_host;
        clnorm__part_unmap(run->plan, i);
        read_bytes(run, i, &to_device, &to_host);
        report->bytes_to_device += to_device - part->to_device;
        report->bytes_to_host += to_host - part->to_host;
        report->status = member->status;
        snprintf(report->text, sizeof report->text, "%.*s", (int)sizeof report->text - 1,
                 member->text);
        if (reports)
            reports[i] = *report;
    }
}

enum clnorm_status clnorm_group_run(struct clnorm_group_plan *plan,
                                    const struct clnorm_group_arguments *arguments,
                                    struct clnorm_group_report *report)
{
    if (!plan)
        return CLNORM_INVALID_ARGUMENT;
    struct clnorm__group_run run = {.plan = plan, .group = plan->group, .given = arguments};
    if (!arguments || arguments->size != sizeof *arguments)
        return clnorm__group_fail(plan->group, CLNORM_INVALID_ARGUMENT,
                                  "arguments.size must be sizeof(struct clnorm_group_arguments)");
    enum clnorm_status status = take_numbers(&run);
    if (status == CLNORM_OK)
        status = take_tensors(&run);
    if (status != CLNORM_OK)
        return status;
    open_reports(&run);
    status = cut(&run);
    if (status == CLNORM_OK) {
        cut_shares(&run);
        const int is_whole = run.batch_shares <= 1 || run.extents.spatial == 0;
        status = is_whole && !arguments->exchange ? run_whole(&run) : run_halves(&run);
        count_done(&run);
    }
    close_reports(&run, report);
    if (status == CLNORM_OK && run.failures == 0)
        clnorm__group_learn(plan);
    return status;
}
