#include "variants.h"

static const struct {
    int64_t batch, channels, spatial;
} extents[] = {{CLNORM_ANY, 64, CLNORM_ANY}, {4, 20, 96}, {CLNORM_ANY, 257, 1}};

/* All schedules, with a bound, too, where they may have one; or the defaults of CPU and GPU. */
static int visit_schedules(struct variant *v, int all, int (*visit)(void *, const struct variant *),
                           void *user)
{
    const int kinds = all ? CLNORM_KIND_COUNT : CLNORM_KIND_FPGA;
    for (int kind = CLNORM_KIND_CPU; kind < kinds; kind++) {
        struct clnorm_target target = clnorm_target_default((enum clnorm_kind)kind);
        target.sub_group = target.collectives = 1;
        v->kind = (enum clnorm_kind)kind;
        for (unsigned i = 0; clnorm_schedule_choose(&v->problem, &target, i, &v->schedule); i++) {
            int ended = visit(user, v);
            v->schedule.bound = (uint32_t)v->problem.channels;
            if (!ended && clnorm_schedule_check(&v->schedule, &v->problem, 0, 0) == CLNORM_OK)
                ended = visit(user, v);
            if (ended)
                return ended;
            if (!all || kind != CLNORM_KIND_CPU)
                break;
        }
    }
    return 0;
}

/* What softens the dependence on the batch, in full sets over f32 only, one at a time. */
#define SMALL_BATCH (CLNORM_RENORM | CLNORM_GHOST | CLNORM_LENGTHS)

/* No legal flag can be added, but for the above: the fullest sets, of which an operation has up to
 * two (one for each optimiser). */
static int is_full(struct clnorm_problem problem)
{
    const uint32_t flags = problem.flags;
    for (uint32_t flag = 1; flag <= CLNORM_ADAM; flag *= 2) {
        problem.flags = flags | flag;
        if (problem.flags != flags && clnorm_problem_check(&problem, 0, 0) == CLNORM_OK)
            return 0;
    }
    return 1;
}

static int visit_flags(struct variant *v, int (*visit)(void *, const struct variant *), void *user)
{
    for (uint32_t flags = 0; flags < 2 * CLNORM_LENGTHS; flags++) {
        const uint32_t small = flags & SMALL_BATCH;
        v->problem.flags = flags;
        v->problem.ghost = flags & CLNORM_GHOST ? 8 : 0;
        if (clnorm_problem_check(&v->problem, 0, 0) != CLNORM_OK)
            continue;
        if (small && ((small & (small - 1)) != 0 || v->problem.dtype != CLNORM_F32 ||
                      v->problem.batch == CLNORM_ANY || !is_full(v->problem)))
            continue;
        const int ends = flags == 0 || is_full(v->problem);
        if ((!ends || v->problem.dtype != CLNORM_F32) &&
            v->problem.channels != extents[ends].channels)
            continue;
        if (!ends && v->problem.dtype != CLNORM_F32)
            continue;
        const int ended = visit_schedules(v, is_full(v->problem), visit, user);
        if (ended)
            return ended;
    }
    return 0;
}

int visit_variants(int (*visit)(void *user, const struct variant *variant), void *user)
{
    int ended = 0;
    for (int operation = 0; operation < CLNORM_OPERATION_COUNT && !ended; operation++)
        for (int layout = 0; layout < CLNORM_LAYOUT_COUNT && !ended; layout++)
            for (int dtype = 0; dtype < CLNORM_DTYPE_COUNT && !ended; dtype++)
                for (unsigned i = 0; i < sizeof extents / sizeof *extents && !ended; i++) {
                    struct variant v = {.problem = {.operation = (enum clnorm_operation)operation,
                                                    .layout = (enum clnorm_layout)layout,
                                                    .dtype = (enum clnorm_dtype)dtype,
                                                    .batch = extents[i].batch,
                                                    .channels = extents[i].channels,
                                                    .spatial = extents[i].spatial}};
                    ended = visit_flags(&v, visit, user);
                }
    return ended;
}

static const struct {
    int64_t batch, spatial;
} gpu_extents[] = {{CLNORM_ANY, CLNORM_ANY}, {4, 96}, {32, 3136}};

static int fits_any_extents(const struct variant *v)
{
    struct clnorm_problem problem = v->problem;
    problem.batch = problem.spatial = CLNORM_ANY;
    return clnorm_schedule_check(&v->schedule, &problem, 0, 0) == CLNORM_OK;
}

/* All rows of the group walk, or the default, which is one of them. */
static int visit_gpu_schedules(struct variant *v, int all,
                               int (*visit)(void *, const struct variant *), void *user)
{
    struct clnorm_target target = clnorm_target_default(CLNORM_KIND_GPU);
    int ended = 0;
    target.sub_group = target.collectives = 1;
    for (unsigned i = 0;
         !ended && (all || i == 0) && clnorm_schedule_choose(&v->problem, &target, i, &v->schedule);
         i++)
        if (v->schedule.walk == CLNORM_WALK_GROUP &&
            (v->problem.batch == CLNORM_ANY || !fits_any_extents(v)))
            ended = visit(user, v);
    return ended;
}

static int visit_gpu_flags(struct variant *v, int (*visit)(void *, const struct variant *),
                           void *user)
{
    int ended = 0;
    for (uint32_t flags = 0; flags < 2 * CLNORM_ADAM && !ended; flags++) {
        v->problem.flags = flags;
        if (clnorm_problem_check(&v->problem, 0, 0) != CLNORM_OK)
            continue;
        const int all = flags == 0 || is_full(v->problem);
        if (all || v->problem.dtype == CLNORM_F32)
            ended = visit_gpu_schedules(v, all, visit, user);
    }
    return ended;
}

int visit_gpu_variants(int (*visit)(void *user, const struct variant *variant), void *user)
{
    int ended = 0;
    for (int operation = 0; operation < CLNORM_OPERATION_COUNT && !ended; operation++)
        for (int layout = 0; layout < CLNORM_LAYOUT_COUNT && !ended; layout++)
            for (int dtype = 0; dtype < CLNORM_DTYPE_COUNT && !ended; dtype++)
                for (unsigned i = 0; i < sizeof gpu_extents / sizeof *gpu_extents && !ended; i++) {
                    struct variant v = {.problem = {.operation = (enum clnorm_operation)operation,
                                                    .layout = (enum clnorm_layout)layout,
                                                    .dtype = (enum clnorm_dtype)dtype,
                                                    .batch = gpu_extents[i].batch,
                                                    .channels = 64,
                                                    .spatial = gpu_extents[i].spatial},
                                        .kind = CLNORM_KIND_GPU};
                    ended = visit_gpu_flags(&v, visit, user);
                }
    return ended;
}
