#include "cases.h"

#include <stdio.h>
#include <string.h>

#define EVERY(count) ((1u << (count)) - 1)
#define ONE(value)   (1u << (value))

/* Which flag sets a row goes through. */
enum flags { MOST, NONE, WITH_SGD, WITH_ADAM, WITH_RENORM, WITH_GHOST, WITH_LENGTHS, ALL_LEGAL };

/* Whose schedules. SMALL_RESIDENT: of the CPU and the GPU in turn, so that small tiles are fused
 * and larger ones split. STREAMING: of the CPU likewise, and stored past the caches however small.
 * PIPELINED: of the FPGA. PLAINEST: those that compile fastest, plain and group-split in turn. */
enum schedules { BY_LIBRARY, SMALL_RESIDENT, STREAMING, PIPELINED, PLAINEST, ALL_SCHEDULES };

/* Which outputs share memory with which inputs: as the seed has it, or all ways one after another. */
enum sharing { DRAWN, EACH };

struct extents {
    int64_t batch, spatial;
};

struct row {
    uint32_t efforts; /* that visit it */
    int64_t channels;
    const struct extents *extents; /* ended by batch -1 */
    uint32_t operations, layouts, dtypes;
    uint32_t data; /* all extents with the first of these, the first extents with the others */
    enum flags flags;
    enum schedules schedules;
    int fixed; /* 1: the extents are part of the problem */
    enum sharing sharing;
};

#define END                                                                                        \
    {                                                                                              \
        -1, -1                                                                                     \
    }
static const struct extents few[] = {{3, 49}, {2, 1},  {1, 1},   {1, 3}, {0, 7},
                                     {2, 0},  {37, 4}, {1, 841}, END};
static const struct extents common[] = {{3, 131}, {1, 4}, {2, 64}, END};
static const struct extents fused_and_split[] = {{3, 131}, {1, 4}, END};
static const struct extents images[] = {{2, 50176}, {1, 841}, END};
static const struct extents volume[] = {{1, 16 * 14 * 14}, {2, 7 * 7 * 5}, END};
static const struct extents two_by_two[] = {{2, 4}, END};
static const struct extents dense[] = {{256, 1}, {3, 1}, END};
static const struct extents sequence[] = {{4, 1500}, END};
static const struct extents odd[] = {{2, 49}, {5, 1}, {1, 2}, END};
static const struct extents late[] = {{4, 49}, END};
static const struct extents fixed_even[] = {{3, 256}, END};
static const struct extents fixed_odd[] = {{5, 29}, END};
/* Rows shorter than a vector and just above, one and several at a time. */
static const struct extents short_rows[] = {{3, 3},  {1, 2},  {1, 7},  {2, 15}, {1, 16},
                                            {5, 17}, {1, 33}, {3, 49}, END};
static const struct extents short_known[] = {{1, 3}, {4, 7}, {3, 15}, {2, 33}, END};
/* Planes so small that samples are walked as rows of all channels. With 2 channels a row is less than
 * a vector, with 300 more than a tile. */
static const struct extents small_planes[] = {{17, 3}, {33, 5}, {70, 20}, END};
static const struct extents small_plane[] = {{19, 9}, END};
static const struct extents tiny_plane[] = {{18, 2}, END};
/* Parts of which the last is a ragged one. */
static const struct extents ragged_images[] = {{50, 49}, {1, 5}, {67, 6}, {1, 12301}, END};
static const struct extents ragged_rows[] = {{3, 2051}, {1, 1}, {1, 3}, {2, 77}, END};
static const struct extents few_rows[] = {{2, 49}, {1, 1}, {1, 3}, {1, 17}, END};
static const struct extents small_even[] = {{2, 8}, END};
static const struct extents small_odd[] = {{2, 5}, END};
static const struct extents small_open[] = {{2, 19}, {0, 3}, END};
static const struct extents small_rows[] = {{2, 3}, {1, 9}, {3, 17}, END};
static const struct extents small_dense[] = {{2, 1}, END};

