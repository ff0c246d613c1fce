#include "quirk.h"
#include "tensor.h"

#include <stdlib.h>

/* ---- Places ---- */

static void apply_quirks(struct clnorm__place *place)
{
    const struct clnorm__quirk *row = NULL;
    place->bridged = 1;
    place->mute = 0;
    while ((row = clnorm__quirk_next(&place->context->device, row))) {
        place->bridged &= !row->synchronous;
        place->mute |= row->mute;
    }
}

static enum clnorm_status open_queue(struct clnorm_tensor *tensor, struct clnorm__place *place)
{
    const struct clnorm_context *const context = place->context;
    cl_command_queue_properties can = 0;
    cl_int code =
        clGetDeviceInfo(context->device.device, CL_DEVICE_QUEUE_PROPERTIES, sizeof can, &can, NULL);
    if (code != CL_SUCCESS)
        return clnorm__tensor_fail_call(tensor, place, code, "clGetDeviceInfo");
    place->queue = clCreateCommandQueue(context->opencl, context->device.device,
                                        can & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &code);
    if (code == CL_SUCCESS)
        return CLNORM_OK;
    place->queue = NULL;
    return clnorm__tensor_fail_call(tensor, place, code, "clCreateCommandQueue");
}

/* The place a forgotten context had on this device, or one that never came to a queue, or a new one.
 * A queue keeps its cl_context, whose handle names no other meanwhile. */
static struct clnorm__place *take_place(struct clnorm_tensor *tensor,
                                        const struct clnorm_context *context)
{
    struct clnorm__place *place = tensor->places;
    while (place && (place->context || (place->queue && (place->opencl != context->opencl ||
                                                         place->device != context->device.device))))
        place = place->next;
    if (place)
        return place;
    place = calloc(1, sizeof *place);
    if (!place)
        return NULL;
    place->index = tensor->place_count;
    if (clnorm__pieces_widen(tensor, place->index + 1) != CLNORM_OK) {
        free(place);
        return NULL;
    }
    place->next = tensor->places;
    tensor->places = place;
    return place;
}

enum clnorm_status clnorm__place_open(struct clnorm_tensor *tensor, struct clnorm_context *context,
                                      struct clnorm__place **place)
{
    *place = clnorm__place_find(tensor, context);
    if (*place)
        return CLNORM_OK;
    *place = take_place(tensor, context);
    if (!*place)
        return clnorm__tensor_fail(tensor, CLNORM_OUT_OF_MEMORY, "out of memory");
    (*place)->context = context;
    if ((*place)->queue)
        return CLNORM_OK;
    (*place)->opencl = context->opencl;
    (*place)->device = context->device.device;
    apply_quirks(*place);
    const enum clnorm_status status = open_queue(tensor, *place);
    if (status != CLNORM_OK)
        (*place)->context = NULL;
    return status;
}

void clnorm__place_forget(struct clnorm_tensor *tensor, struct clnorm__place *place)
{
    for (struct clnorm__piece *p = tensor->pieces; p; p = p->next) {
        clnorm__piece_set_invalid(p, place);
        clnorm__stamps_clear(&clnorm__piece_copy(p, place)->users);
    }
    while (place->blocks) {
        struct clnorm__block *const block = place->blocks;
        place->blocks = block->next;
        clnorm_pool_release(place->context, block->memory, NULL, NULL);
        free(block);
    }
    place->statistics.device_bytes = 0;
    place->context = NULL;
}

void clnorm__place_close(struct clnorm__place *place)
{
    if (place->shared)
        clReleaseMemObject(place->shared);
    if (place->queue)
        clReleaseCommandQueue(place->queue);
    place->shared = NULL;
    place->queue = NULL;
}

/* ---- Sharing the host view ---- */

/* Whether a buffer on the host view really is there, the driver mapping it to where it is, and can
 * be handed over as transfers do it: rusticl does not know a mapping that it was not waited for. */
static int is_in_place(const struct clnorm_tensor *tensor, const struct clnorm__place *place,
                       cl_mem memory)
{
    cl_int code;
    cl_event before = NULL, event = NULL;
    void *const mapped = clEnqueueMapBuffer(place->queue, memory, CL_FALSE, CL_MAP_READ, 0,
                                            tensor->shared_bytes, 0, NULL, &before, &code);
    if (code != CL_SUCCESS)
        return 0;
    code = clEnqueueUnmapMemObject(place->queue, memory, mapped, 1, &before, &event);
    const int unmapped = code == CL_SUCCESS;
    const cl_int waited = clWaitForEvents(1, unmapped ? &event : &before);
    clReleaseEvent(before);
    if (unmapped)
        clReleaseEvent(event);
    return unmapped && waited == CL_SUCCESS && mapped == tensor->host;
}

/*
 * A buffer that uses the host view is without a copy where device and host share their memory, and
 * drivers ask for the alignment of a page and a size in cache lines. Any failure is no more than a
 * reason for memory of its own.
 */
void clnorm__place_choose_kind(const struct clnorm_tensor *tensor, struct clnorm__place *place)
{
    if (place->kind != CLNORM__MEMORY_UNKNOWN)
        return;
    place->kind = CLNORM__MEMORY_SEPARATE;
    if (!place->context->device.host_memory || tensor->shared_bytes == 0)
        return;
    cl_int code;
    const cl_mem memory =
        clCreateBuffer(place->context->opencl, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR,
                       tensor->shared_bytes, tensor->host, &code);
    if (code != CL_SUCCESS)
        return;
    if (!is_in_place(tensor, place, memory)) {
        clReleaseMemObject(memory);
        return;
    }
    place->kind = CLNORM__MEMORY_SHARED;
    place->shared = memory;
}
