#include "tensor.h"

enum clnorm_status clnorm_tensor_prefetch(struct clnorm_tensor *tensor,
                                          struct clnorm_context *context, uint64_t first,
                                          uint64_t count)
{
    struct clnorm__place *place;
    struct clnorm__piece *piece;
    if (!tensor)
        return CLNORM_INVALID_ARGUMENT;
    enum clnorm_status status = clnorm__tensor_enter(tensor, context, first, count);
    if (status != CLNORM_OK)
        return status;
    if (count > 0 && tensor->sample_bytes > 0) {
        const struct clnorm__hold *const hold = clnorm__hold_find(tensor, NULL, first, count, 1);
        status = hold ? clnorm__hold_refuse(tensor, hold)
                      : clnorm__tensor_provide(tensor, context, first, count, 1, &place, &piece);
    }
    clnorm__tensor_leave(tensor);
    return status;
}

/* Moves to the host what only this place has of a range, then makes it invalid there. */
static enum clnorm_status evict(struct clnorm_tensor *tensor, struct clnorm__place *place,
                                uint64_t first, uint64_t count)
{
    struct clnorm__piece *piece;
    const struct clnorm__hold *hold = clnorm__hold_find(tensor, place, first, count, 0);
    if (!hold)
        hold = clnorm__hold_find(tensor, NULL, first, count, 1);
    if (hold)
        return clnorm__hold_refuse(tensor, hold);
    enum clnorm_status status = clnorm__pieces_cut(tensor, first, count, &piece);
    if (status != CLNORM_OK)
        return status;
    for (; piece && piece->first < first + count; piece = piece->next) {
        if (clnorm__piece_is_valid(piece, place) && clnorm__piece_valid_count(tensor, piece) == 1)
            status = clnorm__piece_bring(tensor, piece, &tensor->host_place, NULL);
        if (status != CLNORM_OK)
            return status;
        clnorm__piece_set_invalid(piece, place);
    }
    clnorm__place_shrink(tensor, place, first, count);
    return CLNORM_OK;
}

enum clnorm_status clnorm_tensor_evict(struct clnorm_tensor *tensor, struct clnorm_context *context,
                                       uint64_t first, uint64_t count)
{
    if (!tensor)
        return CLNORM_INVALID_ARGUMENT;
    if (!context)
        return clnorm__tensor_fail(tensor, CLNORM_INVALID_ARGUMENT,
                                   "the host view cannot be evicted: give a context");
    enum clnorm_status status = clnorm__tensor_enter(tensor, context, first, count);
    if (status != CLNORM_OK)
        return status;
    struct clnorm__place *const place = clnorm__place_find(tensor, context);
    if (place && count > 0)
        status = evict(tensor, place, first, count);
    clnorm__tensor_leave(tensor);
    return status;
}

static uint64_t count_lost(const struct clnorm_tensor *tensor)
{
    uint64_t lost = 0;
    for (const struct clnorm__piece *p = tensor->pieces; p; p = p->next)
        if (clnorm__piece_valid_count(tensor, p) == 0)
            lost += p->count;
    return lost;
}

static void add(struct clnorm_tensor_statistics *sum, const struct clnorm_tensor_statistics *more)
{
    sum->bytes_to_device += more->bytes_to_device;
    sum->bytes_to_host += more->bytes_to_host;
    sum->bytes_on_device += more->bytes_on_device;
    sum->copies += more->copies;
    sum->handovers += more->handovers;
    sum->hits += more->hits;
    sum->misses += more->misses;
    sum->evictions += more->evictions;
    sum->device_bytes += more->device_bytes;
    sum->device_peak += more->device_peak;
}

/* Commands of a context that is forgotten are done, or nobody will ever tell: they are not waited
 * for where they used the host view. */
static void forget_users(struct clnorm_tensor *tensor, const struct clnorm__place *place)
{
    for (struct clnorm__piece *piece = tensor->pieces; piece; piece = piece->next)
        clnorm__stamps_drop_context(clnorm__piece_users(piece, place), place->context->opencl);
}

enum clnorm_status clnorm_tensor_forget(struct clnorm_tensor *tensor,
                                        struct clnorm_context *context, uint64_t *lost)
{
    if (!tensor || !context)
        return CLNORM_INVALID_ARGUMENT;
    const enum clnorm_status status = clnorm__tensor_enter(tensor, NULL, 0, 0);
    if (status != CLNORM_OK)
        return status;
    const uint64_t before = count_lost(tensor);
    struct clnorm__place *const place = clnorm__place_find(tensor, context);
    if (place) {
        for (struct clnorm__hold *h = tensor->holds, *next; h; h = next) {
            next = h->next;
            if (h->place == place)
                clnorm__hold_end(tensor, h, 0, 1, NULL);
        }
        forget_users(tensor, place);
        clnorm__place_forget(tensor, place);
        add(&tensor->forgotten, &place->statistics);
        place->statistics = (struct clnorm_tensor_statistics){0};
    }
    if (lost)
        *lost = count_lost(tensor) - before;
    clnorm__tensor_leave(tensor);
    return CLNORM_OK;
}

enum clnorm_copy_state clnorm_tensor_state(struct clnorm_tensor *tensor,
                                           const struct clnorm_context *context, uint64_t sample)
{
    if (!tensor || sample >= tensor->samples)
        return CLNORM_COPY_INVALID;
    pthread_mutex_lock(&tensor->mutex);
    struct clnorm__piece *const piece = clnorm__pieces_find(tensor, sample);
    const struct clnorm__place *const place = clnorm__place_find(tensor, context);
    enum clnorm_copy_state state = CLNORM_COPY_INVALID;
    clnorm__piece_settle(tensor, piece);
    if (place && clnorm__piece_is_valid(piece, place))
        state =
            clnorm__piece_valid_count(tensor, piece) == 1 ? CLNORM_COPY_OWNER : CLNORM_COPY_SHARED;
    pthread_mutex_unlock(&tensor->mutex);
    return state;
}

struct clnorm_tensor_statistics clnorm_tensor_statistics(struct clnorm_tensor *tensor,
                                                         const struct clnorm_context *context)
{
    struct clnorm_tensor_statistics sum = {0};
    if (!tensor)
        return sum;
    pthread_mutex_lock(&tensor->mutex);
    const struct clnorm__place *const place = clnorm__place_find(tensor, context);
    if (context && place)
        sum = place->statistics;
    if (!context) {
        add(&sum, &tensor->forgotten);
        add(&sum, &tensor->host_place.statistics);
        for (const struct clnorm__place *p = tensor->places; p; p = p->next)
            add(&sum, &p->statistics);
    }
    pthread_mutex_unlock(&tensor->mutex);
    return sum;
}
