/*
 * The reduction of one pass: up a binomial tree of the ranks, whose partial results are runs of
 * shares, and down again. A rank that has failed sends headers alone.
 */
#include "ranks.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UP = 1, DOWN = 2 }; /* tags */

/* A pass as a rank goes through it. */
struct passage {
    struct clnorm_mpi *mpi;
    struct clnorm__header header;
    struct clnorm__run run;
};

static int failed(const struct passage *passage)
{
    return passage->header.status != CLNORM_OK;
}

/* This rank fails, its detail being the last error, unless another has already. */
static void fail_here(struct passage *passage, enum clnorm_status status)
{
    if (failed(passage) || status == CLNORM_OK)
        return;
    passage->header.status = (int32_t)status;
    passage->header.rank = passage->mpi->rank;
    passage->header.differs = 0;
}

static int call(struct passage *passage, int code, const char *name)
{
    if (code != MPI_SUCCESS && !failed(passage))
        fail_here(passage, clnorm__mpi_check(passage->mpi, code, name));
    return code == MPI_SUCCESS;
}

/* ---- Messages ---- */

static void send(struct passage *passage, int to, int tag, size_t records)
{
    struct clnorm_mpi *const mpi = passage->mpi;
    unsigned char alone[sizeof passage->header];
    const int whole = !failed(passage);
    unsigned char *const message = whole ? mpi->message : alone;
    const size_t bytes = sizeof alone + (whole ? records * mpi->record.bytes : 0);
    memcpy(message, &passage->header, sizeof passage->header);
    if (!call(passage, MPI_Send(message, (int)bytes, MPI_BYTE, to, tag, mpi->communicator),
              "MPI_Send"))
        return;
    mpi->statistics.messages++;
    mpi->statistics.bytes += bytes;
}

static int make_room(struct clnorm_mpi *mpi, size_t bytes)
{
    if (bytes <= mpi->received_room)
        return 1;
    unsigned char *const more = realloc(mpi->received, bytes);
    if (!more)
        return 0;
    mpi->received = more;
    mpi->received_room = bytes;
    return 1;
}

/*
 * Receives a message of any length. Returns the bytes behind its header, which is in *header; or -1
 * when the pass has failed by that.
 */
static int64_t receive(struct passage *passage, int from, int tag, struct clnorm__header *header)
{
    struct clnorm_mpi *const mpi = passage->mpi;
    MPI_Message message;
    MPI_Status found;
    int bytes = 0;
    if (!call(passage, MPI_Mprobe(from, tag, mpi->communicator, &message, &found), "MPI_Mprobe") ||
        !call(passage, MPI_Get_count(&found, MPI_BYTE, &bytes), "MPI_Get_count"))
        return -1;
    if (!make_room(mpi, (size_t)bytes)) { /* what is left of it is the error */
        MPI_Mrecv(header, (int)sizeof *header, MPI_BYTE, &message, &found);
        fail_here(passage, clnorm__mpi_fail(mpi, CLNORM_OUT_OF_MEMORY,
                                            "no memory for a message of %d bytes", bytes));
        return -1;
    }
    if (!call(passage, MPI_Mrecv(mpi->received, bytes, MPI_BYTE, &message, &found), "MPI_Mrecv"))
        return -1;
    memcpy(header, mpi->received, sizeof *header);
    return bytes - (int64_t)sizeof *header;
}

/* ---- Up ---- */

static int is_same_pass(const struct clnorm__header *a, const struct clnorm__header *b)
{
    return a->operation == b->operation && a->dtype == b->dtype && a->channels == b->channels;
}

/* Adds what ranks from `from` to `end` - 1 have come to; of two failures that of the lower rank
 * counts. */
static void receive_run(struct passage *passage, int from, int end)
{
    struct clnorm_mpi *const mpi = passage->mpi;
    const int64_t first = mpi->first[from], last = mpi->first[end];
    struct clnorm__header header;
    const int64_t bytes = receive(passage, from, UP, &header);
    if (bytes < 0 || failed(passage))
        return;
    if (header.status != CLNORM_OK) {
        passage->header.status = header.status;
        passage->header.rank = header.rank;
        passage->header.differs = header.differs;
    } else if (!is_same_pass(&passage->header, &header)) {
        passage->header.status = CLNORM_INVALID_ARGUMENT;
        passage->header.rank = from;
        passage->header.differs = 1;
    } else {
        passage->header.values += header.values;
        clnorm__run_append(&passage->run, first, last, mpi->received + sizeof header);
    }
}

/* Returns this rank's distance from the rank that it has sent to; at the root, one that no rank
 * has. */