#define OPERATIONS EVERY(CLNORM_OPERATION_COUNT)
#define BOTH       EVERY(CLNORM_LAYOUT_COUNT)
#define DTYPES     EVERY(CLNORM_DTYPE_COUNT)
#define F32        ONE(CLNORM_F32)
#define NARROW     (ONE(CLNORM_F16) | ONE(CLNORM_BF16))
#define TRAINING   (ONE(CLNORM_FORWARD) | ONE(CLNORM_BACKWARD))
#define WHOLE      (TRAINING | ONE(CLNORM_INFER))
#define STAGED                                                                                     \
    (ONE(CLNORM_MOMENTS) | ONE(CLNORM_NORMALISE) | ONE(CLNORM_BACKWARD_SUMS) |                     \
     ONE(CLNORM_INPUT_GRADIENT))
#define ORDINARY ONE(CLNORM_DATA_ORDINARY)
#define NASTY    EVERY(CLNORM_DATA_EXACT)
#define SMALLEST (ONE(CLNORM_EFFORT_GROUPS) | ONE(CLNORM_EFFORT_SMALL))
#define SMALL    (SMALLEST | PORTABLE)
#define PORTABLE ONE(CLNORM_EFFORT_PORTABLE)
#define FULL     (ONE(CLNORM_EFFORT_FULL) | ONE(CLNORM_EFFORT_EXHAUSTIVE))
#define QUICK    (ONE(CLNORM_EFFORT_QUICK) | PORTABLE | FULL)

