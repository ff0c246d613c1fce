#include "events.h"

#include <stdlib.h>

cl_int clnorm__queue_wait(cl_command_queue queue, const char **call)
{
    cl_event last;
    *call = "clEnqueueMarkerWithWaitList";
    cl_int code = clEnqueueMarkerWithWaitList(queue, 0, NULL, &last);
    if (code != CL_SUCCESS)
        return code;
    *call = "clWaitForEvents";
    code = clWaitForEvents(1, &last);
    clReleaseEvent(last);
    return code;
}

/* ---- Stamps ---- */

struct clnorm__stamp *clnorm__stamp_new(cl_context opencl, int mute)
{
    struct clnorm__stamp *const stamp = calloc(1, sizeof *stamp);
    if (stamp)
        *stamp = (struct clnorm__stamp){.references = 1, .opencl = opencl, .mute = mute};
    return stamp;
}

struct clnorm__stamp *clnorm__stamp_keep(struct clnorm__stamp *stamp)
{
    stamp->references++;
    return stamp;
}

void clnorm__stamp_drop(struct clnorm__stamp *stamp)
{
    if (!stamp || --stamp->references > 0)
        return;
    if (stamp->event)
        clReleaseEvent(stamp->event);
    if (stamp->before)
        clReleaseEvent(stamp->before);
    free(stamp);
}

cl_int clnorm__stamp_status(const struct clnorm__stamp *stamp)
{
    cl_int status = CL_QUEUED;
    if (clGetEventInfo(stamp->event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status,
                       NULL) != CL_SUCCESS)
        return CL_QUEUED;
    return status;
}

cl_int clnorm__stamp_wait(const struct clnorm__stamp *stamp)
{
    const cl_int before = clnorm__stamp_status(stamp);
    if (before <= CL_COMPLETE)
        return before;
    const cl_int code = clWaitForEvents(1, &stamp->event);
    const cl_int after = clnorm__stamp_status(stamp);
    return after < CL_COMPLETE ? after : code;
}

int clnorm__stamps_reserve(struct clnorm__stamps *stamps, size_t more)
{
    if (stamps->capacity - stamps->count >= more)
        return 1;
    const size_t capacity = 2 * stamps->capacity + more;
    struct clnorm__stamp **const at =
        realloc(stamps->at, capacity * sizeof(struct clnorm__stamp *));
    if (!at)
        return 0;
    stamps->at = at;
    stamps->capacity = capacity;
    return 1;
}

void clnorm__stamps_add(struct clnorm__stamps *stamps, struct clnorm__stamp *stamp)
{
    for (size_t i = 0; i < stamps->count; i++)
        if (stamps->at[i] == stamp)
            return;
    stamps->at[stamps->count++] = clnorm__stamp_keep(stamp);
}

int clnorm__stamps_append(struct clnorm__stamps *stamps, const struct clnorm__stamps *more)
{
    if (!clnorm__stamps_reserve(stamps, more->count))
        return 0;
    for (size_t i = 0; i < more->count; i++)
        clnorm__stamps_add(stamps, more->at[i]);
    return 1;
}

int clnorm__stamps_same(const struct clnorm__stamps *a, const struct clnorm__stamps *b)
{
    size_t same = 0;
    while (same < a->count && same < b->count && a->at[same] == b->at[same])
        same++;
    return same == a->count && same == b->count;
}

void clnorm__stamps_prune(struct clnorm__stamps *stamps)
{
    size_t kept = 0;
    for (size_t i = 0; i < stamps->count; i++) {
        if (clnorm__stamp_status(stamps->at[i]) > CL_COMPLETE)
            stamps->at[kept++] = stamps->at[i];
        else
            clnorm__stamp_drop(stamps->at[i]);
    }
    stamps->count = kept;
}

void clnorm__stamps_drop_context(struct clnorm__stamps *stamps, cl_context opencl)
{
    size_t kept = 0;
    for (size_t i = 0; i < stamps->count; i++) {
        if (stamps->at[i]->opencl != opencl)
            stamps->at[kept++] = stamps->at[i];
        else
            clnorm__stamp_drop(stamps->at[i]);
    }
    stamps->count = kept;
}

void clnorm__stamps_clear(struct clnorm__stamps *stamps)
{
    while (stamps->count > 0)
        clnorm__stamp_drop(stamps->at[--stamps->count]);
}

void clnorm__stamps_free(struct clnorm__stamps *stamps)
{
    clnorm__stamps_clear(stamps);
    free(stamps->at);
    *stamps = (struct clnorm__stamps){0};
}

/* ---- Bridges ---- */