static int go_up(struct passage *passage)
{
    const struct clnorm_mpi *const mpi = passage->mpi;
    int step = 1;
    for (; step < mpi->ranks; step *= 2) {
        if (mpi->rank & step) {
            send(passage, mpi->rank - step, UP, passage->run.count);
            break;
        }
        const int from = mpi->rank + step;
        if (from < mpi->ranks)
            receive_run(passage, from, mpi->ranks - from > step ? from + step : mpi->ranks);
    }
    return step;
}

/* ---- Down ---- */

static void receive_total(struct passage *passage, int from)
{
    struct clnorm_mpi *const mpi = passage->mpi;
    struct clnorm__header header;
    const int64_t bytes = receive(passage, from, DOWN, &header);
    if (bytes < 0)
        return;
    passage->header = header;
    if (bytes > 0)
        memcpy(mpi->message + sizeof header, mpi->received + sizeof header, (size_t)bytes);
}

static void go_down(struct passage *passage, int step)
{
    const struct clnorm_mpi *const mpi = passage->mpi;
    if (mpi->rank != 0)
        receive_total(passage, mpi->rank - step);
    else if (!failed(passage) && passage->run.count == 0) /* no shares at all */
        memset(passage->run.records, 0, mpi->record.bytes);
    for (step /= 2; step > 0; step /= 2)
        if (step < mpi->ranks - mpi->rank)
            send(passage, mpi->rank + step, DOWN, 1);
}

/* ---- The pass ---- */

static enum clnorm_status check_pass(struct clnorm_mpi *mpi, const struct clnorm_mpi_pass *pass)
{
    const int known = pass->operation == CLNORM_MOMENTS || pass->operation == CLNORM_BACKWARD_SUMS;
    if (known && clnorm_dtype_size(pass->dtype) > 0 && pass->channels >= 1 &&
        pass->channels <= INT_MAX && pass->values >= 0)
        return CLNORM_OK;
    return clnorm__mpi_fail(mpi, CLNORM_INVALID_ARGUMENT,
                            "pass: records are of moments or backward-sums, of a known dtype, of 1 "
                            "to 2^31 - 1 channels, and of values >= 0");
}

size_t clnorm__mpi_record_bytes(const struct clnorm_mpi_pass *pass)
{
    const size_t planes = pass->operation == CLNORM_MOMENTS ? 4 : 2;
    return planes * (size_t)pass->channels * clnorm_dtype_parameter_size(pass->dtype);
}

/* Moments of this many channels to merge with. */
static int make_scratch(struct clnorm__record *record, int64_t channels)
{
    if (record->left.channels == channels)
        return 1;
    clnorm_moments_free(&record->left);
    clnorm_moments_free(&record->right);
    if (clnorm_moments_create(channels, &record->right) != CLNORM_OK)
        return 0;
    return clnorm_moments_create(channels, &record->left) == CLNORM_OK;
}

/* Makes everything that merging records of the pass takes. */
static enum clnorm_status make_record(struct clnorm_mpi *mpi, const struct clnorm_mpi_pass *pass)
{
    struct clnorm__record *const record = &mpi->record;
    const int moments = pass->operation == CLNORM_MOMENTS;
    const size_t room = clnorm__run_room(mpi->first[mpi->ranks]);
    const enum clnorm_status status = check_pass(mpi, pass);
    if (status != CLNORM_OK)
        return status;
    const size_t bytes = clnorm__mpi_record_bytes(pass);
    if (bytes > (INT_MAX - sizeof(struct clnorm__header)) / room)
        return clnorm__mpi_fail(mpi, CLNORM_UNSUPPORTED,
                                "%lld channels: a message could have more than 2 GiB",
                                (long long)pass->channels);
    unsigned char *const message =
        realloc(mpi->message, sizeof(struct clnorm__header) + room * bytes);
    mpi->message = message ? message : mpi->message;
    if (!message || (moments && !make_scratch(record, pass->channels)))
        return clnorm__mpi_fail(mpi, CLNORM_OUT_OF_MEMORY,
                                "no memory for messages of %lld channels",
                                (long long)pass->channels);
    record->operation = pass->operation;
    record->dtype = pass->dtype;
    record->channels = pass->channels;
    record->bytes = bytes;
    return CLNORM_OK;
}

static void add_own_shares(struct passage *passage, const void *records)
{
    const struct clnorm_mpi *const mpi = passage->mpi;
    const unsigned char *at = records;
    for (int64_t share = mpi->first[mpi->rank]; share < mpi->first[mpi->rank + 1]; share++) {
        clnorm__run_append(&passage->run, share, share + 1, at);
        at += mpi->record.bytes;
    }
}