static const struct row rows[] = {
    /* efforts, C, extents, operations, layouts, dtypes, data, flags, schedules, fixed, sharing */
    {SMALL, 3, small_even, OPERATIONS, ONE(CLNORM_NCHW), F32, ORDINARY, MOST, ALL_SCHEDULES, 1,
     DRAWN},
    {SMALL, 19, small_odd, OPERATIONS, ONE(CLNORM_NHWC), F32, ORDINARY, MOST, ALL_SCHEDULES, 1,
     DRAWN},
    {SMALL, 2, small_odd, TRAINING, ONE(CLNORM_NCHW), F32, ORDINARY, MOST, ALL_SCHEDULES, 1, DRAWN},
    {SMALL, 5, small_open, WHOLE, BOTH, DTYPES, ORDINARY, MOST, SMALL_RESIDENT, 0, DRAWN},
    {SMALL, 5, small_open, TRAINING, BOTH, F32, ORDINARY, WITH_ADAM, SMALL_RESIDENT, 0, DRAWN},
    {SMALL, 19, small_rows, TRAINING, ONE(CLNORM_NCHW), F32, ORDINARY, MOST, STREAMING, 0, EACH},
    {SMALL, 3, small_open, TRAINING, ONE(CLNORM_NHWC), F32, ORDINARY, MOST, STREAMING, 0, EACH},
    {SMALL, 9, small_rows, WHOLE, ONE(CLNORM_NHWC), DTYPES, ORDINARY, MOST, STREAMING, 0, DRAWN},
    {SMALLEST, 9, small_rows, OPERATIONS, BOTH, F32, ORDINARY, MOST, PIPELINED, 0, EACH},
    {SMALLEST, 17, small_open, WHOLE, BOTH, DTYPES, ORDINARY, MOST, PIPELINED, 0, DRAWN},
    {SMALL, 1025, small_dense, TRAINING, BOTH, F32, ORDINARY, MOST, STREAMING, 0, EACH},
    {PORTABLE, 5, small_open, OPERATIONS, BOTH, DTYPES, ORDINARY, ALL_LEGAL, PLAINEST, 0, DRAWN},
    {QUICK, 5, few, OPERATIONS, BOTH, F32, NASTY, MOST, BY_LIBRARY, 0, DRAWN},
    {QUICK, 5, common, WHOLE, BOTH, DTYPES & ~F32, NASTY, MOST, BY_LIBRARY, 0, DRAWN},
    {QUICK, 3, images, TRAINING, BOTH, F32, ORDINARY, NONE, BY_LIBRARY, 0, DRAWN},
    {QUICK, 1, odd, TRAINING, BOTH, F32, ORDINARY, MOST, BY_LIBRARY, 0, DRAWN},
    {QUICK, 17, odd, TRAINING, BOTH, F32, ORDINARY, MOST, BY_LIBRARY, 0, DRAWN},
    {QUICK, 257, odd, TRAINING, BOTH, F32, ORDINARY, MOST, BY_LIBRARY, 0, DRAWN},
    {QUICK, 1024, dense, WHOLE, ONE(CLNORM_NCHW), F32, ORDINARY, MOST, BY_LIBRARY, 1, DRAWN},
    {QUICK, 5, common, ONE(CLNORM_UPDATE) | ONE(CLNORM_BACKWARD), ONE(CLNORM_NCHW), F32, ORDINARY,
     WITH_SGD, BY_LIBRARY, 0, DRAWN},
    {QUICK, 5, common, ONE(CLNORM_UPDATE) | ONE(CLNORM_BACKWARD), ONE(CLNORM_NHWC), F32, ORDINARY,
     WITH_ADAM, BY_LIBRARY, 0, DRAWN},
    {FULL, 5, few, OPERATIONS, BOTH, F32, NASTY, MOST, PIPELINED, 0, EACH},
    {FULL, 5, common, TRAINING, BOTH, F32, ORDINARY, WITH_RENORM, PIPELINED, 0, DRAWN},
    {FULL, 5, common, WHOLE, BOTH, DTYPES & ~F32, NASTY, MOST, PIPELINED, 0, DRAWN},
    {FULL, 19, short_rows, WHOLE, BOTH, F32, NASTY, MOST, PIPELINED, 0, EACH},
    {FULL, 130, ragged_images, TRAINING, BOTH, F32, ORDINARY, MOST, PIPELINED, 0, DRAWN},
    {FULL, 1, odd, WHOLE, BOTH, F32, NASTY, MOST, PIPELINED, 0, EACH},
    {FULL, 257, odd, WHOLE, BOTH, F32, NASTY, MOST, PIPELINED, 0, EACH},
    {FULL, 5, fused_and_split, OPERATIONS, BOTH, DTYPES, ORDINARY, ALL_LEGAL, SMALL_RESIDENT, 0,
     DRAWN},
    {FULL, 6, fixed_even, TRAINING, ONE(CLNORM_NCHW), F32, ORDINARY, MOST, ALL_SCHEDULES, 1, DRAWN},
    {FULL, 37, fixed_odd, TRAINING, ONE(CLNORM_NHWC), F32, ORDINARY, MOST, ALL_SCHEDULES, 1, DRAWN},
    {FULL, 5, fixed_odd, TRAINING, ONE(CLNORM_NCHW), F32, ORDINARY, MOST, ALL_SCHEDULES, 1, DRAWN},
    {FULL, 6, fixed_even, ONE(CLNORM_FORWARD), BOTH, NARROW, ORDINARY, MOST, ALL_SCHEDULES, 1,
     DRAWN},
    {FULL, 5, few, STAGED | ONE(CLNORM_BACKWARD_FROZEN), BOTH, DTYPES & ~F32, NASTY, MOST,
     BY_LIBRARY, 0, DRAWN},
    {FULL, 3, images, WHOLE, BOTH, F32, ORDINARY, MOST, BY_LIBRARY, 0, DRAWN},
    {FULL, 1, odd, OPERATIONS, BOTH, F32, NASTY, MOST, BY_LIBRARY, 0, DRAWN},
    {FULL, 17, odd, OPERATIONS, BOTH, F32, ORDINARY, MOST, BY_LIBRARY, 0, DRAWN},
    {FULL, 32, volume, WHOLE, BOTH, F32, ORDINARY, MOST, BY_LIBRARY, 0, DRAWN},
    {FULL, 128, two_by_two, OPERATIONS, BOTH, F32, NASTY, MOST, BY_LIBRARY, 0, DRAWN},
    {FULL, 128, sequence, OPERATIONS, BOTH, F32, ORDINARY, MOST, BY_LIBRARY, 0, DRAWN},
    {FULL, 251, odd, WHOLE, BOTH, F32, ORDINARY, MOST, BY_LIBRARY, 0, DRAWN},
    {FULL, 257, odd, OPERATIONS, BOTH, F32, ORDINARY, MOST, BY_LIBRARY, 0, DRAWN},
    {FULL, 322, odd, WHOLE, BOTH, F32, ORDINARY, MOST, BY_LIBRARY, 0, DRAWN},
    {FULL, 1024, dense, OPERATIONS, BOTH, F32, ORDINARY, MOST, BY_LIBRARY, 1, DRAWN},
    {FULL, 2048, late, TRAINING, BOTH, F32 | NARROW, ORDINARY, MOST, BY_LIBRARY, 0, DRAWN},
    {FULL, 37, short_rows, WHOLE, ONE(CLNORM_NCHW), F32, NASTY, MOST, BY_LIBRARY, 0, EACH},
    {FULL, 37, short_known, WHOLE, ONE(CLNORM_NCHW), F32, NASTY, MOST, BY_LIBRARY, 1, EACH},
    {FULL, 130, short_rows, TRAINING, ONE(CLNORM_NCHW), DTYPES, ORDINARY, MOST, STREAMING, 0, EACH},
    {FULL, 21, short_known, TRAINING, ONE(CLNORM_NCHW), F32, ORDINARY, MOST, STREAMING, 1, EACH},
    {FULL, 3, ragged_images, WHOLE, ONE(CLNORM_NCHW), F32, NASTY, MOST, STREAMING, 0, EACH},
    {FULL, 37, ragged_images, WHOLE, ONE(CLNORM_NCHW), F32, ORDINARY, MOST, STREAMING, 0, EACH},
    {FULL, 1, ragged_rows, TRAINING, BOTH, F32, NASTY, MOST, STREAMING, 0, EACH},
    {FULL, 2, ragged_rows, TRAINING, ONE(CLNORM_NHWC), F32, ORDINARY, MOST, STREAMING, 0, EACH},
    {FULL, 2, ragged_rows, WHOLE, ONE(CLNORM_NHWC), F32, ORDINARY, MOST, BY_LIBRARY, 0, EACH},
    {FULL, 3, ragged_rows, WHOLE, ONE(CLNORM_NHWC), DTYPES, ORDINARY, MOST, STREAMING, 0, EACH},
    {FULL, 5, ragged_rows, TRAINING, ONE(CLNORM_NHWC), F32, NASTY, MOST, STREAMING, 0, EACH},
    {FULL, 15, ragged_rows, TRAINING, ONE(CLNORM_NHWC), F32, ORDINARY, MOST, BY_LIBRARY, 0, EACH},
    {FULL, 17, ragged_rows, TRAINING, ONE(CLNORM_NHWC), F32, NASTY, MOST, STREAMING, 0, EACH},
    {FULL, 33, ragged_rows, WHOLE, ONE(CLNORM_NHWC), DTYPES, ORDINARY, MOST, STREAMING, 0, EACH},
    {FULL, 251, few_rows, TRAINING, ONE(CLNORM_NHWC), F32, ORDINARY, MOST, STREAMING, 0, EACH},
    {FULL, 1025, few_rows, WHOLE, ONE(CLNORM_NHWC), F32, NASTY, MOST, BY_LIBRARY, 0, EACH},
    {FULL, 1500, few_rows, TRAINING, ONE(CLNORM_NHWC), F32, ORDINARY, MOST, STREAMING, 0, EACH},
    {FULL, 2049, few_rows, WHOLE, BOTH, F32, ORDINARY, MOST, STREAMING, 0, EACH},
    {SMALL, 3, tiny_plane, TRAINING, ONE(CLNORM_NCHW), F32, ORDINARY, MOST, STREAMING, 1, DRAWN},
    {FULL, 2, small_planes, WHOLE, ONE(CLNORM_NCHW), F32, NASTY, MOST, STREAMING, 1, EACH},
    {FULL, 21, small_plane, OPERATIONS, ONE(CLNORM_NCHW), DTYPES, NASTY, MOST, BY_LIBRARY, 1,
     DRAWN},
    {FULL, 6, small_plane, TRAINING, ONE(CLNORM_NCHW), F32, ORDINARY, MOST, ALL_SCHEDULES, 1,
     DRAWN},
    {FULL, 300, small_plane, WHOLE, ONE(CLNORM_NCHW), F32, NASTY, MOST, STREAMING, 1, EACH},
    {SMALL, 5, small_rows, TRAINING, BOTH, F32, ORDINARY, WITH_GHOST, SMALL_RESIDENT, 0, DRAWN},
    {SMALL, 5, small_rows, TRAINING, BOTH, F32, ORDINARY, WITH_LENGTHS, SMALL_RESIDENT, 0, DRAWN},
    {QUICK, 5, common, TRAINING, ONE(CLNORM_NCHW), F32, NASTY, WITH_RENORM, BY_LIBRARY, 0, DRAWN},
    {QUICK, 5, common, TRAINING, BOTH, F32, NASTY, WITH_GHOST, BY_LIBRARY, 0, DRAWN},
    {QUICK, 5, common, WHOLE, BOTH, F32, NASTY, WITH_LENGTHS, BY_LIBRARY, 0, DRAWN},
};

