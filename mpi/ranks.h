/* The ranks of a communicator and the shares they hold, as the files of clnorm_mpi share them. */
#ifndef CLNORM_MPI_RANKS_H
#define CLNORM_MPI_RANKS_H

#include "run.h"

#include <clnorm/mpi.h>

/* What a message begins with, and what a pass has come to so far. */
struct clnorm__header {
    int32_t status; /* enum clnorm_status of the first rank that failed */
    int16_t operation, dtype;
    int32_t rank;    /* that rank, and whether it */
    int32_t differs; /* is in another pass than those before it */
    int64_t channels, values;
};
_Static_assert(sizeof(struct clnorm__header) == 32, "the header has no holes");

struct clnorm_mpi {
    MPI_Comm communicator;
    int rank, ranks;
    int64_t *first;               /* rank r holds the shares from first[r] to first[r + 1] - 1 */
    struct clnorm__record record; /* of the last pass */
    unsigned char *message;       /* a header, and the records of a run */
    unsigned char *received;
    size_t received_room;
    struct clnorm_mpi_statistics statistics;
    char error[640];
};

/* Keeps a printf'd detail as the last error and returns status. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
enum clnorm_status
clnorm__mpi_fail(struct clnorm_mpi *mpi, enum clnorm_status status, const char *format, ...);

/* The status of an MPI call; when it failed, that is the last error. */
enum clnorm_status clnorm__mpi_check(struct clnorm_mpi *mpi, int code, const char *call);

/* Bytes of a record. */
size_t clnorm__mpi_record_bytes(const struct clnorm_mpi_pass *pass);

/* Shares of this rank. */
int64_t clnorm__mpi_shares(const struct clnorm_mpi *mpi);

/*
 * clnorm_mpi_reduce by a rank for which things stand as `status` says; when that is not CLNORM_OK,
 * its detail is the last error, and records and total are ignored.
 */
enum clnorm_status clnorm__mpi_reduce(struct clnorm_mpi *mpi, enum clnorm_status status,
                                      struct clnorm_mpi_pass *pass, const void *records,
                                      void *total);

#endif
