#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "events.h"
#include "group.h"

/* ns */
static int64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- When an event completed ---- */

static void drop_time(struct clnorm__group_time *stamp)
{
    if (stamp && atomic_fetch_sub(&stamp->holders, 1) == 1)
        free(stamp);
}

static void CL_CALLBACK note_time(cl_event event, cl_int status, void *user)
{
    struct clnorm__group_time *const stamp = user;
    (void)event;
    (void)status;
    atomic_store(&stamp->at, clock_now());
    drop_time(stamp);
}

/* Waiting in turn would make a member that is done early look as slow as one before it. Where there
 * is no callback to be had, that is how it is. */
static struct clnorm__group_time *stamp_event(cl_event event)
{
    struct clnorm__group_time *const stamp = malloc(sizeof *stamp);
    if (!stamp)
        return NULL;
    atomic_init(&stamp->holders, 2);
    atomic_init(&stamp->at, 0);
    if (clSetEventCallback(event, CL_COMPLETE, note_time, stamp) != CL_SUCCESS)
        drop_time(stamp);
    return stamp;
}

/* The time; now where it is not known. */
static int64_t time_of(struct clnorm__group_time *stamp)
{
    const int64_t at = stamp ? atomic_load(&stamp->at) : 0;
    return at ? at : clock_now();
}

/* ---- Buffers ---- */

/* A plan's run on a share, while it is put together. */
struct start {
    struct clnorm__group_run *run;
    struct clnorm__task *task;
    enum clnorm__group_stage stage;
    struct clnorm_plan *plan;
    struct clnorm_problem problem; /* of the stage */
    struct clnorm_arguments arguments;
};

static struct clnorm__member *member_of(const struct clnorm__group_run *run,
                                        const struct clnorm__task *task)
{
    return &run->group->members[task->share->member];
}

/*
 * 1 when the plan takes the role's buffer from the scratch memory: what is read and written per
 * channel, so that a run that fails has not changed it; in halves what they give per channel and
 * what is merged, too.
 */
static int is_scratch(const struct start *s, unsigned role)
{
    const enum clnorm_use use = clnorm__buffer_use(&s->problem, role);
    const int halves = s->stage == CLNORM__STAGE_REDUCE || s->stage == CLNORM__STAGE_APPLY;
    const int gives = use == CLNORM_WRITTEN && !clnorm__buffer_is_tensor(role);
    return use == CLNORM_READ_WRITTEN || (halves && (gives || role == CLNORM__PARTS));
}

static int gives_scratch(const struct start *s, unsigned role)
{
    const enum clnorm_use use = clnorm__buffer_use(&s->problem, role);
    return is_scratch(s, role) && (use == CLNORM_READ || use == CLNORM_READ_WRITTEN);
}

/* What the second half gives per channel is the same from all members, but for rounding: that of
 * the first share counts. */
static int takes_scratch(const struct start *s, unsigned role)
{
    const enum clnorm_use use = clnorm__buffer_use(&s->problem, role);
    const int counts = s->stage != CLNORM__STAGE_APPLY || s->task->share == s->run->plan->shares;
    return counts && is_scratch(s, role) && (use == CLNORM_WRITTEN || use == CLNORM_READ_WRITTEN);
}

static void set_scratch(struct start *s)
{
    const cl_mem memory = s->run->plan->parts[s->task->share->member].scratch;
    for (unsigned role = 0; role < CLNORM__CONSTANTS; role++)
        if (is_scratch(s, role))
            clnorm__buffer_give(
                &s->arguments, role,
                (struct clnorm_buffer){memory, clnorm__group_place(s->run->plan, role)});
}

/* ---- Tensors ---- */

static enum clnorm_access_mode mode_of(enum clnorm_use use)
{
    return use == CLNORM_READ      ? CLNORM_ACCESS_READ
           : use == CLNORM_WRITTEN ? CLNORM_ACCESS_WRITE
                                   : CLNORM_ACCESS_READ_WRITE;
}

