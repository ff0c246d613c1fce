/*
 * test_mpi_failures SHARES...: on the last rank each OpenCL call of a pass fails in turn, by the
 * layer of tests/layer. No rank waits for ever, all agree on what failed before the reduction, and
 * the pass after it is good. SHARES as for test_mpi.
 */
#include "control.h"
#include "data.h"
#include "mpi_rank.h"
#include "verify.h"

#include <stdio.h>
#include <string.h>

enum { SPATIAL = 7 };

struct pass {
    struct clnorm_mpi_plan *plan;
    cl_command_queue queue;
    struct clnorm_arguments arguments;
    const struct place *place;
};

static enum clnorm_status run(const struct pass *pass)
{
    return clnorm_mpi_plan_run(pass->plan, pass->queue, &pass->arguments,
                               samples + pass->place->first_share, 0, NULL, NULL);
}

/* One call of the last rank fails, or none. Returns how many ranks failed. */
static int run_with_failure(const struct pass *pass, struct clnorm_mpi *mpi, unsigned call)
{
    const struct clnorm_layer_failure failure = {
        .entry = CLNORM_LAYER_ENTRY_COUNT, .call = call, .code = CL_OUT_OF_RESOURCES};
    const int last = rank == ranks - 1;
    int failed[2], all[2]; /* some ranks, and the last */
    clnorm_layer_arm(last && call > 0 ? &failure : NULL);
    const enum clnorm_status status = (enum clnorm_status)CLNORM_LAYER_WATCHED(run(pass));
    failed[0] = status != CLNORM_OK;
    failed[1] = last && failed[0];
    MPI_Allreduce(failed, all, 2, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    expect(all[0] == 0 || all[1] == 1, "ranks failed, but not the one whose device did", mpi);
    expect(all[0] <= 1 || all[0] == ranks, "some ranks know of the failure, and some do not", mpi);
    if (failed[0] && !last) {
        char detail[640], says[64];
        clnorm_mpi_error(mpi, detail, sizeof detail);
        snprintf(says, sizeof says, "rank %d of %d failed", ranks - 1, ranks);
        expect(strstr(detail, says) != NULL, says, mpi);
    }
    return all[0];
}

static void fail_each_call(struct clnorm_mpi *mpi, struct clnorm_context *context,
                           const struct place *place, const char *text)
{
    struct clnorm_problem problem;
    struct clnorm_values values;
    struct pass pass = {.queue = clnorm_context_queue(context), .place = place};
    require(clnorm_problem_parse(text, &problem, NULL, 0) == CLNORM_OK &&
                clnorm_values_create(&values, &problem, place->batch, SPATIAL, 1) == CLNORM_OK,
            text);
    clnorm_data_fill(&values, CLNORM_DATA_ORDINARY, 5);
    upload_all(context, &values, place, &pass.arguments);
    require(clnorm_mpi_plan_create(mpi, context, &problem, &pass.plan) == CLNORM_OK, text);
    expect(run_with_failure(&pass, mpi, 0) == 0, "a good pass", mpi);
    unsigned calls = clnorm_layer_calls(CLNORM_LAYER_ENTRY_COUNT), shared = 0;
    MPI_Bcast(&calls, 1, MPI_UNSIGNED, ranks - 1, MPI_COMM_WORLD);
    clFinish(pass.queue);
    clnorm_pool_trim(context);
    const struct clnorm_layer_references before = clnorm_layer_references();
    for (unsigned call = 1; call <= calls; call++) {
        shared += run_with_failure(&pass, mpi, call) == ranks;
        expect(run_with_failure(&pass, mpi, 0) == 0, "the pass after a failure", mpi);
    }
    expect(shared > 0, "no failure came before the reduction", mpi);
    clFinish(pass.queue);
    clnorm_pool_trim(context);
    const struct clnorm_layer_references after = clnorm_layer_references();
    for (unsigned i = 0; i < CLNORM_LAYER_OBJECT_COUNT; i++)
        expect(after.count[i] == before.count[i], clnorm_layer_object_name(i), NULL);
    if (rank == 0)
        printf("%s: %u calls, %u failures shared\n", text, calls, shared);
    clnorm_mpi_plan_release(pass.plan);
    download_all(context, &values, place, &pass.arguments);
    clnorm_values_free(&values);
}

int main(int count, char **words)
{
    const struct place place = rank_open(count, words);
    struct clnorm_context *const context = rank_context();
    struct clnorm_mpi *const mpi = rank_join(place.shares);
    fail_each_call(mpi, context, &place, "forward nchw f32 ?x5x7 +scale +shift +running");
    fail_each_call(mpi, context, &place, "backward nhwc f32 ?x6x7 +scale +shift +sgd");
    return rank_close(mpi, context);
}
