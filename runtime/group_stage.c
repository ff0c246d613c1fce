#include <stdio.h>
#include <string.h>

#include "events.h"
#include "group.h"

/* ---- Members that fail ---- */

/* Takes a member out, for what the group's error says. A call that is refused for its arguments,
 * which were looked at before, is the device's fault, too. */
static void take_out(struct clnorm__group_run *run, size_t member, enum clnorm_status status)
{
    struct clnorm__member *const m = &run->group->members[member];
    const int odd = status == CLNORM_INVALID_ARGUMENT || status == CLNORM_UNSUPPORTED;
    m->left = 0;
    m->status = odd ? CLNORM_DEVICE_FAILED : status;
    snprintf(m->text, sizeof m->text, "%.*s", (int)sizeof m->text - 1, run->group->error);
    run->failures++;
}

/* The next samples from `first` on that only a context has, as [first, last). 0: there are none. */
static int find_owned(struct clnorm_tensor *tensor, const struct clnorm_context *context,
                      uint64_t *first, uint64_t *last)
{
    const uint64_t samples = clnorm_tensor_samples(tensor);
    uint64_t i = *first;
    while (i < samples && clnorm_tensor_state(tensor, context, i) != CLNORM_COPY_OWNER)
        i++;
    *first = i;
    while (i < samples && clnorm_tensor_state(tensor, context, i) == CLNORM_COPY_OWNER)
        i++;
    *last = i;
    return *first < *last;
}

/* Fetches what only a context has of a tensor; 0 when that does not work. */
static int fetch_owned(struct clnorm_tensor *tensor, const struct clnorm_context *context)
{
    struct clnorm_access access;
    uint64_t last;
    for (uint64_t first = 0; find_owned(tensor, context, &first, &last); first = last) {
        if (clnorm_tensor_acquire(tensor, NULL, first, last - first, CLNORM_ACCESS_READ, &access) !=
            CLNORM_OK)
            return 0;
        clnorm_access_release(&access, NULL);
    }
    return 1;
}

/* 1 when the problem needs the values that a role's tensor has before the run. */
static int is_read(const struct clnorm__group_run *run, unsigned role)
{
    for (unsigned other = 0; other < CLNORM__CONSTANTS; other++) {
        const enum clnorm_use use = clnorm__group_use(run, other);
        if (run->tensor[other] == run->tensor[role] &&
            (use == CLNORM_READ || use == CLNORM_READ_WRITTEN))
            return 1;
    }
    return 0;
}

/* All that a member did for the batch is to be done again. */
static void undo_shares(struct clnorm__group_run *run, size_t member)
{
    for (size_t i = 0; i < run->batch_shares; i++)
        if (run->plan->shares[i].member == member)
            run->plan->shares[i].state = CLNORM__SHARE_WAITING;
}

/* Saves what only a member that is out has, and forgets its copies. An input that cannot be saved
 * stays where it is: the device may come back. */
static enum clnorm_status leave(struct clnorm__group_run *run, size_t member)
{
    struct clnorm_context *const context = run->group->members[member].context;
    for (unsigned role = 0; role < CLNORM__CONSTANTS; role++) {
        struct clnorm_tensor *const tensor = run->tensor[role];
        if (!tensor || !clnorm__group_is_first(run, role))
            continue;
        const int saved = fetch_owned(tensor, context);
        if (!saved && is_read(run, role))
            return clnorm__group_fail(run->group, CLNORM_DEVICE_FAILED,
                                      "values of '%s' are only on member %zu, %s, which failed: %s",
                                      clnorm__buffer_name(role), member,
                                      context->device.device_name,
                                      run->group->members[member].text);
        if (!saved)
            undo_shares(run, member);
        /* The counters go, too: what moved in this run is kept as a start below 0. */
        const struct clnorm_tensor_statistics moved = clnorm_tensor_statistics(tensor, context);
        run->plan->parts[member].to_device -= moved.bytes_to_device;
        run->plan->parts[member].to_host -= moved.bytes_to_host;
        clnorm_tensor_forget(tensor, context, NULL);
    }
    return CLNORM_OK;
}

/* The next member that is not out, after one that is; the group's count when there is none. */
static size_t next_member(const struct clnorm_group *group, size_t member)
{
    for (size_t i = 1; i < group->count; i++) {
        const size_t next = (member + i) % group->count;
        if (group->members[next].status == CLNORM_OK)
            return next;
    }
    return group->count;
}