struct walk {
    enum clnorm_effort effort;
    int (*visit)(void *user, const struct clnorm_case *one);
    void *user;
    int stop;
};

/* Fowler, Noll and Vo, FNV-1a of 64 bits, of which the upper half is the better mixed. */
static uint64_t hash(const char *text)
{
    uint64_t state = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++)
        state = (state ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return state >> 32;
}

/* A case's seed comes from its own text, not from its place: a new case changes none of the others. */
static uint64_t seed_of(const struct clnorm_case *const one)
{
    char problem[CLNORM_PROBLEM_TEXT_SIZE], schedule[CLNORM_SCHEDULE_TEXT_SIZE] = "";
    char text[sizeof problem + sizeof schedule + 128];
    clnorm_problem_format(&one->problem, problem);
    if (one->scheduled)
        clnorm_schedule_format(&one->schedule, schedule);
    snprintf(text, sizeof text, "%s, %s data, N=%lld S=%lld, %s", problem,
             clnorm_data_name(one->data), (long long)one->batch, (long long)one->spatial, schedule);
    return hash(text);
}

/* Operations on parameters alone have no use for more than one pair of extents. */
static int has_tensors(const enum clnorm_operation operation)
{
    return operation != CLNORM_MERGE && operation != CLNORM_UPDATE;
}

