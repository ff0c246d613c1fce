/*
 * clnorm/mpi.h: one batch on several machines, exactly synchronised, over an MPI communicator.
 *
 *     each rank: reduce its shares -> one reduction over all ranks -> normalise by what all saw
 *
 * A component of its own, `find_package(clnorm COMPONENTS mpi)`, target clnorm::mpi; the library
 * itself knows nothing of MPI. mpi.md has a program, the volume and a cost model.
 *
 * Shares. The batch is cut into shares, numbered over all ranks: those of rank 0 come first, then
 * those of rank 1, and so on. A rank has any number of them, and a share any number of samples,
 * none included. Statistics are merged along one binary tree over the shares, whatever rank they
 * are on. So the same shares in the same order give the same bits on 1, 2 or 1000 ranks, provided
 * that the ranks' devices give the same bits for the same share, as equal devices do.
 *
 * One pass, forward or backward, costs one reduction: up a binomial tree of the ranks and down
 * again, 2*ceil(log2(ranks)) messages one after the other. A message is a header of 32 bytes and a
 * record: count, mean (a pair) and m2 of each channel, or two sums of gradients; 16 or 8 bytes a
 * channel (f64: 32, 16). On the way up there may be more records, where the shares of the ranks
 * below do not fill a branch of the tree; none does when ranks have equally many shares and that
 * number is a power of two.
 *
 * Failures. What goes wrong on a rank before the reduction travels with it: all ranks return the
 * status of the first that failed, and may go on with the next pass. What goes wrong after it is
 * this rank's alone; a rank that stops must then say so to the others by clnorm_mpi_fail.
 *
 * Ranks must have the same byte order and floating-point format. Threads: a communicator and all
 * made from it are for one thread at a time, one that MPI allows to call it. MPI_Init and
 * MPI_Finalize are the application's.
 */
#ifndef CLNORM_MPI_H
#define CLNORM_MPI_H

#include <clnorm/clnorm.h>
#include <clnorm/moments.h>

#include <mpi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Ranks and their shares ---- */

struct clnorm_mpi;

/*
 * Makes what the ranks of a communicator need to act as one; all of them must call it, each with
 * the number of shares of its own, >= 0. The communicator is duplicated, and its error handler left
 * alone. A communicator of some of the ranks (MPI_Comm_split) gives statistics over those. Release
 * with clnorm_mpi_release. On failure *mpi is NULL on every rank, and message[size] (NULL with size
 * 0 is fine) says why. Errors: CLNORM_INVALID_ARGUMENT, CLNORM_OUT_OF_MEMORY,
 * CLNORM_COMMUNICATION_FAILED.
 */
CLNORM_API enum clnorm_status clnorm_mpi_create(MPI_Comm communicator, int64_t shares,
                                                struct clnorm_mpi **mpi, char *message,
                                                size_t size);

/* All ranks must call it, before MPI_Finalize, when their plans are released. NULL: no-op. */
CLNORM_API void clnorm_mpi_release(struct clnorm_mpi *mpi);

/*
 * Detail of this rank's last failed call, "" when there was none. Copies at most size bytes, zero
 * included, and returns the full length without the zero.
 */
CLNORM_API size_t clnorm_mpi_error(const struct clnorm_mpi *mpi, char *text, size_t size);

/* What this rank has sent in passes, counted. */
struct clnorm_mpi_statistics {
    uint64_t passes;
    uint64_t messages;
    uint64_t bytes;
};
CLNORM_API struct clnorm_mpi_statistics clnorm_mpi_statistics(const struct clnorm_mpi *mpi);

/* ---- Plans: forward and backward ---- */

struct clnorm_mpi_plan;

/*
 * Makes a plan for a problem of CLNORM_FORWARD or CLNORM_BACKWARD on a context of this rank. The
 * extent of its batch is ignored: each run tells it. Only this rank is involved, but all must make
 * a plan for the same problem to run it. Release with clnorm_mpi_plan_release, before *mpi and the
 * context. Errors, with their detail in clnorm_mpi_error: those of clnorm_plan_create;
 * CLNORM_INVALID_ARGUMENT for other operations; CLNORM_UNSUPPORTED for ghost batches, which are not
 * of the whole batch.
 */
CLNORM_API enum clnorm_status clnorm_mpi_plan_create(struct clnorm_mpi *mpi,
                                                     struct clnorm_context *context,
                                                     const struct clnorm_problem *problem,
                                                     struct clnorm_mpi_plan **plan);
