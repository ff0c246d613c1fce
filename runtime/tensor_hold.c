#include "tensor.h"

#include <stdlib.h>

const struct clnorm__hold *clnorm__hold_find(const struct clnorm_tensor *tensor,
                                             const struct clnorm__place *place, uint64_t first,
                                             uint64_t count, int writing)
{
    const struct clnorm__hold *hold = tensor->holds;
    for (; hold; hold = hold->next)
        if ((!place || hold->place == place) && hold->first < first + count &&
            first < hold->first + hold->count && (!writing || hold->mode & CLNORM_ACCESS_WRITE))
            break;
    return hold;
}

enum clnorm_status clnorm__hold_refuse(struct clnorm_tensor *tensor,
                                       const struct clnorm__hold *hold)
{
    return clnorm__tensor_fail(
        tensor, CLNORM_INVALID_ARGUMENT,
        "samples %llu to %llu are acquired for %s on %s: release that access first",
        (unsigned long long)hold->first, (unsigned long long)(hold->first + hold->count - 1),
        hold->mode & CLNORM_ACCESS_WRITE ? "writing" : "reading", clnorm__place_name(hold->place));
}

void clnorm__hold_unlink(struct clnorm_tensor *tensor, const struct clnorm__hold *hold)
{
    struct clnorm__hold **at = &tensor->holds;
    while (*at != hold)
        at = &(*at)->next;
    *at = hold->next;
}

/* The samples have new values. */
static void write_piece(struct clnorm_tensor *tensor, struct clnorm__piece *piece,
                        const struct clnorm__place *place, uint64_t version,
                        struct clnorm__stamp *last)
{
    clnorm__piece_set_invalid(piece, &tensor->host_place);
    for (const struct clnorm__place *p = tensor->places; p; p = p->next)
        clnorm__piece_set_invalid(piece, p);
    piece->version = version;
    clnorm__piece_set_valid(piece, place, last);
    if (last) /* it comes after all users there were, by the access's `ready` */
        clnorm__stamps_clear(clnorm__piece_users(piece, place));
}

/* The samples at a place mean nothing any more, nor at others with the same memory. */
static void spoil_piece(struct clnorm_tensor *tensor, struct clnorm__piece *piece,
                        const struct clnorm__place *place)
{
    const struct clnorm__stamps *const memory = clnorm__piece_users(piece, place);
    if (clnorm__piece_users(piece, &tensor->host_place) == memory)
        clnorm__piece_set_invalid(piece, &tensor->host_place);
    for (const struct clnorm__place *p = tensor->places; p; p = p->next)
        if (clnorm__piece_users(piece, p) == memory)
            clnorm__piece_set_invalid(piece, p);
}

void clnorm__hold_end(struct clnorm_tensor *tensor, struct clnorm__hold *hold, int written,
                      int started, struct clnorm__stamp *last)
{
    const int writes = (hold->mode & CLNORM_ACCESS_WRITE) != 0;
    const uint64_t version = ++tensor->versions;
    struct clnorm__piece *piece = clnorm__pieces_find(tensor, hold->first);
    for (; piece && piece->first < hold->first + hold->count; piece = piece->next) {
        if (writes && written)
            write_piece(tensor, piece, hold->place, version, last);
        else if (writes && started)
            spoil_piece(tensor, piece, hold->place);
        if (last)
            clnorm__stamps_add(clnorm__piece_users(piece, hold->place), last);
    }
    clnorm__hold_unlink(tensor, hold);
    free(hold);
}
