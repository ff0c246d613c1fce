#include "tensor.h"

/* ---- Commands ---- */

enum clnorm_status clnorm__command_begin(struct clnorm__command *command,
                                         struct clnorm_tensor *tensor,
                                         const struct clnorm__place *place)
{
    const cl_context opencl = place->context->opencl;
    *command = (struct clnorm__command){
        .tensor = tensor,
        .place = place,
        .waits = {.opencl = opencl, .bridged = place->bridged, .bridges = &tensor->bridges},
        .stamp = clnorm__stamp_new(opencl, place->mute),
    };
    return command->stamp ? CLNORM_OK
                          : clnorm__tensor_fail(tensor, CLNORM_OUT_OF_MEMORY, "out of memory");
}

enum clnorm_status clnorm__command_check(const struct clnorm__command *command)
{
    const struct clnorm__waits *const waits = &command->waits;
    if (waits->code == CL_SUCCESS)
        return CLNORM_OK;
    return clnorm__tensor_fail_call(command->tensor, command->place, waits->code,
                                    waits->waiting_failed ? "clWaitForEvents"
                                                          : "a command that was waited for");
}

enum clnorm_status clnorm__command_end(struct clnorm__command *command, cl_int code,
                                       const char *call)
{
    if (code != CL_SUCCESS) {
        command->stamp->event = NULL;
        return clnorm__tensor_fail_call(command->tensor, command->place, code, call);
    }
    clnorm__waits_arm(&command->waits);
    code = clFlush(command->place->queue);
    if (code == CL_SUCCESS)
        return CLNORM_OK;
    if (clnorm__stamp_wait(command->stamp) == CL_SUCCESS)
        return CLNORM_OK; /* it runs all the same */
    return clnorm__tensor_fail_call(command->tensor, command->place, code, "clFlush");
}

enum clnorm_status clnorm__command_join(struct clnorm__command *command, cl_event *event)
{
    const struct clnorm__waits *const waits = &command->waits;
    enum clnorm_status status = clnorm__command_check(command);
    *event = NULL;
    if (status != CLNORM_OK || waits->count == 0)
        return status;
    const cl_int code = clEnqueueMarkerWithWaitList(command->place->queue, waits->count,
                                                    waits->list, &command->stamp->event);
    status = clnorm__command_end(command, code, "clEnqueueMarkerWithWaitList");
    if (status == CLNORM_OK) {
        *event = command->stamp->event;
        command->stamp->event = NULL;
    }
    return status;
}

void clnorm__command_close(struct clnorm__command *command)
{
    clnorm__waits_close(&command->waits);
    clnorm__stamp_drop(command->stamp);
}

/* ---- Transfers ---- */

/* What a transfer between the host view and a copy is made of. */
struct transfer {
    struct clnorm__command command;
    struct clnorm__piece *piece;
    struct clnorm__place *place; /* a context's */
    int to_host;
    struct clnorm_buffer buffer;
    size_t bytes;
    unsigned char *host;
};

/*
 * Shared memory changes hands by mapping and unmapping. To the host: mapping for reading lets it
 * see what the device wrote. To the device: what lies there is the host's, and the driver must not
 * put what the device had there, so it is mapped as if for writing it anew; unmapping gives it to
 * the device.
 */
static cl_int hand_over(struct transfer *t, const char **call)
{
    struct clnorm__waits *const waits = &t->command.waits;
    const cl_map_flags flags = t->to_host ? CL_MAP_READ : CL_MAP_WRITE_INVALIDATE_REGION;
    cl_event *const mapped = &t->command.stamp->before;
    cl_int code;
    *call = "clEnqueueMapBuffer";
    void *const host =
        clEnqueueMapBuffer(t->place->queue, t->buffer.memory, CL_FALSE, flags, t->buffer.offset,
                           t->bytes, waits->count, waits->list, mapped, &code);
    if (code != CL_SUCCESS)
        return code;
    *call = "clEnqueueUnmapMemObject";
    code = CL_OUT_OF_RESOURCES;
    for (int attempt = 0; attempt < 2 && code != CL_SUCCESS; attempt++)
        code = clEnqueueUnmapMemObject(t->place->queue, t->buffer.memory, host, 1, mapped,
                                       &t->command.stamp->event);
    if (code != CL_SUCCESS) {
        clnorm__waits_arm(waits); /* mapping has begun to wait */
        clWaitForEvents(1,
                        mapped); /* drivers find mappings by address: the next is not to meet it */
    }
    return code;
}

static cl_int copy(struct transfer *t, const char **call)
{
    const struct clnorm__waits *const waits = &t->command.waits;
    cl_event *const event = &t->command.stamp->event;
    if (t->to_host) {
        *call = "clEnqueueReadBuffer";
        return clEnqueueReadBuffer(t->place->queue, t->buffer.memory, CL_FALSE, t->buffer.offset,
                                   t->bytes, t->host, waits->count, waits->list, event);
    }
    *call = "clEnqueueWriteBuffer";
    return clEnqueueWriteBuffer(t->place->queue, t->buffer.memory, CL_FALSE, t->buffer.offset,
                                t->bytes, t->host, waits->count, waits->list, event);
}

