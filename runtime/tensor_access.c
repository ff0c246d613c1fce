#include "tensor.h"

#include <stdlib.h>

/* ---- What all calls on a range begin and end with ---- */

enum clnorm_status clnorm__tensor_enter(struct clnorm_tensor *tensor,
                                        struct clnorm_context *context, uint64_t first,
                                        uint64_t count)
{
    if (first > tensor->samples || count > tensor->samples - first)
        return clnorm__tensor_fail(
            tensor, CLNORM_INVALID_ARGUMENT,
            "samples from %llu on, %llu of them, are not all in a tensor of %llu",
            (unsigned long long)first, (unsigned long long)count,
            (unsigned long long)tensor->samples);
    if (!clnorm__process_is_own(&tensor->process) ||
        (context && clnorm__check_process(context) != CLNORM_OK))
        return clnorm__tensor_fail(tensor, CLNORM_UNSUPPORTED,
                                   "this process was forked after the tensor was made, and OpenCL "
                                   "does not survive fork: make tensors in the child");
    pthread_mutex_lock(&tensor->mutex);
    clnorm__bridges_reap(&tensor->bridges);
    return CLNORM_OK;
}

void clnorm__tensor_leave(struct clnorm_tensor *tensor)
{
    clnorm__pieces_merge(tensor);
    pthread_mutex_unlock(&tensor->mutex);
}

static int is_end(const struct clnorm__piece *piece, uint64_t end)
{
    return !piece || piece->first >= end;
}

/* ---- Acquiring ---- */

/* Moves what the range lacks at a place that has memory for it. */
static enum clnorm_status bring_range(struct clnorm_tensor *tensor, struct clnorm__place *place,
                                      struct clnorm__piece *piece, uint64_t end)
{
    int moved = 0;
    enum clnorm_status status = CLNORM_OK;
    for (; !is_end(piece, end) && status == CLNORM_OK; piece = piece->next)
        status = clnorm__piece_bring(tensor, piece, place, &moved);
    if (status == CLNORM_OK)
        *(moved ? &place->statistics.misses : &place->statistics.hits) += 1;
    return status;
}

enum clnorm_status clnorm__tensor_provide(struct clnorm_tensor *tensor,
                                          struct clnorm_context *context, uint64_t first,
                                          uint64_t count, int reading, struct clnorm__place **place,
                                          struct clnorm__piece **piece)
{
    enum clnorm_status status = CLNORM_OK;
    *place = &tensor->host_place;
    if (context)
        status = clnorm__place_open(tensor, context, place);
    if (status == CLNORM_OK)
        status = clnorm__pieces_cut(tensor, first, count, piece);
    if (status == CLNORM_OK && context)
        status = clnorm__place_provide(tensor, *place, first, count);
    if (status == CLNORM_OK && reading)
        status = bring_range(tensor, *place, *piece, first + count);
    else if (status == CLNORM_OK)
        (*place)->statistics.hits++;
    return status;
}

/* What the commands of an access must wait for: who brings the samples, and for writing all who use
 * their memory. */
static enum clnorm_status make_ready(struct clnorm_tensor *tensor,
                                     const struct clnorm__place *place, struct clnorm__piece *piece,
                                     uint64_t end, unsigned mode, cl_event *ready)
{
    struct clnorm__command command;
    enum clnorm_status status = clnorm__command_begin(&command, tensor, place);
    if (status != CLNORM_OK)
        return status;
    for (; !is_end(piece, end); piece = piece->next) {
        if (mode & CLNORM_ACCESS_READ)
            clnorm__waits_add(&command.waits, clnorm__piece_copy(piece, place)->ready, 1);
        if (mode & CLNORM_ACCESS_WRITE)
            clnorm__waits_add_all(&command.waits, clnorm__piece_users(piece, place));
    }
    status = clnorm__command_join(&command, ready);
    clnorm__command_close(&command);
    return status;
}

static enum clnorm_status acquire_in_context(struct clnorm_tensor *tensor,
                                             struct clnorm__hold *hold, struct clnorm__piece *piece,
                                             struct clnorm_access *access)
{
    const uint64_t end = hold->first + hold->count;
    access->buffer = clnorm__place_buffer(tensor, hold->place, hold->first);
    return make_ready(tensor, hold->place, piece, end, hold->mode, &access->ready);
}

/* Whether what was to come to the host did. */
static enum clnorm_status check_arrived(struct clnorm_tensor *tensor,
                                        const struct clnorm__hold *hold)
{
    struct clnorm__piece *piece = clnorm__pieces_find(tensor, hold->first);
    for (; !is_end(piece, hold->first + hold->count); piece = piece->next) {
        clnorm__piece_settle(tensor, piece);
        if (!clnorm__piece_is_valid(piece, hold->place))
            return clnorm__tensor_fail(
                tensor, CLNORM_DEVICE_FAILED,
                "samples %llu to %llu did not come to the host: the command that wrote or moved "
                "them failed",
                (unsigned long long)piece->first,
                (unsigned long long)(piece->first + piece->count - 1));
    }
    return CLNORM_OK;
}

