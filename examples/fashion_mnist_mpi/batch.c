/* The rows of each batch are spread over the ranks: statistics, and gradients of parameters, are those of all. */
#include "batch.h"

#include <clnorm/mpi.h>

#include <stdlib.h>

#include "ranks.h"

static void require_mpi(int code, const char *what)
{
    if (code != MPI_SUCCESS)
        die("%s failed with MPI error %d", what, code);
}

static void require_clnorm(enum clnorm_status status, const struct ranks *ranks, const char *what)
{
    char detail[640];
    if (status == CLNORM_OK)
        return;
    clnorm_mpi_error(ranks->mpi, detail, sizeof detail);
    die("rank %d: %s: %s", ranks->rank, what, detail);
}

/* ---- Ranks ---- */

struct ranks ranks_open(size_t shares)
{
    struct ranks ranks = {.all_shares = shares};
    char message[256];
    require_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &ranks.rank), "MPI_Comm_rank");
    require_mpi(MPI_Comm_size(MPI_COMM_WORLD, &ranks.count), "MPI_Comm_size");
    const size_t rank = (size_t)ranks.rank, count = (size_t)ranks.count;
    ranks.first_share = shares * rank / count;
    ranks.shares = shares * (rank + 1) / count - ranks.first_share;
    if (clnorm_mpi_create(MPI_COMM_WORLD, (int64_t)ranks.shares, &ranks.mpi, message,
                          sizeof message) != CLNORM_OK)
        die("%s", message);
    return ranks;
}

void ranks_close(struct ranks *ranks)
{
    if (ranks->scratch)
        clReleaseMemObject(ranks->scratch);
    free(ranks->gradient);
    clnorm_mpi_release(ranks->mpi);
}

/* ---- Rows ---- */

/* The first of the shares from `share` on, where a batch is cut as evenly as can be, larger ones first. */
static size_t first_row(size_t rows, size_t shares, size_t share)
{
    const size_t larger = rows % shares;
    return rows / shares * share + (share < larger ? share : larger);
}

struct part batch_part(const struct device *device, size_t rows)
{
    const struct ranks *const ranks = device->ranks;
    const size_t end = first_row(rows, ranks->all_shares, ranks->first_share + ranks->shares);
    struct part part = {.first = first_row(rows, ranks->all_shares, ranks->first_share)};
    part.rows = end - part.first;
    return part;
}

void batch_sum(const struct device *device, cl_float *values, size_t count)
{
    (void)device;
    require_mpi(MPI_Allreduce(MPI_IN_PLACE, values, (int)count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD),
                "MPI_Allreduce");
}

/* ---- Passes ---- */

struct pass {
    struct clnorm_mpi_plan *plan;
};

struct pass *batch_pass(const struct device *device, const char *text)
{
    struct clnorm_problem problem;
    char message[256];
    struct pass *const pass = allocate(sizeof *pass);
    if (clnorm_problem_parse(text, &problem, message, sizeof message) != CLNORM_OK)
        die("%s: %s", text, message);
    require_clnorm(
        clnorm_mpi_plan_create(device->ranks->mpi, device->clnorm, &problem, &pass->plan),
        device->ranks, text);
    return pass;
}

/* Shares of a rank differ by one row at most, the larger ones first: what clnorm makes of NULL, too. */
void batch_pass_run(const struct device *device, struct pass *pass,
                    const struct clnorm_arguments *arguments)
{
    require_clnorm(clnorm_mpi_plan_run(pass->plan, device->queue, arguments, NULL, 0, NULL, NULL),
                   device->ranks, "a pass failed");
}

void batch_pass_release(struct pass *pass)
{
    clnorm_mpi_plan_release(pass->plan);
    free(pass);
}

/* It comes from the context's pool. */
size_t batch_pass_workspace(const struct pass *pass, size_t rows)
{
    (void)pass;
    (void)rows;
    return 0;
}

/* ---- Steps ---- */

struct step batch_step_begin(const struct device *device, cl_mem parameters, size_t count,
                             double rate)
{
    struct ranks *const ranks = device->ranks;
    (void)parameters;
    (void)rate;
    if (count > ranks->room) {
        if (ranks->scratch)
            clReleaseMemObject(ranks->scratch);
        free(ranks->gradient);
        ranks->scratch = device_buffer(device, count * sizeof(cl_float), NULL);
        ranks->gradient = allocate(count * sizeof(cl_float));
        ranks->room = count;
    }
    device_clear(device, ranks->scratch, count);
    return (struct step){ranks->scratch, 1};
}

void batch_step_end(const struct device *device, struct step step, cl_mem parameters, size_t count,
                    double rate)
{
    cl_command_queue queue = device->queue;
    cl_float *const gradient = device->ranks->gradient;
    device_read(device, step.target, count * sizeof *gradient, gradient);
    batch_sum(device, gradient, count);
    device_write(device, step.target, count * sizeof *gradient, gradient);
    if (CLBlastSaxpy(count, (float)-rate, step.target, 0, 1, parameters, 0, 1, &queue, NULL) !=
        CLBlastSuccess)
        die("CLBlastSaxpy failed");
}
