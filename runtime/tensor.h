/*
 * The tensor, as its files share it.
 *
 *     tensor.c            made, released, asked
 *     tensor_pieces.c     which range of samples is where, and which commands use it
 *     tensor_place.c      the contexts that use it, and whether they share the host's memory
 *     tensor_memory.c     the device memory of a context's copy
 *     tensor_transfer.c   moves samples between the host view and a copy
 *     tensor_hold.c       who uses which samples now, and what that leaves
 *     tensor_access.c     acquired and released
 *     tensor_placement.c  samples that move or go without an access
 *
 * Everything is under the tensor's mutex, but for the waiting for events where a caller asks for
 * that. The mutex is taken before those of a context, and no callback takes it.
 */
#ifndef CLNORM_RUNTIME_TENSOR_H
#define CLNORM_RUNTIME_TENSOR_H

#include <clnorm/tensor.h>

#include "context.h"
#include "events.h"

/* ---- Pieces ---- */

/*
 * A piece at one place: the version of its values (below the piece's: invalid) and the event after
 * which it has them (NULL: it has). Users are the commands that read or write its memory, which the
 * next that writes there waits for. Places that work on the host view have one memory with it, and
 * so its users.
 */
struct clnorm__copy {
    uint64_t version;
    struct clnorm__stamp *ready;
    struct clnorm__stamps users;
};

/* Samples that have a common history. Sorted, disjoint, and together the tensor. */
struct clnorm__piece {
    struct clnorm__piece *next;
    uint64_t first, count;
    uint64_t version;            /* of the newest values; they are lost when no copy has it */
    struct clnorm__copy *copies; /* by place->index */
};

/* ---- Places ---- */

/* Device memory for a range of samples. */
struct clnorm__block {
    struct clnorm__block *next;
    cl_mem memory;
    uint64_t first, count;
};

enum clnorm__memory_kind {
    CLNORM__MEMORY_UNKNOWN,  /* not asked yet */
    CLNORM__MEMORY_SHARED,   /* the host view itself, through `shared` */
    CLNORM__MEMORY_SEPARATE, /* in `blocks` */
};

/* The host, or a context that uses the tensor. One that was forgotten has no context. */
struct clnorm__place {
    struct clnorm__place *next;
    unsigned index; /* 0: the host */
    struct clnorm_context *context;
    cl_context opencl; /* what the queue is of */
    cl_device_id device;
    cl_command_queue queue; /* for transfers */
    int bridged;            /* its commands may wait for user events */
    int mute;               /* callbacks are not called for commands that fail */
    enum clnorm__memory_kind kind;
    cl_mem shared;
    struct clnorm__block *blocks; /* disjoint */
    struct clnorm_tensor_statistics statistics;
};

/* An access under way. */
struct clnorm__hold {
    struct clnorm__hold *next;
    uint64_t id;
    struct clnorm__place *place;
    uint64_t first, count;
    enum clnorm_access_mode mode;
};

struct clnorm_tensor {
    pthread_mutex_t mutex;
    uint64_t samples, sample_bytes;
    unsigned char *host;  /* the view */
    unsigned char *own;   /* the same when the library allocated it */
    size_t shared_bytes;  /* of it, for buffers on it; 0: its place or size does not allow that */
    uint64_t versions;    /* given out so far */
    unsigned place_count; /* of copies in each piece */
    struct clnorm__piece *pieces; /* NULL: no samples */
    struct clnorm__place host_place, *places;
    struct clnorm__hold *holds;
    uint64_t hold_ids;                         /* given out so far */
    struct clnorm_tensor_statistics forgotten; /* of contexts that were */
    struct clnorm__bridges bridges;
    struct clnorm__process process;
    pthread_mutex_t error_mutex;
    char error[512];
};

/* ---- tensor.c ---- */

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
enum clnorm_status
clnorm__tensor_fail(struct clnorm_tensor *tensor, enum clnorm_status status, const char *format,
                    ...);

