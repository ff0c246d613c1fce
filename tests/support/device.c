#include "device.h"

#include "convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POISON 0xFF
#define TAIL   512

/* One cl_mem with its host image: what it held before the run, in full. */
struct block {
    cl_mem memory;
    unsigned char *image;
    size_t bytes, first, used; /* of the cl_mem; where the slot starts in it; bytes of the slot */
    int shared;                /* memory and image belong to another slot */
    int written;
};

struct run {
    struct clnorm_context *context;
    const struct clnorm_device_options *options;
    struct clnorm_values *values;
    struct block block[CLNORM_SLOT_COUNT + 1]; /* the last is the workspace */
    char *detail;
    size_t size;
    int *trespass;
};

static const struct {
    enum clnorm_slot output, input;
} sharings[CLNORM_SHARE_COUNT] = {
    [CLNORM_SHARE_Y_X] = {CLNORM_SLOT_Y, CLNORM_SLOT_X},
    [CLNORM_SHARE_Y_ADD] = {CLNORM_SLOT_Y, CLNORM_SLOT_ADD},
    [CLNORM_SHARE_DX_DY] = {CLNORM_SLOT_DX, CLNORM_SLOT_DY},
    [CLNORM_SHARE_DX_X] = {CLNORM_SLOT_DX, CLNORM_SLOT_X},
    [CLNORM_SHARE_DADD_DY] = {CLNORM_SLOT_DADD, CLNORM_SLOT_DY},
};

static enum clnorm_status device_failed(const struct run *const run, const char *const call,
                                        const cl_int code)
{
    snprintf(run->detail, run->size, "%s: OpenCL error %d", call, code);
    return CLNORM_DEVICE_FAILED;
}

/* The slot whose memory `slot` uses under the chosen sharing; itself when it has its own. */
static enum clnorm_slot owner_of(const struct run *const run, const enum clnorm_slot slot)
{
    const enum clnorm_sharing sharing = run->options->sharing;
    if (sharing == CLNORM_SHARE_NONE || sharings[sharing].output != slot)
        return slot;
    const enum clnorm_slot input = sharings[sharing].input;
    const int both = run->values->slot[slot].use == CLNORM_WRITTEN &&
                     run->values->slot[input].use == CLNORM_READ;
    return both ? input : slot;
}

static enum clnorm_status allocate(struct run *const run, const int index, const size_t used,
                                   const size_t element)
{
    struct block *const block = &run->block[index];
    block->first = element * (1 + (run->options->place * 5u + (unsigned)index * 3u) % 61);
    block->used = used;
    block->bytes = block->first + used + TAIL;
    block->image = malloc(block->bytes);
    if (!block->image)
        return CLNORM_OUT_OF_MEMORY;
    memset(block->image, POISON, block->bytes);
    return CLNORM_OK;
}

static enum clnorm_status upload(struct run *const run, const int index)
{
    struct block *const block = &run->block[index];
    cl_int code = CL_SUCCESS;
    block->memory = clCreateBuffer(clnorm_context_opencl(run->context), CL_MEM_READ_WRITE,
                                   block->bytes, NULL, &code);
    if (!block->memory)
        return device_failed(run, "clCreateBuffer", code);
    code = clEnqueueWriteBuffer(clnorm_context_queue(run->context), block->memory, CL_TRUE, 0,
                                block->bytes, block->image, 0, NULL, NULL);
    return code == CL_SUCCESS ? CLNORM_OK : device_failed(run, "clEnqueueWriteBuffer", code);
}

static enum clnorm_status place_slot(struct run *const run, const enum clnorm_slot index)
{
    const struct clnorm_slot_values *const slot = &run->values->slot[index];
    if (slot->use == CLNORM_UNUSED || owner_of(run, index) != index)
        return CLNORM_OK;
    const size_t element = clnorm_values_element_size(run->values, index);
    struct block *const block = &run->block[index];
    const enum clnorm_status status = allocate(run, (int)index, slot->elements * element, element);
    if (status != CLNORM_OK)
        return status;
    block->written = slot->use != CLNORM_READ;
    for (size_t i = 0; slot->use != CLNORM_WRITTEN && i < slot->elements; i++)
        clnorm_values_store(run->values, index, block->image + block->first, i);
    return upload(run, (int)index);
}

static enum clnorm_status place_all(struct run *const run, const size_t workspace)
{
    enum clnorm_status status = CLNORM_OK;
    for (int i = 0; i < CLNORM_SLOT_COUNT && status == CLNORM_OK; i++)
        status = place_slot(run, (enum clnorm_slot)i);
    for (int i = 0; i < CLNORM_SLOT_COUNT && status == CLNORM_OK; i++) {
        const enum clnorm_slot owner = owner_of(run, (enum clnorm_slot)i);
        if ((int)owner == i)
            continue;
        run->block[owner].written = 1;
        run->block[i] = run->block[owner];
        run->block[i].shared = 1;
    }
    if (status == CLNORM_OK && workspace && !run->options->pooled_workspace) {
        status = allocate(run, CLNORM_SLOT_COUNT, workspace, 16);
        if (status == CLNORM_OK)
            status = upload(run, CLNORM_SLOT_COUNT);
        run->block[CLNORM_SLOT_COUNT].written = 1;
    }
    return status;
}