struct clnorm__bridge {
    struct clnorm__bridge *next;
    struct clnorm__bridges *bridges;
    cl_event from, user;      /* from: while it is not armed, and then kept by the stamp it is of */
    int needed;               /* passes a failure on */
    int mute;                 /* from is kept, and looked at */
    cl_int status;            /* the user event is to have; then it is crossed */
    int crossed, done, stuck; /* under the mutex: the time has come; the user event has its status;
                                 it could not be given it */
    int late;                 /* a callback may still come: not to be freed before the end */
};

void clnorm__bridges_open(struct clnorm__bridges *bridges)
{
    pthread_mutex_init(&bridges->mutex, NULL);
    pthread_cond_init(&bridges->ended, NULL);
    bridges->first = NULL;
}

/*
 * On a thread of a driver, so it does the least there is to do: no event is released here, as the
 * driver of the user event need not expect that beside what another thread does with it.
 */
static void CL_CALLBACK cross(cl_event from, cl_int status, void *user)
{
    struct clnorm__bridge *const bridge = user;
    struct clnorm__bridges *const bridges = bridge->bridges;
    (void)from;
    pthread_mutex_lock(&bridges->mutex);
    const int again = bridge->crossed;
    bridge->crossed = 1;
    pthread_mutex_unlock(&bridges->mutex);
    if (again)
        return;
    bridge->status = bridge->needed && status < 0 ? status : CL_COMPLETE;
    const cl_int code = clSetUserEventStatus(bridge->user, bridge->status);
    pthread_mutex_lock(&bridges->mutex);
    bridge->done = code == CL_SUCCESS;
    bridge->stuck = code != CL_SUCCESS;
    pthread_cond_signal(&bridges->ended);
    pthread_mutex_unlock(&bridges->mutex);
}

/* Frees those that are done, and returns those whose user event could not be had to complete.
 * Called with the mutex. */
static struct clnorm__bridge *reap(struct clnorm__bridges *bridges, int last)
{
    struct clnorm__bridge *stuck = NULL;
    for (struct clnorm__bridge **at = &bridges->first; *at;) {
        struct clnorm__bridge *const bridge = *at;
        if (!bridge->stuck && (!bridge->done || (bridge->late && !last))) {
            at = &bridge->next;
            continue;
        }
        *at = bridge->next;
        if (bridge->stuck) {
            bridge->stuck = 0;
            bridge->next = stuck;
            stuck = bridge;
            continue;
        }
        clReleaseEvent(bridge->user);
        if (bridge->mute)
            clReleaseEvent(bridge->from);
        free(bridge);
    }
    return stuck;
}

/* Tries those again, and the last time gives up. Without the mutex, as callbacks may follow. */
static void try_again(struct clnorm__bridges *bridges, struct clnorm__bridge *stuck, int last)
{
    while (stuck) {
        struct clnorm__bridge *const bridge = stuck;
        stuck = bridge->next;
        bridge->done = clSetUserEventStatus(bridge->user, bridge->status) == CL_SUCCESS || last;
        bridge->stuck = !bridge->done;
        pthread_mutex_lock(&bridges->mutex);
        bridge->next = bridges->first;
        bridges->first = bridge;
        pthread_mutex_unlock(&bridges->mutex);
    }
}

/* Crosses where the command has failed and no callback says so. */
static void look_at_mute(struct clnorm__bridges *bridges)
{
    for (struct clnorm__bridge *bridge = bridges->first; bridge; bridge = bridge->next) {
        const struct clnorm__stamp stamp = {.event = bridge->from};
        if (!bridge->mute || bridge->late)
            continue;
        const cl_int status = clnorm__stamp_status(&stamp);
        bridge->late = status < CL_COMPLETE;
        if (bridge->late)
            cross(bridge->from, status, bridge);
    }
}

void clnorm__bridges_reap(struct clnorm__bridges *bridges)
{
    look_at_mute(bridges);
    pthread_mutex_lock(&bridges->mutex);
    struct clnorm__bridge *const stuck = reap(bridges, 0);
    pthread_mutex_unlock(&bridges->mutex);
    try_again(bridges, stuck, 0);
}

void clnorm__bridges_close(struct clnorm__bridges *bridges)
{
    look_at_mute(bridges);
    pthread_mutex_lock(&bridges->mutex);
    while (bridges->first) {
        struct clnorm__bridge *const stuck = reap(bridges, 1);
        if (!stuck && bridges->first)
            pthread_cond_wait(&bridges->ended, &bridges->mutex);
        pthread_mutex_unlock(&bridges->mutex);
        try_again(bridges, stuck, 1);
        pthread_mutex_lock(&bridges->mutex);
    }
    pthread_mutex_unlock(&bridges->mutex);
    pthread_cond_destroy(&bridges->ended);
    pthread_mutex_destroy(&bridges->mutex);
}