static enum clnorm_status say_failure(struct clnorm_mpi *mpi, const struct clnorm__header *header)
{
    const enum clnorm_status status = (enum clnorm_status)header->status;
    if (header->differs)
        return clnorm__mpi_fail(mpi, status,
                                "rank %d of %d is in another pass than rank 0, of another "
                                "operation, dtype or number of channels; all ranks must make the "
                                "same passes in the same order",
                                header->rank, mpi->ranks);
    if (header->rank == mpi->rank)
        return status;
    return clnorm__mpi_fail(mpi, status,
                            "rank %d of %d failed: %s; clnorm_mpi_error there says more",
                            header->rank, mpi->ranks, clnorm_status_text(status));
}

enum clnorm_status clnorm__mpi_reduce(struct clnorm_mpi *mpi, enum clnorm_status status,
                                      struct clnorm_mpi_pass *pass, const void *records,
                                      void *total)
{
    struct passage passage = {.mpi = mpi};
    if (status == CLNORM_OK)
        status = make_record(mpi, pass);
    fail_here(&passage, status);
    if (!failed(&passage)) {
        passage.header.operation = (int16_t)pass->operation;
        passage.header.dtype = (int16_t)pass->dtype;
        passage.header.channels = pass->channels;
        passage.header.values = pass->values;
        passage.run.record = &mpi->record;
        passage.run.shares = mpi->first[mpi->ranks];
        passage.run.records = mpi->message + sizeof passage.header;
        add_own_shares(&passage, records);
    }
    go_down(&passage, go_up(&passage));
    mpi->statistics.passes++;
    if (failed(&passage))
        return say_failure(mpi, &passage.header);
    memcpy(total, mpi->message + sizeof passage.header, mpi->record.bytes);
    pass->values = passage.header.values;
    return CLNORM_OK;
}

enum clnorm_status clnorm_mpi_reduce(struct clnorm_mpi *mpi, struct clnorm_mpi_pass *pass,
                                     const void *records, void *total)
{
    enum clnorm_status status = CLNORM_OK;
    if (!total || (!records && clnorm__mpi_shares(mpi) > 0))
        status = clnorm__mpi_fail(mpi, CLNORM_INVALID_ARGUMENT, "%s is NULL",
                                  total ? "records" : "total");
    return clnorm__mpi_reduce(mpi, status, pass, records, total);
}

enum clnorm_status clnorm_mpi_exchange(void *user, void *set, size_t bytes)
{
    struct clnorm_mpi_exchange *const exchange = user;
    struct clnorm_mpi *const mpi = exchange->mpi;
    const size_t wanted = clnorm__mpi_record_bytes(&exchange->pass);
    enum clnorm_status status = CLNORM_OK;
    exchange->done = 1;
    if (clnorm__mpi_shares(mpi) != 1 || bytes != wanted)
        status = clnorm__mpi_fail(mpi, CLNORM_INVALID_ARGUMENT,
                                  "a set of %zu bytes for %lld shares, where a record of %zu for "
                                  "one share is exchanged",
                                  bytes, (long long)clnorm__mpi_shares(mpi), wanted);
    return clnorm__mpi_reduce(mpi, status, &exchange->pass, set, set);
}

enum clnorm_status clnorm_mpi_reduce_moments(struct clnorm_mpi *mpi,
                                             const struct clnorm_moments *shares,
                                             struct clnorm_moments *total)
{
    struct clnorm_mpi_pass pass = {CLNORM_MOMENTS, CLNORM_F64, total->channels, 0};
    const int64_t count = clnorm__mpi_shares(mpi);
    const size_t row = 4 * (size_t)total->channels * sizeof(double);
    enum clnorm_status status = CLNORM_OK;
    unsigned char *const records = malloc((size_t)count * row + 1);
    if (!records)
        status = clnorm__mpi_fail(mpi, CLNORM_OUT_OF_MEMORY, "no memory for %lld shares",
                                  (long long)count);
    for (int64_t i = 0; status == CLNORM_OK && i < count; i++) {
        if (shares[i].channels == total->channels)
            clnorm_moments_pack(&shares[i], CLNORM_F64, records + (size_t)i * row);
        else
            status = clnorm__mpi_fail(mpi, CLNORM_INVALID_ARGUMENT,
                                      "share %lld of this rank has %lld channels, total has %lld",
                                      (long long)i, (long long)shares[i].channels,
                                      (long long)total->channels);
    }
    status = clnorm__mpi_reduce(mpi, status, &pass, records, total->count);
    free(records);
    return status;
}

enum clnorm_status clnorm_mpi_fail(struct clnorm_mpi *mpi, enum clnorm_status status)
{
    struct clnorm_mpi_pass pass = {.channels = 0};
    if (status == CLNORM_OK)
        status = CLNORM_INVALID_ARGUMENT;
    clnorm__mpi_fail(mpi, status, "this rank has failed, as it said to clnorm_mpi_fail");
    return clnorm__mpi_reduce(mpi, status, &pass, NULL, NULL);
}