static int takes_tensor(const struct start *s, unsigned role)
{
    return clnorm__buffer_use(&s->problem, role) != CLNORM_UNUSED && !is_scratch(s, role);
}

/* How the plan uses a role's tensor, by whatever roles that has: one access serves them all. */
static int mode_of_tensor(const struct start *s, unsigned role)
{
    int mode = 0;
    for (unsigned other = 0; other < CLNORM__CONSTANTS; other++)
        if (s->run->tensor[other] == s->run->tensor[role] && takes_tensor(s, other))
            mode |= (int)mode_of(clnorm__buffer_use(&s->problem, other));
    return mode;
}

/* A tensor that cannot be had: because values are lost or in use, which the host sees too, or
 * because of the member. */
static enum clnorm_status fail_acquire(struct start *s, unsigned role, uint64_t first,
                                       uint64_t count, enum clnorm_status status,
                                       enum clnorm__blame *blame)
{
    struct clnorm_tensor *const tensor = s->run->tensor[role];
    struct clnorm_access access;
    char text[CLNORM__GROUP_TEXT_SIZE];
    clnorm_tensor_error(tensor, text, sizeof text);
    *blame = status == CLNORM_INVALID_ARGUMENT || status == CLNORM_UNSUPPORTED
                 ? CLNORM__BLAME_CALLER
                 : CLNORM__BLAME_MEMBER;
    if (*blame == CLNORM__BLAME_MEMBER && mode_of_tensor(s, role) != CLNORM_ACCESS_WRITE) {
        if (clnorm_tensor_acquire(tensor, NULL, first, count, CLNORM_ACCESS_READ, &access) !=
            CLNORM_OK)
            *blame = CLNORM__BLAME_CALLER;
        clnorm_access_release(&access, NULL);
    }
    return clnorm__group_fail(s->run->group, status, "'%s': %s", clnorm__buffer_name(role), text);
}

static enum clnorm_status acquire_tensors(struct start *s, enum clnorm__blame *blame)
{
    struct clnorm_context *const context = member_of(s->run, s->task)->context;
    for (unsigned role = 0; role < CLNORM__CONSTANTS; role++) {
        struct clnorm_tensor *const tensor = s->run->tensor[role];
        if (!tensor || !takes_tensor(s, role))
            continue;
        size_t at = 0;
        while (at < s->task->accesses && s->task->access[at].tensor != tensor)
            at++;
        struct clnorm_access *const access = &s->task->access[at];
        const int shared = clnorm__buffer_is_tensor(role);
        const uint64_t first = shared ? s->task->share->first : 0;
        const uint64_t count = shared ? s->task->share->count : clnorm_tensor_samples(tensor);
        if (at == s->task->accesses) {
            const enum clnorm_status status =
                clnorm_tensor_acquire(tensor, context, first, count,
                                      (enum clnorm_access_mode)mode_of_tensor(s, role), access);
            if (status != CLNORM_OK)
                return fail_acquire(s, role, first, count, status, blame);
            s->task->accesses++;
        }
        clnorm__buffer_give(&s->arguments, role, access->buffer);
    }
    return CLNORM_OK;
}

/* ---- The scratch memory on the host ---- */

static cl_int map_scratch(struct clnorm__group_run *run, size_t member, cl_bool wait,
                          cl_event *event)
{
    struct clnorm__group_part *const part = &run->plan->parts[member];
    const cl_command_queue queue = run->group->members[member].context->queue;
    cl_int code;
    part->mapped =
        clEnqueueMapBuffer(queue, part->scratch, wait, CL_MAP_READ | CL_MAP_WRITE, 0,
                           clnorm__group_scratch_bytes(run->plan), 0, NULL, event, &code);
    return code;
}

