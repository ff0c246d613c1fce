/*
 * test_mpi SHARES...: one batch over the ranks of mpirun, against the f64 reference over all of it.
 *
 * SHARES has how many of the batch's shares each rank holds; test_mpi.py runs it with the same
 * shares on different ranks. Rank 0 prints a line for each case with a digest of everything
 * written, which must not depend on who holds what. Exits with 1 when a rank finds something wrong.
 */
#include "compare.h"
#include "mpi_rank.h"
#include "reference.h"
#include "verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPATIAL = 7 };

/* ---- A case -------------------------------------------------------------------------------- */

static struct clnorm_values values_of(const char *text, const struct place *place,
                                      enum clnorm_data data)
{
    struct clnorm_problem problem;
    struct clnorm_values values;
    require(clnorm_problem_parse(text, &problem, NULL, 0) == CLNORM_OK, text);
    require(clnorm_values_create(&values, &problem, place->batch, SPATIAL, 1) == CLNORM_OK, text);
    clnorm_data_fill(&values, data, 17);
    return values;
}

/* Nodes of the tree over shares [low, high) that cover [first, end) of `all`, and no more. */
static uint64_t nodes(int64_t low, int64_t high, int64_t all, int64_t first, int64_t end)
{
    const int64_t last = high < all ? high : all;
    if (first >= last || end <= low)
        return 0;
    if (first <= low && last <= end)
        return 1;
    const int64_t middle = low + (high - low) / 2;
    return nodes(low, middle, all, first, end) + nodes(middle, high, all, first, end);
}

/* Bytes that one pass sends in all: from each rank but the first, the nodes of what it and the
 * ranks below it hold; and to each, one record. */
static uint64_t theory(const struct clnorm_problem *problem, const struct place *place)
{
    int64_t first[64] = {0};
    const uint64_t planes = problem->operation == CLNORM_FORWARD ? 4 : 2;
    const uint64_t record = planes * (uint64_t)problem->channels *
                            (uint64_t)clnorm_dtype_parameter_size(problem->dtype);
    uint64_t bytes = 0;
    require(ranks < 64, "ranks");
    MPI_Allgather(&place->first_share, 1, MPI_INT64_T, first, 1, MPI_INT64_T, MPI_COMM_WORLD);
    first[ranks] = place->all_shares;
    for (int r = 1; r < ranks; r++) {
        const int below = r + (r & -r) < ranks ? r + (r & -r) : ranks;
        bytes += 32 + record * nodes(0, SHARES_MAX, place->all_shares, first[r], first[below]);
        bytes += 32 + record;
    }
    return bytes;
}