CLNORM_API void clnorm_mpi_plan_release(struct clnorm_mpi_plan *plan);

/*
 * One pass over the batch of all ranks, which all must run with plans of the same problem.
 * `arguments` are as for clnorm_plan_run with the problem, for the samples of this rank: batch may
 * differ from rank to rank and be 0; count and workspace are ignored. `samples` has the batch of
 * each of this rank's shares, one after the other in the tensors; they add up to arguments->batch.
 * NULL: shares that differ by one sample at most, the larger ones first.
 *
 * Outputs of one value per channel (mean, invstd, running statistics, dscale, dshift, and with an
 * optimiser scale, shift and state) are those of the whole batch, the same bits on every rank whose
 * inputs of that kind are the same; so dscale and dshift need no more summing.
 *
 * Waits on the host for the reduction; the last part is enqueued as clnorm_plan_run does, with
 * *event (NULL is fine) to tell when it is done. Scratch memory comes from the context's pool.
 * Errors: those of clnorm_plan_run, on this rank or another; CLNORM_COMMUNICATION_FAILED;
 * CLNORM_UNSUPPORTED (a message of more than 2 GiB).
 */
CLNORM_API enum clnorm_status clnorm_mpi_plan_run(struct clnorm_mpi_plan *plan,
                                                  cl_command_queue queue,
                                                  const struct clnorm_arguments *arguments,
                                                  const int64_t *samples, cl_uint waits,
                                                  const cl_event *wait, cl_event *event);

/* ---- Reductions: for shares that something else has reduced ---- */

/* What a reduction is over; all ranks must say the same, but for `values`. */
struct clnorm_mpi_pass {
    enum clnorm_operation operation; /* CLNORM_MOMENTS or CLNORM_BACKWARD_SUMS */
    enum clnorm_dtype dtype;         /* of the tensors */
    int64_t channels;
    int64_t values; /* per channel in the shares of this rank; afterwards, in those of all: the
                       `count` of input-gradient */
};

/*
 * Merges records in host memory over all ranks. `records` has one for each share of this rank, one
 * after the other, as `moments` or `sums` of struct clnorm_arguments has them; NULL when there is
 * none. *total receives one, the same bits on every rank; it may be `records`. What a group of
 * devices on each rank needs, and whoever has several ways to reduce a share. Errors, on all ranks:
 * CLNORM_INVALID_ARGUMENT (also: ranks are in passes that differ in operation, dtype or channels;
 * two alike are not told apart), CLNORM_OUT_OF_MEMORY, CLNORM_UNSUPPORTED, CLNORM_COMMUNICATION_FAILED, and what a rank has said to clnorm_mpi_fail.
 */
CLNORM_API enum clnorm_status clnorm_mpi_reduce(struct clnorm_mpi *mpi,
                                                struct clnorm_mpi_pass *pass, const void *records,
                                                void *total);

/*
 * The same as a callback, for something that merges what its devices have reduced and asks then for
 * the record of the whole batch, as a group of devices does. `user` is a struct
 * clnorm_mpi_exchange, on a communicator with one share a rank, and `set` the record of `bytes`
 * bytes to replace. Whoever fails without having called it tells the other ranks by
 * clnorm_mpi_fail, unless `done` is set.
 */
struct clnorm_mpi_exchange {
    struct clnorm_mpi *mpi;
    struct clnorm_mpi_pass pass; /* of the pass to come; values are then those of all ranks */
    int done;                    /* 1: it was called */
};
CLNORM_API enum clnorm_status clnorm_mpi_exchange(void *user, void *set, size_t bytes);

/*
 * The same for moments as objects, in f64, say of a population: `shares` has one for each share of
 * this rank, and *total, which must have been created, receives those of all ranks.
 */
CLNORM_API enum clnorm_status clnorm_mpi_reduce_moments(struct clnorm_mpi *mpi,
                                                        const struct clnorm_moments *shares,
                                                        struct clnorm_moments *total);

/*
 * Takes part in the reduction that the other ranks are in, or come to next, as a rank that has
 * failed with `status`, which they return. Returns the status that all of them get: this one, or
 * that of a lower rank.
 */
CLNORM_API enum clnorm_status clnorm_mpi_fail(struct clnorm_mpi *mpi, enum clnorm_status status);

#ifdef __cplusplus
}
#endif

#endif
