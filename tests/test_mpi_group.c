/*
 * test_mpi_group SHARES...: one batch over the ranks of mpirun, each of which has a group of two
 * devices, against the f64 reference over all of it. SHARES as for test_mpi: a rank has the samples
 * of that many.
 */
#include "group/rig.h"
#include "mpi_rank.h"

enum { SPATIAL = 7 };

/* The inputs of this rank: its rows of tensors, all of parameters. */
static struct clnorm_values part_of_values(const struct clnorm_values *whole,
                                           const struct place *place)
{
    struct clnorm_values part;
    struct clnorm_problem problem = whole->problem;
    require(clnorm_values_create(&part, &problem, place->rows, SPATIAL, 1) == CLNORM_OK, "memory");
    for (int slot = 0; slot < CLNORM_SLOT_COUNT; slot++) {
        size_t first, count;
        if (whole->slot[slot].use == CLNORM_UNUSED)
            continue;
        part_of(whole, place, slot, &first, &count);
        memcpy(part.slot[slot].data, whole->slot[slot].data + first, count * sizeof(double));
    }
    return part;
}

/* What this rank has written, back into the whole. */
static void put_back(struct clnorm_values *whole, const struct clnorm_values *part,
                     const struct place *place)
{
    for (int slot = 0; slot < CLNORM_SLOT_COUNT; slot++) {
        size_t first, count;
        const enum clnorm_use use = whole->slot[slot].use;
        if (use != CLNORM_WRITTEN && use != CLNORM_READ_WRITTEN)
            continue;
        part_of(whole, place, slot, &first, &count);
        memcpy(whole->slot[slot].data + first, part->slot[slot].data, count * sizeof(double));
    }
}

static void run_case(struct clnorm_mpi *mpi, struct rig *rig, const struct place *place,
                     const char *text)
{
    struct clnorm_values inputs =
        values_of(text, place->batch, SPATIAL, 1, CLNORM_DATA_LARGE_MEAN, 17);
    struct clnorm_values whole, expected, observed, part = part_of_values(&inputs, place);
    struct load load;
    char detail[256] = "", error[256];
    require(clnorm_values_copy(&whole, &inputs) == CLNORM_OK &&
                clnorm_values_copy(&expected, &inputs) == CLNORM_OK,
            text);
    clnorm_reference_run(&expected);
    load_open(&load, &part, &(struct load_options){.out = CLNORM_SLOT_COUNT});
    struct clnorm_group_plan *const plan = rig_plan(rig, &part.problem);
    const int forward = part.problem.operation == CLNORM_FORWARD;
    struct clnorm_mpi_exchange exchange = {
        .mpi = mpi,
        .pass = {forward ? CLNORM_MOMENTS : CLNORM_BACKWARD_SUMS, part.problem.dtype,
                 part.problem.channels, place->rows * SPATIAL},
    };
    struct clnorm_group_arguments arguments = load_arguments(&load);
    arguments.exchange = clnorm_mpi_exchange;
    arguments.user = &exchange;
    arguments.count = forward ? 0 : (double)(place->batch * SPATIAL);
    const enum clnorm_status status = clnorm_group_run(plan, &arguments, NULL);
    clnorm_group_error(rig->group, error, sizeof error);
    if (status != CLNORM_OK)
        complain(text, error);
    if (!exchange.done)
        clnorm_mpi_fail(mpi, status);
    expect(exchange.pass.values == place->batch * SPATIAL, "values of all ranks", mpi);
    load_read(&load, &observed);
    put_back(&whole, &observed, place);
    const uint64_t sum = gather(&whole, place, text);
    if (clnorm_compare(&expected, &whole, detail, sizeof detail) > 1)
        complain(text, detail);
    if (rank == 0)
        printf("%s | %016llx\n", text, (unsigned long long)sum);
    clnorm_group_plan_release(plan);
    load_close(&load);
    clnorm_values_free(&observed);
    clnorm_values_free(&part);
    clnorm_values_free(&whole);
    clnorm_values_free(&expected);
    clnorm_values_free(&inputs);
}

int main(int count, char **words)
{
    struct rig rig;
    const struct place place = rank_open(count, words);
    struct clnorm_mpi *const mpi = rank_join(1);
    rig_open(&rig, 2);
    run_case(mpi, &rig, &place, "forward nchw f32 ?x5x7 +scale +shift +running");
    run_case(mpi, &rig, &place, "forward nhwc f16 ?x6x7 +add +relu +running +biased");
    run_case(mpi, &rig, &place, "backward nchw f32 ?x5x7 +scale +shift +relu");
    rig_close(&rig);
    return rank_close(mpi, NULL);
}