/* Whether an operation has what is to share memory. */
static int applies(const enum clnorm_sharing sharing, const struct clnorm_problem *const problem)
{
    const int back = problem->operation >= CLNORM_INPUT_GRADIENT,
              adds = problem->flags & CLNORM_ADD;
    switch (sharing) {
    case CLNORM_SHARE_Y_X: return !back;
    case CLNORM_SHARE_Y_ADD: return !back && adds;
    case CLNORM_SHARE_DX_DY:
    case CLNORM_SHARE_DX_X: return back;
    case CLNORM_SHARE_DADD_DY: return back && adds;
    default: return 0;
    }
}

static void visit_sharing(struct walk *const walk, struct clnorm_case one,
                          const enum clnorm_sharing sharing)
{
    one.device.sharing = sharing;
    if (!walk->stop)
        walk->stop = walk->visit(walk->user, &one);
}

static void visit_one(struct walk *const walk, const struct row *const row, struct clnorm_case one,
                      const enum clnorm_data data, const struct extents extents)
{
    one.data = data;
    one.batch = extents.batch;
    one.spatial = extents.spatial;
    one.seed = seed_of(&one);
    one.sets = 3;
    one.count = one.seed % 2 ? 0 : 3 * (double)extents.batch * (double)extents.spatial + 1;
    one.device = (struct clnorm_device_options){
        .pooled_workspace = one.seed % 5 == 0,
        .place = (unsigned)one.seed,
    };
    if (row->sharing == DRAWN)
        visit_sharing(walk, one, (enum clnorm_sharing)(one.seed % CLNORM_SHARE_COUNT));
    else
        for (unsigned i = 0; i < CLNORM_SHARE_COUNT; i++)
            if (i == CLNORM_SHARE_NONE || applies((enum clnorm_sharing)i, &one.problem))
                visit_sharing(walk, one, (enum clnorm_sharing)i);
}

/* One program: all extents with the row's first kind of data, the first extents with the others. */
static void visit_program(struct walk *const walk, const struct row *const row,
                          const struct clnorm_case *const one, const struct extents *const only)
{
    int first = 1;
    for (unsigned data = 0; data < CLNORM_DATA_COUNT; data++) {
        if (!(row->data & ONE(data)))
            continue;
        const struct extents *at = only ? only : row->extents;
        do
            visit_one(walk, row, *one, (enum clnorm_data)data, *at++);
        while (first && !only && at->batch >= 0 && has_tensors(one->problem.operation));
        first = 0;
    }
}