/* Waits, without the mutex, for what an access on the host must wait for; the hold is in force. */
static enum clnorm_status acquire_on_host(struct clnorm_tensor *tensor, struct clnorm__hold *hold,
                                          struct clnorm__piece *piece, struct clnorm_access *access)
{
    const uint64_t end = hold->first + hold->count;
    struct clnorm__stamps waits = {0};
    int listed = 1;
    for (struct clnorm__piece *p = piece; !is_end(p, end) && listed; p = p->next) {
        struct clnorm__stamp *const ready = p->copies[0].ready;
        if (hold->mode & CLNORM_ACCESS_WRITE)
            listed = clnorm__stamps_append(&waits, &p->copies[0].users);
        if (listed && hold->mode & CLNORM_ACCESS_READ && ready) {
            listed = clnorm__stamps_reserve(&waits, 1);
            if (listed)
                clnorm__stamps_add(&waits, ready);
        }
    }
    cl_int code = CL_SUCCESS;
    pthread_mutex_unlock(&tensor->mutex);
    for (size_t i = 0; i < waits.count; i++) {
        const cl_int waited = clnorm__stamp_wait(waits.at[i]);
        if (waited != CL_SUCCESS && clnorm__stamp_status(waits.at[i]) > CL_COMPLETE)
            code = waited; /* it may still be running */
    }
    pthread_mutex_lock(&tensor->mutex);
    clnorm__stamps_free(&waits);
    if (!listed)
        return clnorm__tensor_fail(tensor, CLNORM_OUT_OF_MEMORY, "out of memory");
    if (code != CL_SUCCESS)
        return clnorm__tensor_fail_call(tensor, hold->place, code, "clWaitForEvents");
    access->host = tensor->host + hold->first * tensor->sample_bytes;
    return hold->mode & CLNORM_ACCESS_READ ? check_arrived(tensor, hold) : CLNORM_OK;
}

static enum clnorm_status acquire(struct clnorm_tensor *tensor, struct clnorm_context *context,
                                  struct clnorm__hold *hold, struct clnorm_access *access)
{
    const uint64_t first = hold->first, count = hold->count;
    struct clnorm__piece *piece;
    const struct clnorm__hold *const excludes =
        clnorm__hold_find(tensor, NULL, first, count, !(hold->mode & CLNORM_ACCESS_WRITE));
    if (excludes)
        return clnorm__hold_refuse(tensor, excludes);
    enum clnorm_status status =
        clnorm__tensor_provide(tensor, context, first, count,
                               (hold->mode & CLNORM_ACCESS_READ) != 0, &hold->place, &piece);
    if (status != CLNORM_OK)
        return status;
    hold->next = tensor->holds;
    tensor->holds = hold;
    status = context ? acquire_in_context(tensor, hold, piece, access)
                     : acquire_on_host(tensor, hold, piece, access);
    if (status != CLNORM_OK)
        clnorm__hold_unlink(tensor, hold);
    return status;
}

enum clnorm_status clnorm_tensor_acquire(struct clnorm_tensor *tensor,
                                         struct clnorm_context *context, uint64_t first,
                                         uint64_t count, enum clnorm_access_mode mode,
                                         struct clnorm_access *access)
{
    if (access)
        *access = (struct clnorm_access){0};
    if (!tensor || !access)
        return CLNORM_INVALID_ARGUMENT;
    if (mode < CLNORM_ACCESS_READ || mode > CLNORM_ACCESS_READ_WRITE)
        return clnorm__tensor_fail(tensor, CLNORM_INVALID_ARGUMENT,
                                   "the mode %d is not of enum clnorm_access_mode", (int)mode);
    struct clnorm__hold *const hold = calloc(1, sizeof *hold);
    if (!hold)
        return clnorm__tensor_fail(tensor, CLNORM_OUT_OF_MEMORY, "out of memory");
    *hold = (struct clnorm__hold){.first = first, .count = count, .mode = mode};
    struct clnorm_access made = {.first = first, .count = count, .tensor = tensor};
    enum clnorm_status status = clnorm__tensor_enter(tensor, context, first, count);
    const int taken = status == CLNORM_OK && count > 0 && tensor->sample_bytes > 0;
    if (taken)
        status = acquire(tensor, context, hold, &made);
    if (taken && status == CLNORM_OK)
        made.hold = hold->id = ++tensor->hold_ids;
    else
        free(hold);
    if (status == CLNORM_OK || taken)
        clnorm__tensor_leave(tensor);
    if (status == CLNORM_OK)
        *access = made;
    return status;
}

/* ---- Releasing ---- */

static struct clnorm__hold *hold_of(const struct clnorm_tensor *tensor,
                                    const struct clnorm_access *access)
{
    struct clnorm__hold *hold = tensor->holds;
    while (hold && hold->id != access->hold)
        hold = hold->next;
    return hold;
}