/* The same for an OpenCL call at a place that returned code. */
enum clnorm_status clnorm__tensor_fail_call(struct clnorm_tensor *tensor,
                                            const struct clnorm__place *place, cl_int code,
                                            const char *call);

/* The same for a function that has left its detail in the place's context. */
enum clnorm_status clnorm__tensor_fail_context(struct clnorm_tensor *tensor,
                                               const struct clnorm__place *place,
                                               enum clnorm_status status);

/* The name of the place's device, or "the host". */
const char *clnorm__place_name(const struct clnorm__place *place);

/* The place of a context, NULL the host; NULL when it has none. */
struct clnorm__place *clnorm__place_find(struct clnorm_tensor *tensor,
                                         const struct clnorm_context *context);

/* ---- tensor_pieces.c ---- */

/* One piece with all samples, valid on the host only; none when there are no samples. */
enum clnorm_status clnorm__pieces_open(struct clnorm_tensor *tensor);
void clnorm__pieces_close(struct clnorm_tensor *tensor);

/* Makes room for copies at so many places. */
enum clnorm_status clnorm__pieces_widen(struct clnorm_tensor *tensor, unsigned places);

/*
 * Cuts pieces so that the range begins and ends with one, notes what has come to an end meanwhile,
 * and gives the first of the range, which ends before the first piece at `first + count` or NULL.
 */
enum clnorm_status clnorm__pieces_cut(struct clnorm_tensor *tensor, uint64_t first, uint64_t count,
                                      struct clnorm__piece **piece);

/* The piece with a sample that exists. */
struct clnorm__piece *clnorm__pieces_find(struct clnorm_tensor *tensor, uint64_t sample);

/* Joins neighbours with nothing between them any more. */
void clnorm__pieces_merge(struct clnorm_tensor *tensor);

/* Notes commands that have ended; copies whose command failed become invalid. */
void clnorm__piece_settle(struct clnorm_tensor *tensor, struct clnorm__piece *piece);

int clnorm__piece_is_valid(const struct clnorm__piece *piece, const struct clnorm__place *place);

/* How many places have its newest values. */
unsigned clnorm__piece_valid_count(const struct clnorm_tensor *tensor,
                                   const struct clnorm__piece *piece);

struct clnorm__copy *clnorm__piece_copy(struct clnorm__piece *piece,
                                        const struct clnorm__place *place);

/* The users of the memory that the piece has at a place. */
struct clnorm__stamps *clnorm__piece_users(struct clnorm__piece *piece,
                                           const struct clnorm__place *place);

/* The place has the newest values after `ready` (kept; NULL: now). */
void clnorm__piece_set_valid(struct clnorm__piece *piece, const struct clnorm__place *place,
                             struct clnorm__stamp *ready);
void clnorm__piece_set_invalid(struct clnorm__piece *piece, const struct clnorm__place *place);

/* ---- tensor_place.c ---- */

/* The place of a context, made when it has none. */
enum clnorm_status clnorm__place_open(struct clnorm_tensor *tensor, struct clnorm_context *context,
                                      struct clnorm__place **place);

/* Gives up its context and its blocks, and waits for nothing. */
void clnorm__place_forget(struct clnorm_tensor *tensor, struct clnorm__place *place);

/* Releases what a forgotten place still has, when the tensor is released: commands may be on the
 * queue until then, and Intel's runtime does not finish those of a queue that is released. */
void clnorm__place_close(struct clnorm__place *place);

/* Finds out whether its memory is shared, where that is not known. Waits for the driver to map the
 * host view once. */
void clnorm__place_choose_kind(const struct clnorm_tensor *tensor, struct clnorm__place *place);

/* ---- tensor_memory.c ---- */

/*
 * Sees to it that the range has memory in one buffer there. Out of device memory: as
 * clnorm_tensor_acquire says.
 */
enum clnorm_status clnorm__place_provide(struct clnorm_tensor *tensor, struct clnorm__place *place,
                                         uint64_t first, uint64_t count);

