#include "tensor.h"

#include <stdlib.h>

/* ---- Blocks ---- */

static int overlaps(const struct clnorm__block *block, uint64_t first, uint64_t count)
{
    return block->first < first + count && first < block->first + block->count;
}

struct clnorm__block *clnorm__place_block(const struct clnorm__place *place, uint64_t sample)
{
    struct clnorm__block *block = place->blocks;
    while (block && !overlaps(block, sample, 1))
        block = block->next;
    return block;
}

static struct clnorm_buffer in_block(const struct clnorm_tensor *tensor,
                                     const struct clnorm__block *block, uint64_t sample)
{
    return (struct clnorm_buffer){block->memory,
                                  (size_t)((sample - block->first) * tensor->sample_bytes)};
}

struct clnorm_buffer clnorm__place_buffer(const struct clnorm_tensor *tensor,
                                          const struct clnorm__place *place, uint64_t sample)
{
    if (place->kind == CLNORM__MEMORY_SHARED)
        return (struct clnorm_buffer){place->shared, (size_t)(sample * tensor->sample_bytes)};
    const struct clnorm__block *const block = clnorm__place_block(place, sample);
    return block ? in_block(tensor, block, sample) : (struct clnorm_buffer){0};
}

static uint64_t bytes_of(const struct clnorm_tensor *tensor, const struct clnorm__block *block)
{
    return block->count * tensor->sample_bytes;
}

/* A block that belongs to no place yet. The detail of a failure is in the context. */
static enum clnorm_status new_block(const struct clnorm_tensor *tensor,
                                    const struct clnorm__place *place, uint64_t first,
                                    uint64_t count, struct clnorm__block **block)
{
    struct clnorm__block *const made = calloc(1, sizeof *made);
    if (!made)
        return clnorm__fail(place->context, CLNORM_OUT_OF_MEMORY, "out of memory");
    *made = (struct clnorm__block){.first = first, .count = count};
    const enum clnorm_status status = clnorm_pool_acquire(
        place->context, (size_t)bytes_of(tensor, made), place->queue, &made->memory);
    if (status == CLNORM_OK)
        *block = made;
    else
        free(made);
    return status;
}

static void add_block(const struct clnorm_tensor *tensor, struct clnorm__place *place,
                      struct clnorm__block *block)
{
    struct clnorm_tensor_statistics *const s = &place->statistics;
    block->next = place->blocks;
    place->blocks = block;
    s->device_bytes += bytes_of(tensor, block);
    if (s->device_bytes > s->device_peak)
        s->device_peak = s->device_bytes;
}

/* An event that is complete; NULL: there is none to be had. */
static cl_event complete_event(const struct clnorm__place *place)
{
    cl_int code;
    const cl_event event = clCreateUserEvent(place->context->opencl, &code);
    if (code != CL_SUCCESS)
        return NULL;
    if (clSetUserEventStatus(event, CL_COMPLETE) == CL_SUCCESS)
        return event;
    clReleaseEvent(event);
    return NULL;
}

/* An event after all users of a block; NULL: there is none to be had. */
static cl_event event_after_users(struct clnorm_tensor *tensor, const struct clnorm__place *place,
                                  const struct clnorm__block *block)
{
    struct clnorm__command marker;
    cl_event last = NULL;
    if (clnorm__command_begin(&marker, tensor, place) != CLNORM_OK)
        return NULL;
    for (struct clnorm__piece *p = tensor->pieces; p; p = p->next)
        if (overlaps(block, p->first, p->count))
            clnorm__waits_add_all(&marker.waits, clnorm__piece_users(p, place));
    if (clnorm__command_join(&marker, &last) == CLNORM_OK && !last)
        last = complete_event(place);
    clnorm__command_close(&marker);
    return last;
}

/*
 * Gives a block to the pool, with an event after its last user. Without one it is freed, which the
 * driver delays until the commands are done. Its pieces have no users then.
 */
static void drop_block(struct clnorm_tensor *tensor, struct clnorm__place *place,
                       struct clnorm__block *block)
{
    const cl_event last = event_after_users(tensor, place, block);
    for (struct clnorm__piece *p = tensor->pieces; p; p = p->next)
        if (overlaps(block, p->first, p->count))
            clnorm__stamps_clear(clnorm__piece_users(p, place));
    struct clnorm__block **at = &place->blocks;
    while (*at != block)
        at = &(*at)->next;
    *at = block->next;
    place->statistics.device_bytes -= bytes_of(tensor, block);
    clnorm_pool_release(place->context, block->memory, NULL, last);
    if (last)
        clReleaseEvent(last);
    free(block);
}

/* Whether no access stands in the way of a block going away. Where another place writes, nothing
 * may be moved to the host view. */