static void count(const struct transfer *t)
{
    struct clnorm_tensor_statistics *const s = &t->place->statistics;
    if (t->place->kind == CLNORM__MEMORY_SHARED) {
        s->handovers++;
        return;
    }
    s->copies++;
    *(t->to_host ? &s->bytes_to_host : &s->bytes_to_device) += t->bytes;
}

/* Between the host view and a context's copy, which waits for who wrote the one and who uses the
 * other. */
static enum clnorm_status run_transfer(struct transfer *t)
{
    struct clnorm_tensor *const tensor = t->command.tensor;
    struct clnorm__place *const from = t->to_host ? t->place : &tensor->host_place;
    struct clnorm__place *const to = t->to_host ? &tensor->host_place : t->place;
    struct clnorm__stamps *const read = clnorm__piece_users(t->piece, from);
    struct clnorm__stamps *const written = clnorm__piece_users(t->piece, to);
    struct clnorm__stamp *const stamp = t->command.stamp;
    const int shared = t->place->kind == CLNORM__MEMORY_SHARED;
    if (!clnorm__stamps_reserve(read, 1) || !clnorm__stamps_reserve(written, 1))
        return clnorm__tensor_fail(tensor, CLNORM_OUT_OF_MEMORY, "out of memory");
    clnorm__waits_add(&t->command.waits, clnorm__piece_copy(t->piece, from)->ready, 1);
    if (!shared)
        clnorm__waits_add_all(&t->command.waits, written);
    enum clnorm_status status = clnorm__command_check(&t->command);
    if (status != CLNORM_OK)
        return status;
    const char *call = "";
    const cl_int code = shared ? hand_over(t, &call) : copy(t, &call);
    status = clnorm__command_end(&t->command, code, call);
    if (!stamp->event) { /* mapped perhaps, but not unmapped */
        stamp->event = stamp->before;
        stamp->before = NULL;
    }
    if (!stamp->event)
        return status;
    if (status == CLNORM_OK && !shared)
        clnorm__stamps_clear(written); /* it waits for them */
    clnorm__stamps_add(written, stamp);
    clnorm__stamps_add(read, stamp);
    if (status == CLNORM_OK) {
        clnorm__piece_set_valid(t->piece, to, stamp);
        count(t);
    }
    return status;
}

static enum clnorm_status transfer(struct clnorm_tensor *tensor, struct clnorm__piece *piece,
                                   struct clnorm__place *place, int to_host)
{
    struct transfer t = {
        .piece = piece,
        .place = place,
        .to_host = to_host,
        .buffer = clnorm__place_buffer(tensor, place, piece->first),
        .bytes = (size_t)(piece->count * tensor->sample_bytes),
        .host = tensor->host + piece->first * tensor->sample_bytes,
    };
    enum clnorm_status status = clnorm__command_begin(&t.command, tensor, place);
    if (status != CLNORM_OK)
        return status;
    status = run_transfer(&t);
    clnorm__command_close(&t.command);
    return status;
}

/* A context that has the newest values, one whose memory is shared before others. */
static struct clnorm__place *source_of(const struct clnorm_tensor *tensor,
                                       const struct clnorm__piece *piece)
{
    struct clnorm__place *source = NULL;
    for (struct clnorm__place *p = tensor->places; p; p = p->next)
        if (p->context && clnorm__piece_is_valid(piece, p) &&
            (!source || p->kind == CLNORM__MEMORY_SHARED))
            source = p;
    return source;
}

enum clnorm_status clnorm__piece_bring(struct clnorm_tensor *tensor, struct clnorm__piece *piece,
                                       struct clnorm__place *place, int *moved)
{
    enum clnorm_status status = CLNORM_OK;
    struct clnorm__place *const host = &tensor->host_place;
    if (clnorm__piece_is_valid(piece, place))
        return CLNORM_OK;
    if (!clnorm__piece_is_valid(piece, host)) {
        struct clnorm__place *const source = source_of(tensor, piece);
        if (!source)
            return clnorm__tensor_fail(
                tensor, CLNORM_DEVICE_FAILED,
                "samples %llu to %llu are lost: the command that wrote them failed, or the context "
                "that had them was forgotten; acquire them for writing, to give new values",
                (unsigned long long)piece->first,
                (unsigned long long)(piece->first + piece->count - 1));
        status = transfer(tensor, piece, source, 1);
    }
    if (status == CLNORM_OK && place != host)
        status = transfer(tensor, piece, place, 0);
    if (moved)
        *moved = 1;
    return status;
}
