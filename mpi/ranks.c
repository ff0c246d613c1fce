#include "ranks.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shares of all ranks at most: numbers of nodes stay far from overflow. */
#define SHARES_MAX (INT64_C(1) << 40)

enum clnorm_status clnorm__mpi_fail(struct clnorm_mpi *mpi, enum clnorm_status status,
                                    const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(mpi->error, sizeof mpi->error, format, arguments);
    va_end(arguments);
    return status;
}

int64_t clnorm__mpi_shares(const struct clnorm_mpi *mpi)
{
    return mpi->first[mpi->rank + 1] - mpi->first[mpi->rank];
}

enum clnorm_status clnorm__mpi_check(struct clnorm_mpi *mpi, int code, const char *call)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length;
    if (code == MPI_SUCCESS)
        return CLNORM_OK;
    MPI_Error_string(code, text, &length);
    return clnorm__mpi_fail(mpi, CLNORM_COMMUNICATION_FAILED, "%s failed: %s", call, text);
}

/* From the number of shares of each rank in first[1], first[2], ... to where they begin. */
static enum clnorm_status add_up(struct clnorm_mpi *mpi)
{
    for (int r = 0; r < mpi->ranks; r++) {
        const int64_t shares = mpi->first[r + 1];
        if (shares < 0 || shares > SHARES_MAX - mpi->first[r])
            return clnorm__mpi_fail(mpi, CLNORM_INVALID_ARGUMENT,
                                    "rank %d of %d has %lld shares; 0 to 2^40 are accepted, for "
                                    "all ranks together",
                                    r, mpi->ranks, (long long)shares);
        mpi->first[r + 1] = mpi->first[r] + shares;
    }
    return CLNORM_OK;
}

/* A communicator of our own, and who holds what. */
static enum clnorm_status open_ranks(struct clnorm_mpi *mpi, MPI_Comm communicator, int64_t shares)
{
    MPI_Comm own;
    enum clnorm_status status =
        clnorm__mpi_check(mpi, MPI_Comm_dup(communicator, &own), "MPI_Comm_dup");
    if (status != CLNORM_OK)
        return status;
    mpi->communicator = own;
    MPI_Comm_set_errhandler(own, MPI_ERRORS_RETURN);
    status = clnorm__mpi_check(
        mpi, MPI_Allgather(&shares, 1, MPI_INT64_T, mpi->first + 1, 1, MPI_INT64_T, own),
        "MPI_Allgather");
    return status == CLNORM_OK ? add_up(mpi) : status;
}

/* Memory for all of that on this rank; NULL when there is none. */
static struct clnorm_mpi *allocate(MPI_Comm communicator)
{
    struct clnorm_mpi *const mpi = calloc(1, sizeof *mpi);
    if (!mpi)
        return NULL;
    mpi->communicator = MPI_COMM_NULL;
    MPI_Comm_rank(communicator, &mpi->rank);
    MPI_Comm_size(communicator, &mpi->ranks);
    mpi->first = calloc((size_t)mpi->ranks + 1, sizeof *mpi->first);
    if (mpi->first)
        return mpi;
    free(mpi);
    return NULL;
}

/* Why there can be no ranks at all, or NULL. */
static const char *wrong_use(MPI_Comm communicator)
{
    int started = 0, ended = 0;
    MPI_Initialized(&started);
    MPI_Finalized(&ended);
    if (!started || ended)
        return "MPI is not running: call MPI_Init first";
    return communicator == MPI_COMM_NULL ? "the communicator is MPI_COMM_NULL" : NULL;
}

enum clnorm_status clnorm_mpi_create(MPI_Comm communicator, int64_t shares, struct clnorm_mpi **mpi,
                                     char *message, size_t size)
{
    const char *const wrong = wrong_use(communicator);
    *mpi = NULL;
    if (wrong) {
        if (size > 0)
            snprintf(message, size, "%s", wrong);
        return CLNORM_INVALID_ARGUMENT;
    }
    /* A rank without memory says so before the others count on it. */
    struct clnorm_mpi *made = allocate(communicator);
    int lacks = !made, one_lacks = 1;
    enum clnorm_status status = CLNORM_OUT_OF_MEMORY;
    if (MPI_Allreduce(&lacks, &one_lacks, 1, MPI_INT, MPI_MAX, communicator) == MPI_SUCCESS &&
        !one_lacks)
        status = open_ranks(made, communicator, shares);
    if (status == CLNORM_OK) {
        *mpi = made;
        return CLNORM_OK;
    }
    if (size > 0)
        snprintf(message, size, "%s", made && *made->error ? made->error : "a rank lacks memory");
    clnorm_mpi_release(made);
    return status;
}

void clnorm_mpi_release(struct clnorm_mpi *mpi)
{
    if (!mpi)
        return;
    if (mpi->communicator != MPI_COMM_NULL)
        MPI_Comm_free(&mpi->communicator);
    clnorm_moments_free(&mpi->record.left);
    clnorm_moments_free(&mpi->record.right);
    free(mpi->first);
    free(mpi->message);
    free(mpi->received);
    free(mpi);
}

size_t clnorm_mpi_error(const struct clnorm_mpi *mpi, char *text, size_t size)
{
    const size_t length = strlen(mpi->error);
    if (size > 0)
        snprintf(text, size, "%s", mpi->error);
    return length;
}

struct clnorm_mpi_statistics clnorm_mpi_statistics(const struct clnorm_mpi *mpi)
{
    return mpi->statistics;
}
