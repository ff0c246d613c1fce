#include "tensor.h"

#include <stdlib.h>

static void free_piece(struct clnorm__piece *piece, unsigned places)
{
    for (unsigned i = 0; piece->copies && i < places; i++) {
        clnorm__stamp_drop(piece->copies[i].ready);
        clnorm__stamps_free(&piece->copies[i].users);
    }
    free(piece->copies);
    free(piece);
}

static struct clnorm__piece *new_piece(uint64_t first, uint64_t count, unsigned places)
{
    struct clnorm__piece *const piece = calloc(1, sizeof *piece);
    if (!piece)
        return NULL;
    piece->first = first;
    piece->count = count;
    piece->copies = calloc(places, sizeof *piece->copies);
    if (piece->copies)
        return piece;
    free(piece);
    return NULL;
}

enum clnorm_status clnorm__pieces_open(struct clnorm_tensor *tensor)
{
    tensor->place_count = 1;
    if (tensor->samples == 0)
        return CLNORM_OK;
    struct clnorm__piece *const piece = new_piece(0, tensor->samples, 1);
    if (!piece)
        return CLNORM_OUT_OF_MEMORY;
    piece->version = piece->copies[0].version = ++tensor->versions;
    tensor->pieces = piece;
    return CLNORM_OK;
}

void clnorm__pieces_close(struct clnorm_tensor *tensor)
{
    while (tensor->pieces) {
        struct clnorm__piece *const piece = tensor->pieces;
        tensor->pieces = piece->next;
        free_piece(piece, tensor->place_count);
    }
}

enum clnorm_status clnorm__pieces_widen(struct clnorm_tensor *tensor, unsigned places)
{
    for (struct clnorm__piece *p = tensor->pieces; p && places > tensor->place_count; p = p->next) {
        struct clnorm__copy *const copies = realloc(p->copies, places * sizeof *copies);
        if (!copies)
            return CLNORM_OUT_OF_MEMORY;
        p->copies = copies;
        for (unsigned i = tensor->place_count; i < places; i++)
            copies[i] = (struct clnorm__copy){0};
    }
    if (places > tensor->place_count)
        tensor->place_count = places;
    return CLNORM_OK;
}

struct clnorm__piece *clnorm__pieces_find(struct clnorm_tensor *tensor, uint64_t sample)
{
    struct clnorm__piece *piece = tensor->pieces;
    while (piece && sample - piece->first >= piece->count)
        piece = piece->next;
    return piece;
}

/* Makes a piece begin at a sample that exists. */
static enum clnorm_status split(struct clnorm_tensor *tensor, uint64_t at)
{
    struct clnorm__piece *const piece = clnorm__pieces_find(tensor, at);
    if (piece->first == at)
        return CLNORM_OK;
    struct clnorm__piece *const rest =
        new_piece(at, piece->first + piece->count - at, tensor->place_count);
    int done = rest != NULL;
    for (unsigned i = 0; i < tensor->place_count && done; i++) {
        const struct clnorm__copy *const from = &piece->copies[i];
        rest->copies[i].version = from->version;
        if (from->ready)
            rest->copies[i].ready = clnorm__stamp_keep(from->ready);
        done = clnorm__stamps_append(&rest->copies[i].users, &from->users);
    }
    if (!done) {
        if (rest)
            free_piece(rest, tensor->place_count);
        return clnorm__tensor_fail(tensor, CLNORM_OUT_OF_MEMORY, "out of memory");
    }
    rest->version = piece->version;
    rest->next = piece->next;
    piece->next = rest;
    piece->count = at - piece->first;
    return CLNORM_OK;
}

enum clnorm_status clnorm__pieces_cut(struct clnorm_tensor *tensor, uint64_t first, uint64_t count,
                                      struct clnorm__piece **piece)
{
    enum clnorm_status status = split(tensor, first);
    if (status == CLNORM_OK && first + count < tensor->samples)
        status = split(tensor, first + count);
    if (status != CLNORM_OK)
        return status;
    *piece = clnorm__pieces_find(tensor, first);
    for (struct clnorm__piece *p = *piece; p && p->first < first + count; p = p->next)
        clnorm__piece_settle(tensor, p);
    return CLNORM_OK;
}