/* Where a sample is in device memory; memory NULL: nowhere. */
struct clnorm_buffer clnorm__place_buffer(const struct clnorm_tensor *tensor,
                                          const struct clnorm__place *place, uint64_t sample);

/* The block of a sample; NULL: none. */
struct clnorm__block *clnorm__place_block(const struct clnorm__place *place, uint64_t sample);

/* Gives blocks that overlap the range, and have no valid sample and no access, to the pool. */
void clnorm__place_shrink(struct clnorm_tensor *tensor, struct clnorm__place *place, uint64_t first,
                          uint64_t count);

/* ---- tensor_transfer.c ---- */

/*
 * A command on a place's queue: begun, told what it waits for, enqueued by the caller with
 * waits.list and stamp->event, ended. After it has ended well, the stamp is to be noted where it
 * belongs; then it is closed.
 */
struct clnorm__command {
    struct clnorm_tensor *tensor;
    const struct clnorm__place *place;
    struct clnorm__waits waits;
    struct clnorm__stamp *stamp;
};

/* Cannot be closed when it failed. */
enum clnorm_status clnorm__command_begin(struct clnorm__command *command,
                                         struct clnorm_tensor *tensor,
                                         const struct clnorm__place *place);
/* Whether it may be enqueued. */
enum clnorm_status clnorm__command_check(const struct clnorm__command *command);
/* Takes the code of enqueuing; flushes. */
enum clnorm_status clnorm__command_end(struct clnorm__command *command, cl_int code,
                                       const char *call);
/* Ends the command as a marker: its event, the caller's to release, comes after all it waits for.
 * NULL: it waits for nothing. */
enum clnorm_status clnorm__command_join(struct clnorm__command *command, cl_event *event);
void clnorm__command_close(struct clnorm__command *command);

/* The samples of a piece are on their way to a place that has memory for them; *moved (may be NULL)
 * becomes 1 when they were not there. */
enum clnorm_status clnorm__piece_bring(struct clnorm_tensor *tensor, struct clnorm__piece *piece,
                                       struct clnorm__place *place, int *moved);

/* ---- tensor_hold.c ---- */

/* A hold that overlaps the range and is at the place (NULL: at any), and, with `writing`, writes;
 * NULL: there is none. */
const struct clnorm__hold *clnorm__hold_find(const struct clnorm_tensor *tensor,
                                             const struct clnorm__place *place, uint64_t first,
                                             uint64_t count, int writing);

/* Refuses a call for a hold that stands in its way. */
enum clnorm_status clnorm__hold_refuse(struct clnorm_tensor *tensor,
                                       const struct clnorm__hold *hold);

/* Takes a hold out of the list. */
void clnorm__hold_unlink(struct clnorm_tensor *tensor, const struct clnorm__hold *hold);

/* Ends a hold: what it was to write has happened, its last command being `last` (NULL: done), or
 * has not, and if `started` its memory means nothing any more. Without `written`, `last` is NULL. */
void clnorm__hold_end(struct clnorm_tensor *tensor, struct clnorm__hold *hold, int written,
                      int started, struct clnorm__stamp *last);

/* ---- tensor_access.c ---- */

/* Checks a range and the process; takes the mutex. */
enum clnorm_status clnorm__tensor_enter(struct clnorm_tensor *tensor,
                                        struct clnorm_context *context, uint64_t first,
                                        uint64_t count);
void clnorm__tensor_leave(struct clnorm_tensor *tensor);

/*
 * The place of a context (NULL: the host) and the first piece of a range that has memory there;
 * when reading, its samples are there or on their way.
 */
enum clnorm_status clnorm__tensor_provide(struct clnorm_tensor *tensor,
                                          struct clnorm_context *context, uint64_t first,
                                          uint64_t count, int reading, struct clnorm__place **place,
                                          struct clnorm__piece **piece);

#endif