/* ---- Wait lists ---- */

static int has_bridge_from(const struct clnorm__waits *waits, cl_event from, int needed)
{
    const struct clnorm__bridge *bridge = waits->unarmed;
    while (bridge && (bridge->from != from || bridge->needed < needed))
        bridge = bridge->next;
    return bridge != NULL;
}

static int has_event(const struct clnorm__waits *waits, cl_event event)
{
    cl_uint i = 0;
    while (i < waits->count && waits->list[i] != event)
        i++;
    return i < waits->count;
}

static int append(struct clnorm__waits *waits, cl_event event)
{
    if (waits->count % 8 == 0) {
        cl_event *const list = realloc(waits->list, (waits->count + 8) * sizeof(cl_event));
        if (!list)
            return 0;
        waits->list = list;
    }
    waits->list[waits->count++] = event;
    return 1;
}

static int append_bridge(struct clnorm__waits *waits, const struct clnorm__stamp *from, int needed)
{
    struct clnorm__bridge *const bridge = calloc(1, sizeof *bridge);
    if (!bridge)
        return 0;
    cl_int code;
    const cl_event user = clCreateUserEvent(waits->opencl, &code);
    if (code != CL_SUCCESS || !append(waits, user)) {
        if (code == CL_SUCCESS)
            clReleaseEvent(user);
        free(bridge);
        return 0;
    }
    *bridge = (struct clnorm__bridge){.next = waits->unarmed,
                                      .bridges = waits->bridges,
                                      .from = from->event,
                                      .user = user,
                                      .needed = needed,
                                      .mute = from->mute};
    waits->unarmed = bridge;
    return 1;
}

void clnorm__waits_add(struct clnorm__waits *waits, const struct clnorm__stamp *stamp, int needed)
{
    cl_int status = stamp ? clnorm__stamp_status(stamp) : CL_COMPLETE;
    if (status > CL_COMPLETE) {
        const int own = stamp->opencl == waits->opencl;
        if (own ? has_event(waits, stamp->event) || append(waits, stamp->event)
                : waits->bridged && (has_bridge_from(waits, stamp->event, needed) ||
                                     append_bridge(waits, stamp, needed)))
            return;
        status = clnorm__stamp_wait(stamp);
        if (!needed && status < 0 && clnorm__stamp_status(stamp) <= CL_COMPLETE)
            return; /* it has ended, and how does not matter */
        needed = 1;
    }
    if (needed && status < 0 && waits->code == CL_SUCCESS) {
        waits->code = status;
        waits->waiting_failed = clnorm__stamp_status(stamp) > CL_COMPLETE;
    }
}

void clnorm__waits_add_all(struct clnorm__waits *waits, const struct clnorm__stamps *stamps)
{
    for (size_t i = 0; i < stamps->count; i++)
        clnorm__waits_add(waits, stamps->at[i], 0);
}

/* Where no callback can be had, waits for the event, and completes the user event. What cannot even
 * be waited for must not be taken as done. */
static void cross_by_waiting(struct clnorm__bridge *bridge)
{
    const struct clnorm__stamp stamp = {.event = bridge->from};
    const cl_int code = clnorm__stamp_wait(&stamp);
    if (code < 0 && clnorm__stamp_status(&stamp) > CL_COMPLETE)
        bridge->needed = 1;
    cross(bridge->from, code, bridge);
}

void clnorm__waits_arm(struct clnorm__waits *waits)
{
    while (waits->unarmed) {
        struct clnorm__bridge *const bridge = waits->unarmed;
        waits->unarmed = bridge->next;
        bridge->mute = bridge->mute && clRetainEvent(bridge->from) == CL_SUCCESS;
        pthread_mutex_lock(&waits->bridges->mutex);
        bridge->next = waits->bridges->first;
        waits->bridges->first = bridge;
        pthread_mutex_unlock(&waits->bridges->mutex);
        if (clSetEventCallback(bridge->from, CL_COMPLETE, cross, bridge) != CL_SUCCESS)
            cross_by_waiting(bridge);
    }
}

void clnorm__waits_close(struct clnorm__waits *waits)
{
    while (waits->unarmed) {
        struct clnorm__bridge *const bridge = waits->unarmed;
        waits->unarmed = bridge->next;
        clReleaseEvent(bridge->user);
        free(bridge);
    }
    free(waits->list);
    waits->list = NULL;
    waits->count = 0;
}