static struct clnorm_arguments arguments_of(const struct run *const run)
{
    const struct clnorm_values *const values = run->values;
    const struct block *const workspace = &run->block[CLNORM_SLOT_COUNT];
    struct clnorm_arguments arguments = {
        .size = sizeof arguments,
        .batch = values->batch,
        .spatial = values->spatial,
        .workspace = {.memory = workspace->memory, .offset = workspace->first},
        .sets = values->sets,
        .epsilon = values->epsilon,
        .momentum = values->momentum,
        .count = values->count,
        .r_max = values->r_max,
        .d_max = values->d_max,
        .optimiser = values->optimiser,
    };
    for (int i = 0; i < CLNORM_SLOT_COUNT; i++) {
        const struct clnorm_buffer buffer = {.memory = run->block[i].memory,
                                             .offset = run->block[i].first};
        memcpy((unsigned char *)&arguments + clnorm_slots[i].offset, &buffer, sizeof buffer);
    }
    return arguments;
}

static enum clnorm_status launch(struct run *const run, struct clnorm_plan *const plan)
{
    const struct clnorm_arguments arguments = arguments_of(run);
    cl_event event = NULL;
    const enum clnorm_status status =
        run->options->run ? run->options->run(run->options->user, plan, &arguments)
                          : clnorm_plan_run(plan, clnorm_context_queue(run->context), &arguments, 0,
                                            NULL, &event);
    if (status != CLNORM_OK) {
        clnorm_context_error(run->context, run->detail, run->size);
        return status;
    }
    if (!event)
        return CLNORM_OK;
    const cl_int code = clWaitForEvents(1, &event);
    clReleaseEvent(event);
    return code == CL_SUCCESS ? CLNORM_OK : device_failed(run, "clWaitForEvents", code);
}

/* Compares what may not have changed; `now` is the buffer after the run. */
static void find_trespass(struct run *const run, const int index, const unsigned char *const now)
{
    const struct block *const block = &run->block[index];
    const char *const name = index < CLNORM_SLOT_COUNT ? clnorm_slots[index].name : "workspace";
    for (size_t i = 0; i < block->bytes; i++) {
        if (block->written && i >= block->first && i < block->first + block->used)
            continue;
        if (now[i] == block->image[i])
            continue;
        *run->trespass = 1;
        snprintf(run->detail, run->size, "%s: byte %lld of %llu was changed", name,
                 (long long)i - (long long)block->first, (unsigned long long)block->used);
        return;
    }
}

static enum clnorm_status download(struct run *const run, const int index)
{
    struct block *const block = &run->block[index];
    if (!block->memory)
        return CLNORM_OK;
    unsigned char *const now = malloc(block->bytes);
    if (!now)
        return CLNORM_OUT_OF_MEMORY;
    const cl_int code = clEnqueueReadBuffer(clnorm_context_queue(run->context), block->memory,
                                            CL_TRUE, 0, block->bytes, now, 0, NULL, NULL);
    if (code == CL_SUCCESS && !block->shared)
        find_trespass(run, index, now);
    struct clnorm_slot_values *const slot =
        index < CLNORM_SLOT_COUNT ? &run->values->slot[index] : NULL;
    for (size_t i = 0; code == CL_SUCCESS && slot && slot->use != CLNORM_READ && i < slot->elements;
         i++)
        slot->data[i] = clnorm_convert_load(slot->dtype, now + block->first, i);
    free(now);
    return code == CL_SUCCESS ? CLNORM_OK : device_failed(run, "clEnqueueReadBuffer", code);
}

enum clnorm_status clnorm_device_run(struct clnorm_context *const context,
                                     struct clnorm_plan *const plan,
                                     struct clnorm_values *const values,
                                     const struct clnorm_device_options *const options,
                                     int *const trespass, char *const detail, const size_t size)
{
    static const struct clnorm_device_options plain = {.sharing = CLNORM_SHARE_NONE};
    struct run run = {.context = context,
                      .options = options ? options : &plain,
                      .values = values,
                      .detail = detail,
                      .size = size,
                      .trespass = trespass};
    *trespass = 0;
    enum clnorm_status status =
        place_all(&run, clnorm_plan_workspace_size(plan, values->batch, values->spatial));
    if (status == CLNORM_OK)
        status = launch(&run, plan);
    for (int i = 0; i <= CLNORM_SLOT_COUNT && status == CLNORM_OK; i++)
        status = download(&run, i);
    for (int i = 0; i <= CLNORM_SLOT_COUNT; i++) {
        if (run.block[i].shared)
            continue;
        if (run.block[i].memory)
            clReleaseMemObject(run.block[i].memory);
        free(run.block[i].image);
    }
    return status;
}