/* Room to note one more user of the range. */
static int reserve(struct clnorm_tensor *tensor, const struct clnorm__hold *hold)
{
    struct clnorm__piece *piece = clnorm__pieces_find(tensor, hold->first);
    for (; !is_end(piece, hold->first + hold->count); piece = piece->next)
        if (!clnorm__stamps_reserve(clnorm__piece_users(piece, hold->place), 1))
            return 0;
    return 1;
}

/* The queue of an event gets to work. A user event has none. */
static cl_int flush(cl_event event)
{
    cl_command_queue queue = NULL;
    const cl_int code = clGetEventInfo(event, CL_EVENT_COMMAND_QUEUE, sizeof queue, &queue, NULL);
    return code == CL_SUCCESS && queue ? clFlush(queue) : code;
}

/*
 * Keeps the caller's event. Where that cannot be done, waits for it: *stamp is NULL then, and the
 * code that of the waiting. Below 0 also when it is known to have failed.
 */
static cl_int keep_last(struct clnorm_tensor *tensor, const struct clnorm__hold *hold,
                        cl_event last, struct clnorm__stamp **stamp)
{
    struct clnorm__stamp *made = clnorm__stamp_new(hold->place->context->opencl, hold->place->mute);
    const struct clnorm__stamp given = {.event = last};
    const cl_int status = clnorm__stamp_status(&given);
    *stamp = NULL;
    if (status > CL_COMPLETE && made && reserve(tensor, hold) && flush(last) == CL_SUCCESS &&
        clRetainEvent(last) == CL_SUCCESS) {
        made->event = last;
        *stamp = made;
        return CL_SUCCESS;
    }
    clnorm__stamp_drop(made);
    return clnorm__stamp_wait(&given);
}

/* An event of the access's cl_context, or none. */
static enum clnorm_status check_last(struct clnorm_tensor *tensor, const struct clnorm__hold *hold,
                                     cl_event last)
{
    cl_context opencl = NULL;
    if (!last)
        return CLNORM_OK;
    if (!hold->place->context)
        return clnorm__tensor_fail(tensor, CLNORM_INVALID_ARGUMENT,
                                   "an access on the host is released without an event");
    const cl_int code = clGetEventInfo(last, CL_EVENT_CONTEXT, sizeof opencl, &opencl, NULL);
    if (code == CL_SUCCESS && opencl != hold->place->context->opencl)
        return clnorm__tensor_fail(tensor, CLNORM_INVALID_ARGUMENT,
                                   "the event is not of the cl_context the access is in, of %s",
                                   clnorm__place_name(hold->place));
    return CLNORM_OK;
}

static void empty(struct clnorm_access *access)
{
    if (access->ready)
        clReleaseEvent(access->ready);
    *access = (struct clnorm_access){0};
}

/* Releases a hold in force; *ended: 0 when it goes on. */
static enum clnorm_status release(struct clnorm_tensor *tensor, struct clnorm__hold *hold,
                                  cl_event last, int *ended)
{
    struct clnorm__stamp *stamp = NULL;
    const enum clnorm_status status = check_last(tensor, hold, last);
    *ended = status == CLNORM_OK;
    if (status != CLNORM_OK)
        return status;
    const cl_int code = last ? keep_last(tensor, hold, last, &stamp) : CL_SUCCESS;
    if (code != CL_SUCCESS) {
        const struct clnorm__stamp given = {.event = last};
        const int has_failed = clnorm__stamp_status(&given) < CL_COMPLETE;
        clnorm__tensor_fail_call(tensor, hold->place, code,
                                 has_failed ? "the last command of an access" : "clWaitForEvents");
    }
    clnorm__hold_end(tensor, hold, code == CL_SUCCESS, 1, stamp);
    clnorm__stamp_drop(stamp);
    return clnorm__status_of(code);
}

enum clnorm_status clnorm_access_release(struct clnorm_access *access, cl_event last)
{
    if (!access)
        return CLNORM_INVALID_ARGUMENT;
    struct clnorm_tensor *const tensor = access->tensor;
    enum clnorm_status status = CLNORM_OK;
    int ended = 1;
    if (tensor)
        status = clnorm__tensor_enter(tensor, NULL, 0, 0);
    if (tensor && status == CLNORM_OK) {
        struct clnorm__hold *const hold = hold_of(tensor, access);
        if (hold)
            status = release(tensor, hold, last, &ended);
        clnorm__tensor_leave(tensor);
    }
    if (ended)
        empty(access);
    return status;
}

void clnorm_access_abandon(struct clnorm_access *access, int started)
{
    if (!access)
        return;
    struct clnorm_tensor *const tensor = access->tensor;
    if (tensor && clnorm__tensor_enter(tensor, NULL, 0, 0) == CLNORM_OK) {
        struct clnorm__hold *const hold = hold_of(tensor, access);
        if (hold)
            clnorm__hold_end(tensor, hold, 0, started, NULL);
        clnorm__tensor_leave(tensor);
    }
    empty(access);
}