static int may_go(const struct clnorm_tensor *tensor, const struct clnorm__place *place,
                  const struct clnorm__block *block)
{
    return !clnorm__hold_find(tensor, place, block->first, block->count, 0) &&
           !clnorm__hold_find(tensor, NULL, block->first, block->count, 1);
}

static int has_valid(const struct clnorm_tensor *tensor, const struct clnorm__place *place,
                     const struct clnorm__block *block)
{
    for (const struct clnorm__piece *p = tensor->pieces; p; p = p->next)
        if (overlaps(block, p->first, p->count) && clnorm__piece_is_valid(p, place))
            return 1;
    return 0;
}

void clnorm__place_shrink(struct clnorm_tensor *tensor, struct clnorm__place *place, uint64_t first,
                          uint64_t count)
{
    for (struct clnorm__block *b = place->blocks, *next; b; b = next) {
        next = b->next;
        if (!overlaps(b, first, count) || has_valid(tensor, place, b) ||
            clnorm__hold_find(tensor, place, b->first, b->count, 0))
            continue;
        drop_block(tensor, place, b);
        place->statistics.evictions++;
    }
}

/* ---- Out of device memory ---- */

/* Moves to the host what only this block has, waits for all that uses it, and frees it. 0: could
 * not. */
static int vacate(struct clnorm_tensor *tensor, struct clnorm__place *place,
                  struct clnorm__block *block)
{
    for (struct clnorm__piece *p = tensor->pieces; p; p = p->next) {
        if (!overlaps(block, p->first, p->count) || !clnorm__piece_is_valid(p, place))
            continue;
        if (clnorm__piece_bring(tensor, p, &tensor->host_place, NULL) != CLNORM_OK)
            return 0;
    }
    for (struct clnorm__piece *p = tensor->pieces; p; p = p->next) {
        if (!overlaps(block, p->first, p->count))
            continue;
        const struct clnorm__stamps *const users = clnorm__piece_users(p, place);
        for (size_t i = 0; i < users->count; i++)
            clnorm__stamp_wait(users->at[i]);
        clnorm__piece_settle(tensor, p);
        if (clnorm__piece_is_valid(p, place) && !clnorm__piece_is_valid(p, &tensor->host_place))
            return 0; /* the transfer failed */
        clnorm__piece_set_invalid(p, place);
    }
    drop_block(tensor, place, block);
    place->statistics.evictions++;
    return 1;
}

/* Vacates the blocks that overlap the range, or all others. 1 when there were any. */
static int make_room(struct clnorm_tensor *tensor, struct clnorm__place *place, uint64_t first,
                     uint64_t count, int overlapping)
{
    int made = 0;
    for (struct clnorm__block *b = place->blocks, *next; b; b = next) {
        next = b->next;
        if (overlaps(b, first, count) == overlapping && may_go(tensor, place, b))
            made += vacate(tensor, place, b);
    }
    if (made)
        clnorm_pool_trim(place->context);
    return made > 0;
}

/* ---- Providing ---- */

/* Whether a piece has values to take along when its block is replaced. */
static int goes_along(const struct clnorm__place *place, const struct clnorm__piece *piece,
                      const struct clnorm__block *to)
{
    return overlaps(to, piece->first, piece->count) && clnorm__piece_is_valid(piece, place);
}

static enum clnorm_status copy_piece(struct clnorm_tensor *tensor, struct clnorm__place *place,
                                     struct clnorm__piece *piece, const struct clnorm__block *to,
                                     struct clnorm__stamps *copies)
{
    struct clnorm__command copy;
    enum clnorm_status status = clnorm__command_begin(&copy, tensor, place);
    if (status != CLNORM_OK)
        return status;
    clnorm__waits_add(&copy.waits, clnorm__piece_copy(piece, place)->ready, 1);
    status = clnorm__command_check(&copy);
    if (status == CLNORM_OK && (!clnorm__stamps_reserve(copies, 1) ||
                                !clnorm__stamps_reserve(clnorm__piece_users(piece, place), 1)))
        status = clnorm__tensor_fail(tensor, CLNORM_OUT_OF_MEMORY, "out of memory");
    if (status == CLNORM_OK) {
        const struct clnorm_buffer a = clnorm__place_buffer(tensor, place, piece->first);
        const struct clnorm_buffer b = in_block(tensor, to, piece->first);
        const size_t bytes = (size_t)(piece->count * tensor->sample_bytes);
        const cl_int code =
            clEnqueueCopyBuffer(place->queue, a.memory, b.memory, a.offset, b.offset, bytes,
                                copy.waits.count, copy.waits.list, &copy.stamp->event);
        status = clnorm__command_end(&copy, code, "clEnqueueCopyBuffer");
        if (status == CLNORM_OK) {
            clnorm__stamps_add(copies, copy.stamp);
            place->statistics.bytes_on_device += bytes;
            place->statistics.copies++;
        }
    }
    clnorm__command_close(&copy);
    return status;
}