/* Hands shares that wait for a member that is out to others. */
static enum clnorm_status hand_over(struct clnorm__group_run *run)
{
    struct clnorm_group *const group = run->group;
    for (size_t i = 0; i < run->shares; i++) {
        struct clnorm__share *const share = &run->plan->shares[run->first + i];
        const struct clnorm__member *const member = &group->members[share->member];
        if (share->state != CLNORM__SHARE_WAITING || member->status == CLNORM_OK)
            continue;
        const size_t next = next_member(group, share->member);
        if (next == group->count)
            return clnorm__group_fail(
                group, member->status, "all members are out; member %zu, %s, failed: %s",
                share->member, member->context->device.device_name, member->text);
        share->member = next;
    }
    return CLNORM_OK;
}

/* ---- Rounds: at most one share a member ---- */

static int is_busy(const struct clnorm__group_run *run, size_t member)
{
    for (size_t i = 0; i < run->shares; i++)
        if (run->plan->shares[run->first + i].member == member &&
            run->plan->shares[run->first + i].state == CLNORM__SHARE_RUNNING)
            return 1;
    return 0;
}

/* Starts what waits. What the caller is to blame for is the status; members that fail are out. */
static enum clnorm_status start_round(struct clnorm__group_run *run, enum clnorm__group_stage stage)
{
    for (size_t i = 0; i < run->shares; i++) {
        struct clnorm__share *const share = &run->plan->shares[run->first + i];
        struct clnorm__task *const task = &run->plan->tasks[run->first + i];
        enum clnorm__blame blame;
        if (share->state != CLNORM__SHARE_WAITING || is_busy(run, share->member) ||
            run->group->members[share->member].status != CLNORM_OK)
            continue;
        *task = (struct clnorm__task){.share = share};
        const enum clnorm_status status = clnorm__task_start(run, task, stage, &blame);
        if (status == CLNORM_OK)
            share->state = CLNORM__SHARE_RUNNING;
        else if (blame == CLNORM__BLAME_CALLER)
            return status;
        else
            take_out(run, share->member, status);
    }
    return CLNORM_OK;
}

/* Ends what was started. */
static void finish_round(struct clnorm__group_run *run, enum clnorm__group_stage stage)
{
    for (size_t i = 0; i < run->shares; i++) {
        struct clnorm__share *const share = &run->plan->shares[run->first + i];
        if (share->state != CLNORM__SHARE_RUNNING)
            continue;
        const enum clnorm_status status =
            clnorm__task_finish(run, &run->plan->tasks[run->first + i], stage);
        share->state = status == CLNORM_OK ? CLNORM__SHARE_DONE : CLNORM__SHARE_WAITING;
        if (status != CLNORM_OK)
            take_out(run, share->member, status);
    }
}

/* After a round: what is to be done about members that failed in it. */
static enum clnorm_status recover(struct clnorm__group_run *run)
{
    enum clnorm_status status = CLNORM_OK;
    for (size_t i = 0; i < run->group->count && status == CLNORM_OK; i++) {
        struct clnorm__member *const member = &run->group->members[i];
        if (member->status != CLNORM_OK && !member->left)
            status = leave(run, i);
        member->left = member->status != CLNORM_OK;
    }
    return status;
}

int clnorm__group_lose_dead(struct clnorm__group_run *run)
{
    const int failures = run->failures;
    for (size_t i = 0; i < run->group->count; i++) {
        struct clnorm_context *const context = run->group->members[i].context;
        char text[CLNORM__GROUP_TEXT_SIZE];
        const char *call;
        if (run->group->members[i].status != CLNORM_OK)
            continue;
        const cl_int code = clnorm__queue_wait(context->queue, &call);
        if (code == CL_SUCCESS)
            continue;
        const enum clnorm_status status = clnorm__fail_call(context, code, call);
        clnorm_context_error(context, text, sizeof text);
        take_out(run, i, clnorm__group_fail(run->group, status, "%s", text));
    }
    return run->failures > failures && recover(run) == CLNORM_OK;
}

static size_t count_done(const struct clnorm__group_run *run)
{
    size_t done = 0;
    for (size_t i = 0; i < run->shares; i++)
        done += run->plan->shares[run->first + i].state == CLNORM__SHARE_DONE;
    return done;
}

enum clnorm_status clnorm__group_stage_run(struct clnorm__group_run *run,
                                           enum clnorm__group_stage stage)
{
    enum clnorm_status status = CLNORM_OK;
    while (status == CLNORM_OK && count_done(run) < run->shares) {
        status = hand_over(run);
        if (status != CLNORM_OK)
            break;
        status = start_round(run, stage);
        char error[sizeof run->group->error]; /* waiting may fail, too */
        memcpy(error, run->group->error, sizeof error);
        finish_round(run, stage);
        if (status != CLNORM_OK)
            clnorm__group_fail(run->group, status, "%s", error);
        else
            status = recover(run);
    }
    return status;
}