void clnorm__part_unmap(struct clnorm_group_plan *plan, size_t member)
{
    struct clnorm__group_part *const part = &plan->parts[member];
    const cl_command_queue queue = plan->group->members[member].context->queue;
    if (part->mapped)
        clEnqueueUnmapMemObject(queue, part->scratch, part->mapped, 0, NULL, NULL);
    part->mapped = NULL;
}

/* Copies between the mapped scratch memory and the host. Where a device has the host's memory,
 * mapping has copied nothing. */
static void copy_scratch(const struct start *s, int to_device)
{
    const struct clnorm_group_plan *const plan = s->run->plan;
    struct clnorm__group_part *const part = &plan->parts[s->task->share->member];
    const struct clnorm__extents extents = {s->run->extents.batch, s->run->extents.spatial, 1};
    const size_t share = (size_t)(s->task->share - plan->shares);
    uint64_t copied = 0;
    for (unsigned role = 0; role < CLNORM__CONSTANTS; role++) {
        if (to_device ? !gives_scratch(s, role) : !takes_scratch(s, role))
            continue;
        unsigned char *const mapped = part->mapped + clnorm__group_place(plan, role);
        const size_t bytes = (size_t)clnorm__buffer_bytes(&s->problem, role, &extents);
        if (to_device)
            memcpy(mapped, clnorm__group_given(plan, role), bytes);
        else
            memcpy(clnorm__group_taken(plan, role, share), mapped, bytes);
        copied += bytes;
    }
    if (member_of(s->run, s->task)->context->device.host_memory)
        return;
    part->report.bytes_to_device += to_device ? copied : 0;
    part->report.bytes_to_host += to_device ? 0 : copied;
}

static int any_role(const struct start *s, int (*is)(const struct start *s, unsigned role))
{
    unsigned role = 0;
    while (role < CLNORM__CONSTANTS && !is(s, role))
        role++;
    return role < CLNORM__CONSTANTS;
}

/* Fills the scratch memory with what the plan reads there. */
static enum clnorm_status give_scratch(struct start *s)
{
    const size_t member = s->task->share->member;
    struct clnorm__group_part *const part = &s->run->plan->parts[member];
    struct clnorm_context *const context = member_of(s->run, s->task)->context;
    if (!any_role(s, gives_scratch))
        return CLNORM_OK;
    cl_int code = part->mapped ? CL_SUCCESS : map_scratch(s->run, member, CL_TRUE, NULL);
    if (code != CL_SUCCESS)
        return clnorm__fail_call(context, code, "clEnqueueMapBuffer");
    copy_scratch(s, 1);
    code = clEnqueueUnmapMemObject(context->queue, part->scratch, part->mapped, 0, NULL, NULL);
    if (code != CL_SUCCESS)
        return clnorm__fail_call(context, code, "clEnqueueUnmapMemObject");
    part->mapped = NULL;
    return CLNORM_OK;
}

/* ---- A task's life ---- */

/* Ends a task that failed, when nothing of it can be running any more. */
static void drop(struct clnorm__group_run *run, struct clnorm__task *task)
{
    const size_t member = task->share->member;
    const cl_command_queue queue = run->group->members[member].context->queue;
    const char *call;
    if (task->started && clnorm__queue_wait(queue, &call) != CL_SUCCESS)
        clFinish(queue);
    clnorm__part_unmap(run->plan, member);
    for (size_t i = 0; i < task->accesses; i++)
        clnorm_access_abandon(&task->access[i], task->started);
    if (task->last)
        clReleaseEvent(task->last);
    drop_time(task->time);
    *task = (struct clnorm__task){.share = task->share};
}

static enum clnorm_status fail_member(struct clnorm__group_run *run,
                                      const struct clnorm__task *task, enum clnorm_status status)
{
    char text[CLNORM__GROUP_TEXT_SIZE];
    clnorm_context_error(member_of(run, task)->context, text, sizeof text);
    return clnorm__group_fail(run->group, status, "%s", text);
}