/*
 * Puts a block in the place of those it covers, once what they have is on its way into it. A
 * failure in between leaves all as it was; copies into a block that is not used harm nobody.
 */
static enum clnorm_status replace_blocks(struct clnorm_tensor *tensor, struct clnorm__place *place,
                                         struct clnorm__block *block)
{
    struct clnorm__stamps copies = {0};
    enum clnorm_status status = CLNORM_OK;
    for (struct clnorm__piece *p = tensor->pieces; p && status == CLNORM_OK; p = p->next)
        if (goes_along(place, p, block))
            status = copy_piece(tensor, place, p, block, &copies);
    if (status == CLNORM_OK) {
        size_t i = 0;
        for (struct clnorm__piece *p = tensor->pieces; p; p = p->next)
            if (goes_along(place, p, block))
                clnorm__stamps_add(clnorm__piece_users(p, place), copies.at[i++]);
        for (struct clnorm__block *b = place->blocks, *next; b; b = next) {
            next = b->next;
            if (overlaps(b, block->first, block->count))
                drop_block(tensor, place, b);
        }
        i = 0;
        for (struct clnorm__piece *p = tensor->pieces; p; p = p->next)
            if (goes_along(place, p, block)) {
                clnorm__piece_set_valid(p, place, copies.at[i]);
                clnorm__stamps_add(clnorm__piece_users(p, place), copies.at[i++]);
            }
        add_block(tensor, place, block);
    }
    clnorm__stamps_free(&copies);
    return status;
}

/* The smallest range that has the given one and all blocks that overlap it. */
static void widen(const struct clnorm__place *place, uint64_t *first, uint64_t *count)
{
    const uint64_t from = *first, to = *first + *count;
    uint64_t start = from, end = to;
    for (const struct clnorm__block *b = place->blocks; b; b = b->next)
        if (overlaps(b, from, to - from)) {
            start = b->first < start ? b->first : start;
            end = b->first + b->count > end ? b->first + b->count : end;
        }
    *first = start;
    *count = end - start;
}

/* Tries again with less in the device: first without the blocks elsewhere, then also without those
 * that overlap, whose samples come back from the host. */
static enum clnorm_status new_block_after_room(struct clnorm_tensor *tensor,
                                               struct clnorm__place *place, uint64_t first,
                                               uint64_t count, struct clnorm__block **block)
{
    struct clnorm__attempt attempt;
    clnorm__attempt_open(place->context, &attempt);
    enum clnorm_status status = new_block(tensor, place, first, count, block);
    for (int overlapping = 0; overlapping <= 1 && status == CLNORM_OUT_OF_MEMORY; overlapping++)
        if (make_room(tensor, place, first, count, overlapping))
            status = new_block(tensor, place, first, count, block);
    clnorm__attempt_close(place->context, &attempt, status != CLNORM_OK);
    return status == CLNORM_OK ? status : clnorm__tensor_fail_context(tensor, place, status);
}

enum clnorm_status clnorm__place_provide(struct clnorm_tensor *tensor, struct clnorm__place *place,
                                         uint64_t first, uint64_t count)
{
    clnorm__place_choose_kind(tensor, place);
    if (place->kind == CLNORM__MEMORY_SHARED)
        return CLNORM_OK;
    const struct clnorm__block *const has = clnorm__place_block(place, first);
    if (has && first + count <= has->first + has->count)
        return CLNORM_OK;
    struct clnorm__block *block = NULL;
    widen(place, &first, &count);
    const struct clnorm__hold *const hold = clnorm__hold_find(tensor, place, first, count, 0);
    if (hold)
        return clnorm__tensor_fail(
            tensor, CLNORM_INVALID_ARGUMENT,
            "samples %llu to %llu are acquired in a part of the memory that is to be joined for "
            "samples %llu to %llu on %s: release them first, or acquire the whole before its parts",
            (unsigned long long)hold->first, (unsigned long long)(hold->first + hold->count - 1),
            (unsigned long long)first, (unsigned long long)(first + count - 1),
            clnorm__place_name(place));
    enum clnorm_status status = new_block_after_room(tensor, place, first, count, &block);
    if (status != CLNORM_OK)
        return status;
    status = replace_blocks(tensor, place, block);
    if (status != CLNORM_OK) {
        clnorm_pool_release(place->context, block->memory, NULL, NULL);
        free(block);
    }
    return status;
}