static void check_volume(const struct clnorm_mpi *mpi, const struct clnorm_mpi_statistics *before,
                         const struct clnorm_problem *problem, const struct place *place)
{
    const struct clnorm_mpi_statistics after = clnorm_mpi_statistics(mpi);
    const uint64_t wanted = theory(problem, place);
    uint64_t sent[2] = {after.messages - before->messages, after.bytes - before->bytes}, all[2];
    MPI_Allreduce(sent, all, 2, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
    expect(all[0] == 2 * (uint64_t)(ranks - 1), "number of messages", NULL);
    expect(all[1] == wanted, "bytes of a pass", NULL);
    if (rank == 0)
        printf("volume: %s: %llu messages, %llu bytes; by theory %llu\n",
               clnorm_operation_name(problem->operation), (unsigned long long)all[0],
               (unsigned long long)all[1], (unsigned long long)wanted);
}

static void run_case(struct clnorm_mpi *mpi, struct clnorm_context *context,
                     const struct place *place, const char *text, enum clnorm_data data)
{
    struct clnorm_values values = values_of(text, place, data), expected;
    struct clnorm_mpi_plan *plan;
    struct clnorm_arguments arguments;
    char detail[256] = "";
    require(clnorm_values_copy(&expected, &values) == CLNORM_OK, text);
    clnorm_reference_run(&expected);
    upload_all(context, &values, place, &arguments);
    const struct clnorm_mpi_statistics before = clnorm_mpi_statistics(mpi);
    enum clnorm_status status = clnorm_mpi_plan_create(mpi, context, &values.problem, &plan);
    expect(status == CLNORM_OK, text, mpi);
    require(status == CLNORM_OK, text);
    cl_event event = NULL;
    status = clnorm_mpi_plan_run(plan, clnorm_context_queue(context), &arguments,
                                 samples + place->first_share, 0, NULL, &event);
    expect(status == CLNORM_OK, text, mpi);
    if (status == CLNORM_OK) {
        require(event && clWaitForEvents(1, &event) == CL_SUCCESS, text);
        clReleaseEvent(event);
    }
    download_all(context, &values, place, &arguments);
    const uint64_t sum = gather(&values, place, text);
    if (clnorm_compare(&expected, &values, detail, sizeof detail) > 1)
        complain(text, detail);
    if (rank == 0)
        printf("%s | %s | %lld shares | %016llx\n", text, clnorm_data_name(data),
               (long long)place->all_shares, (unsigned long long)sum);
    check_volume(mpi, &before, &values.problem, place);
    clnorm_mpi_plan_release(plan);
    clnorm_values_free(&values);
    clnorm_values_free(&expected);
}

/* ---- Failures ------------------------------------------------------------------------------ */

static int break_receive; /* the next MPI_Mrecv of this rank fails */

int MPI_Mrecv(void *buffer, int count, MPI_Datatype type, MPI_Message *message, MPI_Status *status)
{
    const int code = PMPI_Mrecv(buffer, count, type, message, status);
    const int breaks = break_receive;
    break_receive = 0;
    return breaks ? MPI_ERR_INTERN : code;
}

/* A pass over records of one channel for each share: the counts are summed. */
static enum clnorm_status count_shares(struct clnorm_mpi *mpi, const struct place *place,
                                       int64_t channels)
{
    float records[4 * 2 * SHARES_MAX] = {0}, total[4 * 2] = {0};
    struct clnorm_mpi_pass pass = {CLNORM_MOMENTS, CLNORM_F16, channels, place->shares};
    for (int64_t i = 0; i < place->shares; i++)
        records[4 * channels * i] = 1;
    const enum clnorm_status status = clnorm_mpi_reduce(mpi, &pass, records, total);
    if (status == CLNORM_OK)
        expect(pass.values == place->all_shares && (int64_t)total[0] == place->all_shares,
               "the shares are not all counted", mpi);
    return status;
}

static void expect_failure(const struct clnorm_mpi *mpi, enum clnorm_status status,
                           enum clnorm_status wanted, const char *says)
{
    char detail[640] = "";
    clnorm_mpi_error(mpi, detail, sizeof detail);
    expect(status == wanted, "another status was expected", mpi);
    expect(strstr(detail, says) != NULL, says, mpi);
}

/* Every rank fails in turn, in every way; all of them know, and the next pass is good. */
static void failures_are_shared(struct clnorm_mpi *mpi, const struct place *place)
{
    char says[64];
    for (int bad = 0; bad < ranks; bad++) {
        const int mine = rank == bad;
        snprintf(says, sizeof says, "rank %d of %d", bad, ranks);
        expect_failure(
            mpi, mine ? clnorm_mpi_fail(mpi, CLNORM_OUT_OF_MEMORY) : count_shares(mpi, place, 1),
            CLNORM_OUT_OF_MEMORY, mine ? "this rank" : says);
        expect_failure(mpi, count_shares(mpi, place, mine ? 0 : 1), CLNORM_INVALID_ARGUMENT,
                       mine ? "channels" : says);
        expect(count_shares(mpi, place, 1) == CLNORM_OK, "the pass after a failure", mpi);
        const enum clnorm_status differs = count_shares(mpi, place, mine ? 2 : 1);
        if (ranks > 1)
            expect_failure(mpi, differs, CLNORM_INVALID_ARGUMENT, "another pass");
        /* The root cannot receive: all others hear of it. */
        break_receive = ranks > 1 && rank == 0;
        const enum clnorm_status broken = count_shares(mpi, place, 1);
        if (ranks > 1)
            expect_failure(mpi, broken, CLNORM_COMMUNICATION_FAILED,
                           rank == 0 ? "MPI_Mrecv" : "rank 0");
        expect(count_shares(mpi, place, 1) == CLNORM_OK, "the pass after a failure", mpi);
    }
}

enum { NO_ARGUMENTS, WRONG_SIZE, WRONG_BATCH, WRONG_SAMPLES, NO_X, WAYS };

/* A pass in which the last rank does something wrong. */
static enum clnorm_status run_wrongly(struct clnorm_mpi_plan *plan, cl_command_queue queue,
                                      const struct clnorm_arguments *good,
                                      const struct place *place, int way)
{
    static const int64_t too_many[SHARES_MAX] = {1000};
    struct clnorm_arguments arguments = *good;
    const int64_t *own = samples + place->first_share;
    if (rank == ranks - 1) {
        arguments.size -= way == WRONG_SIZE;
        arguments.batch += way == WRONG_BATCH;
        own = way == WRONG_SAMPLES && place->shares > 0 ? too_many : own;
        arguments.x.memory = way == NO_X ? NULL : arguments.x.memory;
    }
    return clnorm_mpi_plan_run(plan, queue,
                               way == NO_ARGUMENTS && rank == ranks - 1 ? NULL : &arguments, own, 0,
                               NULL, NULL);
}

/* All ranks fail; but a rank without shares needs neither their samples nor x. */
static void wrong_arguments_are_shared(struct clnorm_mpi *mpi, struct clnorm_context *context,
                                       const struct place *place)
{
    struct clnorm_values values =
        values_of("forward nchw f32 ?x5x7 +scale +shift +running", place, CLNORM_DATA_ORDINARY);
    struct clnorm_mpi_plan *plan;
    struct clnorm_arguments arguments;
    struct clnorm_problem problem = values.problem;
    const cl_command_queue queue = clnorm_context_queue(context);
    upload_all(context, &values, place, &arguments);
    require(clnorm_mpi_plan_create(mpi, context, &problem, &plan) == CLNORM_OK, "plan");
    for (int way = 0; way < WAYS; way++) {
        const int good = place->last_shares == 0 && (way == WRONG_SAMPLES || way == NO_X);
        const enum clnorm_status status = run_wrongly(plan, queue, &arguments, place, way);
        expect(status == (good ? CLNORM_OK : CLNORM_INVALID_ARGUMENT), "wrong arguments", mpi);
    }
    expect(clnorm_mpi_plan_run(plan, queue, &arguments, NULL, 0, NULL, NULL) == CLNORM_OK,
           "even shares", mpi);
    download_all(context, &values, place, &arguments);
    clnorm_mpi_plan_release(plan);
    problem.flags |= CLNORM_GHOST;
    problem.ghost = 2;
    expect(clnorm_mpi_plan_create(mpi, context, &problem, &plan) == CLNORM_UNSUPPORTED && !plan,
           "a plan of ghost batches", mpi);
    problem.operation = CLNORM_INFER;
    problem.flags = 0;
    problem.ghost = 0;
    expect(clnorm_mpi_plan_create(mpi, context, &problem, &plan) == CLNORM_INVALID_ARGUMENT &&
               !plan,
           "a plan of infer", mpi);
    clnorm_values_free(&values);
}

/* ---- Moments as objects -------------------------------------------------------------------- */

static void reduce_population(MPI_Comm communicator, const struct place *place, const char *title)
{
    enum { CHANNELS = 3 };
    struct clnorm_mpi *mpi;
    struct clnorm_moments mine[SHARES_MAX], total, alone;
    double values[3] = {(double)place->first_share, (double)place->shares, 0};
    require(clnorm_mpi_create(communicator, place->shares, &mpi, NULL, 0) == CLNORM_OK, title);
    for (int64_t i = 0; i < place->shares; i++) {
        const double number = (double)(place->first_share + i);
        require(clnorm_moments_create(CHANNELS, &mine[i]) == CLNORM_OK, title);
        for (int c = 0; c < CHANNELS; c++) {
            mine[i].count[c] = number;
            mine[i].mean[c] = number > 0 ? 1e6 + sin(7 * number + c) : 0;
            mine[i].m2[c] = number > 0 ? 0.1 * number : 0;
        }
    }
    /* Those of all shares of the communicator's ranks, one after the other. */
    MPI_Allreduce(MPI_IN_PLACE, values, 1, MPI_DOUBLE, MPI_MIN, communicator);
    MPI_Allreduce(MPI_IN_PLACE, values + 1, 1, MPI_DOUBLE, MPI_SUM, communicator);
    require(clnorm_moments_create(CHANNELS, &total) == CLNORM_OK &&
                clnorm_moments_create(CHANNELS, &alone) == CLNORM_OK,
            title);
    struct clnorm_moments one;
    require(clnorm_moments_create(CHANNELS, &one) == CLNORM_OK, title);
    for (double number = values[0]; number < values[0] + values[1]; number++) {
        for (int c = 0; c < CHANNELS; c++) {
            one.count[c] = number;
            one.mean[c] = 1e6 + sin(7 * number + c);
            one.m2[c] = 0.1 * number;
        }
        clnorm_moments_merge(&alone, &one);
    }
    expect(clnorm_mpi_reduce_moments(mpi, mine, &total) == CLNORM_OK, title, mpi);
    for (int c = 0; c < CHANNELS; c++)
        expect(total.count[c] == alone.count[c] &&
                   fabs(total.mean[c] - alone.mean[c]) <= 1e-15 * 1e6 &&
                   fabs(total.m2[c] - alone.m2[c]) <= 1e-13 * alone.m2[c],
               title, mpi);
    if (rank == 0)
        printf("%s | %g shares | %016llx\n", title, values[1],
               (unsigned long long)digest(0, total.count, 4 * CHANNELS * sizeof(double)));
    clnorm_moments_free(&one);
    clnorm_moments_free(&alone);
    clnorm_moments_free(&total);
    for (int64_t i = 0; i < place->shares; i++)
        clnorm_moments_free(&mine[i]);
    clnorm_mpi_release(mpi);
}

/* What a group of devices on each rank does: one record of sums, replaced by that of all. */
static void records_are_exchanged(void)
{
    struct clnorm_mpi *mpi;
    double set[2] = {rank + 1, 0.5};
    require(clnorm_mpi_create(MPI_COMM_WORLD, 1, &mpi, NULL, 0) == CLNORM_OK, "exchange");
    struct clnorm_mpi_exchange exchange = {mpi, {CLNORM_BACKWARD_SUMS, CLNORM_F64, 1, rank}, 0};
    expect(clnorm_mpi_exchange(&exchange, set, sizeof set) == CLNORM_OK && exchange.done &&
               set[0] == ranks * (ranks + 1) / 2 && set[1] == 0.5 * ranks &&
               exchange.pass.values == ranks * (ranks - 1) / 2,
           "exchange", mpi);
    expect(clnorm_mpi_exchange(&exchange, set, rank == ranks - 1 ? 8 : 16) ==
               CLNORM_INVALID_ARGUMENT,
           "exchange of another size", mpi);
    clnorm_mpi_release(mpi);
}

static void wrong_use_is_refused(void)
{
    struct clnorm_mpi *mpi = (void *)&wrong;
    char message[160] = "";
    expect(clnorm_mpi_create(MPI_COMM_NULL, 1, &mpi, message, sizeof message) ==
                   CLNORM_INVALID_ARGUMENT &&
               !mpi && strstr(message, "MPI_COMM_NULL"),
           "no communicator", NULL);
    expect(clnorm_mpi_create(MPI_COMM_WORLD, rank == ranks - 1 ? -1 : 1, &mpi, message,
                             sizeof message) == CLNORM_INVALID_ARGUMENT &&
               !mpi && strstr(message, "-1 shares"),
           "-1 shares", NULL);
    clnorm_mpi_release(NULL);
    clnorm_mpi_plan_release(NULL);
}

static const struct {
    const char *text;
    enum clnorm_data data;
} cases[] = {
    {"forward nchw f32 ?x5x7 +scale +shift +running", CLNORM_DATA_ORDINARY},
    {"forward nchw f32 ?x5x7 +scale +shift +running", CLNORM_DATA_LARGE_MEAN},
    {"forward nchw f32 ?x5x7 +scale +shift +running", CLNORM_DATA_OUTLIER},
    {"forward nchw f32 ?x5x7 +scale +shift +running", CLNORM_DATA_NAN},
    {"forward nhwc f16 ?x6x7 +add +relu +running +biased", CLNORM_DATA_ORDINARY},
    {"forward nchw f64 ?x5x7", CLNORM_DATA_LARGE_MEAN},
    {"backward nchw f32 ?x5x7 +scale +shift +relu", CLNORM_DATA_ORDINARY},
    {"backward nhwc f32 ?x6x7 +scale +shift +sgd", CLNORM_DATA_ORDINARY},
    {"forward nhwc f32 ?x6x7 +running +renorm", CLNORM_DATA_ORDINARY},
    {"backward nchw f32 ?x5x7 +scale +renorm", CLNORM_DATA_ORDINARY},
    {"forward nchw f32 ?x5x7 +running +lengths", CLNORM_DATA_ORDINARY},
    {"backward nhwc f32 ?x6x7 +scale +shift +lengths", CLNORM_DATA_ORDINARY},
};

int main(int count, char **words)
{
    const struct place place = rank_open(count, words);
    struct clnorm_context *const context = rank_context();
    struct clnorm_mpi *const mpi = rank_join(place.shares);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        run_case(mpi, context, &place, cases[i].text, cases[i].data);
    failures_are_shared(mpi, &place);
    wrong_arguments_are_shared(mpi, context, &place);
    records_are_exchanged();
    wrong_use_is_refused();
    reduce_population(MPI_COMM_WORLD, &place, "population");
    MPI_Comm half;
    MPI_Comm_split(MPI_COMM_WORLD, rank / 2, rank, &half);
    reduce_population(half, &place, "half");
    MPI_Comm_free(&half);
    return rank_close(mpi, context);
}