/* 0 or 1, such that each operation has both in each layout. */
static unsigned turn_of(const struct clnorm_problem *const problem)
{
    return (problem->operation + problem->layout + problem->dtype + problem->flags) % 2;
}

void clnorm_cases_narrow(const enum clnorm_effort effort, struct clnorm_schedule *const schedule)
{
    static const struct {
        uint32_t lanes, group; /* at most; 0: any number */
    } limits[CLNORM_EFFORT_COUNT] = {
        [CLNORM_EFFORT_GROUPS] = {4, 16},
        [CLNORM_EFFORT_SMALL] = {4, 32},
        [CLNORM_EFFORT_PORTABLE] = {2, 0},
    };
    const uint32_t lanes = limits[effort].lanes, group = limits[effort].group;
    if (lanes > 0 && schedule->lanes > lanes)
        schedule->lanes = lanes;
    if (group > 0 && schedule->group > group)
        schedule->group = group;
    if (schedule->walk == CLNORM_WALK_GROUP && schedule->tile > schedule->group)
        schedule->tile = schedule->group;
}

static void visit_scheduled(struct walk *const walk, const struct row *const row,
                            struct clnorm_case one, const struct extents *const only)
{
    if (walk->effort == CLNORM_EFFORT_GROUPS && one.schedule.walk != CLNORM_WALK_GROUP)
        return;
    clnorm_cases_narrow(walk->effort, &one.schedule);
    one.scheduled = 1;
    visit_program(walk, row, &one, only);
}

static void choose_named(struct clnorm_case *const one, const char *const name)
{
    const struct clnorm_target target = clnorm_target_default(CLNORM_KIND_CPU);
    for (unsigned i = 0; clnorm_schedule_choose(&one->problem, &target, i, &one->schedule); i++)
        if (strcmp(one->schedule.name, name) == 0)
            break;
    one->target = clnorm_kind_name(target.kind);
}

static void visit_schedules(struct walk *const walk, const struct row *const row,
                            struct clnorm_case one, const struct extents *const only)
{
    static const enum clnorm_kind kinds[] = {CLNORM_KIND_CPU, CLNORM_KIND_GPU, CLNORM_KIND_FPGA};
    if (row->schedules == BY_LIBRARY) {
        one.target = "device";
        visit_program(walk, row, &one, only);
        return;
    }
    if (row->schedules == PLAINEST) {
        choose_named(&one, turn_of(&one.problem) ? "plain" : "group-split");
        visit_scheduled(walk, row, one, only);
        return;
    }
    if (row->schedules != ALL_SCHEDULES) {
        const int streams = row->schedules == STREAMING;
        const int piped = row->schedules == PIPELINED;
        const enum clnorm_kind kind = kinds[piped ? 2 : streams ? 0 : turn_of(&one.problem)];
        const struct clnorm_target target = clnorm_target_default(kind);
        clnorm_schedule_choose(&one.problem, &target, 0, &one.schedule);
        one.schedule.resident = piped ? one.schedule.resident : 512;
        one.schedule.stream = streams ? 1 : one.schedule.stream;
        one.target = clnorm_kind_name(kind);
        visit_scheduled(walk, row, one, only);
        return;
    }
    /* The CPU target visits every row of the schedule table; the others differ in their first
     * choice. Rows that take more than OpenCL C 1.2 are unsupported where the device has no more. */
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct clnorm_target target = clnorm_target_default(kinds[k]);
        target.sub_group = target.collectives = 1;
        one.target = clnorm_kind_name(kinds[k]);
        for (unsigned i = 0; clnorm_schedule_choose(&one.problem, &target, i, &one.schedule); i++) {
            if (k == 0 || (i == 0 && walk->effort != CLNORM_EFFORT_PORTABLE))
                visit_scheduled(walk, row, one, only);
        }
    }
}

