/*
 * What test_mpi.c knows of its rank: the part of the batch that it has, that part on its device,
 * and what it finds wrong.
 */
#ifndef CLNORM_TESTS_MPI_RANK_H
#define CLNORM_TESTS_MPI_RANK_H

#include "values.h"
#include "verify.h"

#include <clnorm/mpi.h>

enum { SHARES_MAX = 8 };
extern const int64_t samples[SHARES_MAX]; /* of the shares */
extern int rank, ranks, wrong;            /* wrong: 1 after a complaint */

struct place {
    int64_t shares, first_share; /* of this rank */
    int64_t all_shares, batch;   /* of all ranks */
    int64_t first, rows;         /* samples of this rank */
    int64_t last_shares;         /* of the last rank */
};

/* Begins a program whose arguments are a word for each rank: how many shares it has. */
struct place rank_open(int count, char **words);

/* The ranks, with so many shares of this one, and a context for it; required. */
struct clnorm_mpi *rank_join(int64_t shares);
struct clnorm_context *rank_context(void);

/* Ends it; either may be NULL. Returns the exit status. */
int rank_close(struct clnorm_mpi *mpi, struct clnorm_context *context);

/* Prints what is wrong, and sets wrong. */
void complain(const char *what, const char *detail);

/* Complains unless it holds, with the detail of clnorm_mpi_error (mpi may be NULL). */
void expect(int holds, const char *what, const struct clnorm_mpi *mpi);

/* Without what comes next nothing makes sense: ends all ranks. */
void require(int holds, const char *what);

/* The elements of a slot that this rank has: its rows of a tensor, all of a parameter. */
void part_of(const struct clnorm_values *values, const struct place *place, int slot, size_t *first,
             size_t *count);

/* Buffers with this rank's part of the values. */
void upload_all(struct clnorm_context *context, const struct clnorm_values *values,
                const struct place *place, struct clnorm_arguments *arguments);

/* Frees them; what was written goes to `values`, of which only this rank's part is touched. */
void download_all(struct clnorm_context *context, struct clnorm_values *values,
                  const struct place *place, struct clnorm_arguments *arguments);

/* FNV-1a of bytes that follow those `start` is of. */
uint64_t digest(uint64_t start, const void *data, size_t bytes);

/* Puts what all ranks have written together, and complains where parameters are not the same bits
 * on all of them. Returns the digest of all. */
uint64_t gather(struct clnorm_values *values, const struct place *place, const char *text);

#endif