/* Enqueues; the task's last event is that of its results, on the host where they go there. */
static enum clnorm_status enqueue(struct start *s)
{
    struct clnorm__task *const task = s->task;
    struct clnorm_context *const context = member_of(s->run, task)->context;
    cl_event wait[CLNORM__CONSTANTS], ran;
    cl_uint waits = 0;
    for (size_t i = 0; i < task->accesses; i++)
        if (task->access[i].ready)
            wait[waits++] = task->access[i].ready;
    const int maps = any_role(s, takes_scratch);
    enum clnorm_status status = give_scratch(s);
    if (status != CLNORM_OK)
        return status;
    task->started = 1;
    status =
        clnorm_plan_run(s->plan, context->queue, &s->arguments, waits, wait, maps ? NULL : &ran);
    if (status != CLNORM_OK || !maps) {
        task->last = status == CLNORM_OK ? ran : NULL;
        return status;
    }
    const char *call = "clEnqueueMapBuffer";
    cl_int code = map_scratch(s->run, task->share->member, CL_FALSE, &task->last);
    if (code == CL_SUCCESS) {
        call = "clFlush";
        code = clFlush(context->queue);
    }
    return code == CL_SUCCESS ? CLNORM_OK : clnorm__fail_call(context, code, call);
}

/* What a stage's plan and its arguments are, but for the buffers. */
static struct start start_of(struct clnorm__group_run *run, struct clnorm__task *task,
                             enum clnorm__group_stage stage)
{
    struct start s = {.run = run, .task = task, .stage = stage, .arguments = run->numbers};
    clnorm__group_stage_problem(run->plan, stage, &s.problem);
    s.arguments.batch = (int64_t)task->share->count;
    if (stage == CLNORM__STAGE_APPLY)
        s.arguments.sets = 1;
    return s;
}

enum clnorm_status clnorm__task_start(struct clnorm__group_run *run, struct clnorm__task *task,
                                      enum clnorm__group_stage stage, enum clnorm__blame *blame)
{
    struct start s = start_of(run, task, stage);
    *blame = CLNORM__BLAME_MEMBER;
    task->began = clock_now();
    enum clnorm_status status =
        clnorm__group_stage_plan(run->plan, task->share->member, stage, &s.plan);
    if (status == CLNORM_OK) {
        set_scratch(&s);
        status = acquire_tensors(&s, blame);
        if (status == CLNORM_OK) {
            status = enqueue(&s);
            if (status != CLNORM_OK)
                fail_member(run, task, status);
        }
    } else {
        fail_member(run, task, status);
    }
    if (status == CLNORM_OK)
        task->time = stamp_event(task->last);
    else
        drop(run, task);
    return status;
}

enum clnorm_status clnorm__task_finish(struct clnorm__group_run *run, struct clnorm__task *task,
                                       enum clnorm__group_stage stage)
{
    const struct start s = start_of(run, task, stage);
    const size_t member = task->share->member;
    struct clnorm_group_report *const report = &run->plan->parts[member].report;
    const cl_int code = clWaitForEvents(1, &task->last);
    const int64_t ended = time_of(task->time);
    if (code != CL_SUCCESS) {
        const enum clnorm_status failed =
            clnorm__fail_call(member_of(run, task)->context, code, "clWaitForEvents");
        fail_member(run, task, failed);
        drop(run, task);
        return failed;
    }
    if (any_role(&s, takes_scratch))
        copy_scratch(&s, 0);
    report->seconds += 1e-9 * (double)(ended - task->began);
    enum clnorm_status status = CLNORM_OK;
    for (size_t i = 0; i < task->accesses; i++) {
        const enum clnorm_status released = clnorm_access_release(&task->access[i], NULL);
        status = status == CLNORM_OK ? released : status;
    }
    task->accesses = 0;
    if (status != CLNORM_OK)
        clnorm__group_fail(run->group, status, "a tensor could not be released after its use");
    clReleaseEvent(task->last);
    drop_time(task->time);
    *task = (struct clnorm__task){.share = task->share};
    return status;
}