/* Whether a hold, or memory at some place, begins or ends at a sample. */
static int is_edge(const struct clnorm_tensor *tensor, uint64_t at)
{
    for (const struct clnorm__hold *h = tensor->holds; h; h = h->next)
        if (h->first == at || h->first + h->count == at)
            return 1;
    for (const struct clnorm__place *p = tensor->places; p; p = p->next)
        if (clnorm__place_block(p, at - 1) != clnorm__place_block(p, at))
            return 1;
    return 0;
}

static int is_same(const struct clnorm_tensor *tensor, const struct clnorm__piece *a,
                   const struct clnorm__piece *b)
{
    for (unsigned i = 0; i < tensor->place_count; i++) {
        const struct clnorm__copy *const x = &a->copies[i], *const y = &b->copies[i];
        if ((x->version == a->version) != (y->version == b->version) || x->ready != y->ready ||
            !clnorm__stamps_same(&x->users, &y->users))
            return 0;
    }
    return 1;
}

/* Takes the next piece into this one. Where their versions differ, both become the newer. */
static void absorb_next(struct clnorm_tensor *tensor, struct clnorm__piece *piece)
{
    struct clnorm__piece *const next = piece->next;
    const uint64_t version = next->version > piece->version ? next->version : piece->version;
    for (unsigned i = 0; i < tensor->place_count; i++)
        piece->copies[i].version = piece->copies[i].version == piece->version ? version : 0;
    piece->version = version;
    piece->count += next->count;
    piece->next = next->next;
    free_piece(next, tensor->place_count);
}

void clnorm__pieces_merge(struct clnorm_tensor *tensor)
{
    for (struct clnorm__piece *p = tensor->pieces; p; p = p->next)
        clnorm__piece_settle(tensor, p);
    for (struct clnorm__piece *p = tensor->pieces; p && p->next;) {
        if (is_same(tensor, p, p->next) && !is_edge(tensor, p->next->first))
            absorb_next(tensor, p);
        else
            p = p->next;
    }
}

void clnorm__piece_settle(struct clnorm_tensor *tensor, struct clnorm__piece *piece)
{
    for (unsigned i = 0; i < tensor->place_count; i++) {
        struct clnorm__copy *const copy = &piece->copies[i];
        const cl_int status = copy->ready ? clnorm__stamp_status(copy->ready) : CL_QUEUED;
        if (status <= CL_COMPLETE) {
            clnorm__stamp_drop(copy->ready);
            copy->ready = NULL;
        }
        if (status < CL_COMPLETE)
            copy->version = 0;
        clnorm__stamps_prune(&copy->users);
    }
}

int clnorm__piece_is_valid(const struct clnorm__piece *piece, const struct clnorm__place *place)
{
    return piece->copies[place->index].version == piece->version;
}

unsigned clnorm__piece_valid_count(const struct clnorm_tensor *tensor,
                                   const struct clnorm__piece *piece)
{
    unsigned valid = 0;
    for (unsigned i = 0; i < tensor->place_count; i++)
        valid += piece->copies[i].version == piece->version;
    return valid;
}

struct clnorm__copy *clnorm__piece_copy(struct clnorm__piece *piece,
                                        const struct clnorm__place *place)
{
    return &piece->copies[place->index];
}

struct clnorm__stamps *clnorm__piece_users(struct clnorm__piece *piece,
                                           const struct clnorm__place *place)
{
    return &piece->copies[place->kind == CLNORM__MEMORY_SHARED ? 0 : place->index].users;
}

void clnorm__piece_set_valid(struct clnorm__piece *piece, const struct clnorm__place *place,
                             struct clnorm__stamp *ready)
{
    struct clnorm__copy *const copy = &piece->copies[place->index];
    struct clnorm__stamp *const before = copy->ready;
    copy->version = piece->version;
    copy->ready = ready ? clnorm__stamp_keep(ready) : NULL;
    clnorm__stamp_drop(before);
}

void clnorm__piece_set_invalid(struct clnorm__piece *piece, const struct clnorm__place *place)
{
    clnorm__stamp_drop(piece->copies[place->index].ready);
    piece->copies[place->index].ready = NULL;
    piece->copies[place->index].version = 0;
}