static void visit_extents(struct walk *const walk, const struct row *const row,
                          struct clnorm_case one)
{
    if (!row->fixed) {
        one.problem.batch = one.problem.spatial = CLNORM_ANY;
        visit_schedules(walk, row, one, NULL);
        return;
    }
    for (const struct extents *at = row->extents; at->batch >= 0; at++) {
        one.problem.batch = at->batch;
        one.problem.spatial = at->spatial;
        visit_schedules(walk, row, one, at);
    }
}

/*
 * Whether a flag set has its turn in this layout and dtype: one of the eight, by a multiplicative hash; its constant was
 * sought so that every flag meets every layout and dtype. Operations with a handful of flag sets go through all.
 */
static int has_turn(const struct clnorm_problem *const problem, const uint32_t flags)
{
    const uint32_t turn = (flags + 1) * UINT32_C(3498077953) >> 29;
    const uint32_t place =
        (uint32_t)problem->layout * CLNORM_DTYPE_COUNT + (uint32_t)problem->dtype;
    return turn == place || !has_tensors(problem->operation) ||
           problem->operation == CLNORM_MOMENTS || problem->operation == CLNORM_BACKWARD_SUMS;
}

#define OPTIMISERS  (CLNORM_SGD | CLNORM_ADAM)
#define SMALL_BATCH (CLNORM_RENORM | CLNORM_GHOST | CLNORM_LENGTHS)

static void visit_legal(struct walk *const walk, const struct row *const row,
                        struct clnorm_case one, const uint32_t flags)
{
    one.problem.flags = flags;
    if (clnorm_problem_check(&one.problem, NULL, 0) == CLNORM_OK)
        visit_extents(walk, row, one);
}

static void visit_flags(struct walk *const walk, const struct row *const row,
                        struct clnorm_case one)
{
    const uint32_t all = clnorm_operation_flags(one.problem.operation);
    const uint32_t most = all & ~(uint32_t)(CLNORM_BIASED | OPTIMISERS | SMALL_BATCH);
    switch (row->flags) {
    case MOST:
        visit_legal(walk, row, one,
                    one.problem.operation == CLNORM_UPDATE ? most | CLNORM_SGD : most);
        break;
    case NONE: visit_legal(walk, row, one, 0); break;
    case WITH_SGD: visit_legal(walk, row, one, most | (all & CLNORM_SGD)); break;
    case WITH_ADAM: visit_legal(walk, row, one, most | (all & CLNORM_ADAM)); break;
    case WITH_RENORM: visit_legal(walk, row, one, most | CLNORM_RENORM); break;
    case WITH_GHOST:
        one.problem.ghost = 2;
        visit_legal(walk, row, one, most | CLNORM_GHOST);
        break;
    case WITH_LENGTHS: visit_legal(walk, row, one, most | CLNORM_LENGTHS); break;
    case ALL_LEGAL:
        for (uint32_t flags = 0; flags <= all; flags++)
            if ((flags & ~all) == 0 && (walk->effort == CLNORM_EFFORT_EXHAUSTIVE ||
                                        (!(flags & SMALL_BATCH) && has_turn(&one.problem, flags))))
                visit_legal(walk, row, one, flags);
        break;
    }
}

void clnorm_cases_visit(const enum clnorm_effort effort,
                        int (*const visit)(void *user, const struct clnorm_case *one),
                        void *const user)
{
    struct walk walk = {.effort = effort, .visit = visit, .user = user};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        const struct row *const row = &rows[r];
        struct clnorm_case one = {
            .problem = {.batch = CLNORM_ANY, .channels = row->channels, .spatial = CLNORM_ANY}};
        if (!(row->efforts & ONE(effort)))
            continue;
        for (unsigned operation = 0; operation < CLNORM_OPERATION_COUNT; operation++)
            for (unsigned layout = 0; layout < CLNORM_LAYOUT_COUNT; layout++)
                for (unsigned dtype = 0; dtype < CLNORM_DTYPE_COUNT; dtype++) {
                    one.problem.operation = (enum clnorm_operation)operation;
                    one.problem.layout = (enum clnorm_layout)layout;
                    one.problem.dtype = (enum clnorm_dtype)dtype;
                    if (row->operations & ONE(operation) && row->layouts & ONE(layout) &&
                        row->dtypes & ONE(dtype))
                        visit_flags(&walk, row, one);
                }
    }
}
