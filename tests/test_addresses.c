/*
 * Tensors of more than 2^31 and 2^32 elements: the emitted kernels, compiled for the host, reduce
 * and map the last part of a tensor that has address space but, but for that part, no memory.
 * PROBLEM and WALK name the kernels.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "addresses.h"

#define EPSILON   1e-5f
#define TOLERANCE 2e-5
/* Positions of a part, and channels that are tried, at most. */
#define MOST  1024
#define TRIED 8
/* Elements behind a buffer's end that must stay zero. */
#define BEYOND 4096

struct extent {
    uint64_t batch, spatial, batch_step, spatial_step, offset;
};

/* Positions are a little more than a power of two, so that the last part is a ragged one. */
static const struct extent wide = {3, (1ull << 30) + 7, 1, 900, 0};
static const struct extent vast = {1, (1ull << 32) + (1 << 20) + 7, 1, 900, 0};
static const struct extent deep = {(1ull << 32) + 3, 1, 4, 4, 0};
static const struct extent shifted = {2, 37, 1, 30, (1ull << 32) + 5};
/* Channels first, several channels a tile: parts have whole rows. */
static const struct extent rows = {(1ull << 27) + 3, 37, 2, 40, 0};
static const struct extent shifted_rows = {2, 37, 1, 37, (1ull << 32) + 5};
/* The pipeline walk has one part. */
static const struct extent single = {2, 37, 2, 74, (1ull << 32) + 5};
/* For problems of very many channels. */
static const struct extent small = {3, 3, 1, 2, 0};
static const struct extent small_rows = {3, 3, 2, 3, 0};

static struct clnorm_problem problem;
static struct clnorm_schedule schedule;

/* A run, its tensors as reserved, and the values of its part as they should be read. */
struct bench {
    struct host_run run;
    uint64_t elements, sums, parameters;
    float *x, *dy;
    uint64_t row_first, row_last, first, last; /* the part: positions first..last of rows */
};

static float *reserve(uint64_t elements)
{
    void *const memory = mmap(NULL, (elements + BEYOND) * sizeof(float), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        print_message("skipped: this system gives no address space without memory\n");
        skip();
    }
    return memory;
}

static void free_reserved(float *memory, uint64_t elements)
{
    munmap(memory, (elements + BEYOND) * sizeof(float));
}

static int channels_first(void)
{
    return problem.layout == CLNORM_NCHW;
}

static int backward(void)
{
    return problem.operation == CLNORM_BACKWARD;
}

static uint64_t channels(void)
{
    return (uint64_t)problem.channels;
}

static int is_single(void)
{
    return schedule.walk == CLNORM_WALK_PIPELINE;
}

/* Channels that a launch does: the pipeline walk does all. */
static uint64_t tile_of(uint64_t wanted)
{
    return is_single() ? channels() : wanted;
}

static int rows_are_whole(void)
{
    return channels_first() && schedule.tile > 1;
}

/* Numbers of one set of sums. */
static uint64_t set_size(void)
{
    return (backward() ? 2 : 4) * channels();
}

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return (a + b - 1) / b;
}

/* Where value (n, c, s) lies, by the definition of the layouts. Channels last has one row. */
static uint64_t place_of(const struct bench *b, uint64_t n, uint64_t c, uint64_t s)
{
    const uint64_t at = channels_first() ? (n * channels() + c) * b->run.spatial + s
                                         : (n * b->run.spatial + s) * channels() + c;
    return b->run.offset + at;
}

/* The last part of the extents. */
static struct host_run last_part(const struct extent *e)
{
    struct host_run run = {
        .batch = channels_first() ? e->batch : 1,
        .spatial = channels_first() ? e->spatial : e->batch * e->spatial,
        .batch_step = e->batch_step,
        .spatial_step = e->spatial_step,
        .offset = e->offset,
        .epsilon = EPSILON,
    };
    run.groups[1] = divide_up(run.batch, run.batch_step);
    run.groups[2] = divide_up(run.spatial, run.spatial_step);
    run.group[1] = run.groups[1] - 1;
    run.group[2] = run.groups[2] - 1;
    /* So many sets that merging all would take long: only the last. */
    const uint64_t sets = run.groups[1] * run.groups[2];
    run.sets = sets < 1000 ? sets : 1;
    run.first_set = sets - run.sets;
    return run;
}

static void prepare(struct bench *b, const struct extent *e)
{
    *b = (struct bench){.run = last_part(e)};
    struct host_run *const run = &b->run;
    b->row_first = run->group[1] * run->batch_step;
    b->row_last = run->batch;
    b->first = run->group[2] * run->spatial_step;
    b->last = run->spatial;
    b->elements = run->offset + run->batch * run->spatial * channels();
    b->sums = run->offset + run->groups[1] * run->groups[2] * set_size();
    b->parameters = run->offset + 4 * channels();
    run->x = b->x = reserve(b->elements);
    run->dy = b->dy = reserve(b->elements);
    run->out = reserve(b->elements);
    run->parts = reserve(b->sums);
    run->constants = reserve(b->parameters);
    run->mean = reserve(b->parameters);
    run->invstd = reserve(b->parameters);
}

static void put_away(struct bench *b)
{
    free_reserved(b->x, b->elements);
    free_reserved(b->dy, b->elements);
    free_reserved(b->run.out, b->elements);
    free_reserved(b->run.parts, b->sums);
    free_reserved(b->run.constants, b->parameters);
    free_reserved(b->run.mean, b->parameters);
    free_reserved(b->run.invstd, b->parameters);
}

/* One channel of the part. */
struct part {
    unsigned count;
    uint64_t at[MOST];
    double mean, invstd, sum, dot;
};

/* Fills a channel's part with values that are all different. */
static void fill(struct bench *b, uint64_t c, struct part *part)
{
    part->count = 0;
    for (uint64_t n = b->row_first; n < b->row_last; n++)
        for (uint64_t s = b->first; s < b->last; s++) {
            const unsigned i = part->count++;
            part->at[i] = place_of(b, n, c, s);
            b->x[part->at[i]] = (float)(5 + c % 4 + 0.001 * (i * 7919 % 1009));
            b->dy[part->at[i]] = (float)(1 + c % 4 + 0.001 * (i * 6007 % 1013));
        }
}

/* The textbook's definitions, in f64. */
static void expect(struct bench *b, uint64_t c, struct part *p)
{
    double squares = 0;
    p->mean = p->sum = p->dot = 0;
    for (unsigned i = 0; i < p->count; i++)
        p->mean += b->x[p->at[i]] / p->count;
    for (unsigned i = 0; i < p->count; i++)
        squares += pow(b->x[p->at[i]] - p->mean, 2);
    p->invstd = 1 / sqrt(squares / p->count + EPSILON);
    for (unsigned i = 0; i < p->count; i++) {
        p->sum += b->dy[p->at[i]];
        p->dot += b->dy[p->at[i]] * (b->x[p->at[i]] - p->mean) * p->invstd;
    }
    b->run.count = (float)p->count;
    if (backward()) {
        b->run.mean[b->run.offset + c] = (float)p->mean;
        b->run.invstd[b->run.offset + c] = (float)p->invstd;
    }
}

static double expected_output(const struct bench *b, const struct part *p, unsigned i)
{
    const double xhat = (b->x[p->at[i]] - p->mean) * p->invstd;
    if (!backward())
        return xhat;
    return p->invstd * (b->dy[p->at[i]] - p->sum / p->count - xhat * p->dot / p->count);
}

static void close_to(double value, double wanted, double scale)
{
    if (!(fabs(value - wanted) <= TOLERANCE * scale))
        fail_msg("%.9g where %.9g is right", value, wanted);
}

/* The sums of the part lie in the last set, and nowhere below. */
static void check_sums(const struct bench *b, uint64_t c, const struct part *p)
{
    const float *const last = b->run.parts + b->sums - set_size() + c;
    if (backward()) {
        close_to(last[0], p->sum, p->sum);
        close_to(last[channels()], p->dot, p->sum);
    } else {
        assert_true(last[0] == (float)p->count);
        close_to((double)last[channels()] + last[2 * channels()], p->mean, p->mean);
    }
    const uint64_t low = (b->sums - set_size() + c) & UINT32_MAX;
    if (b->sums > UINT32_MAX)
        assert_true(b->run.parts[low] == 0);
}

/* Each value of the part, and neither where a 31 nor where a 32 bit index would have put it. */
static void check_outputs(const struct bench *b, const struct part *p)
{
    for (unsigned i = 0; i < p->count; i++) {
        const uint64_t at = p->at[i];
        assert_true(at > UINT32_MAX);
        close_to(b->run.out[at], expected_output(b, p, i), backward() ? p->invstd : 1);
        assert_true(b->run.out[at & UINT32_MAX] == 0);
        assert_true(b->run.out[at & INT32_MAX] == 0);
    }
}

static void check_beyond(const float *memory, uint64_t elements)
{
    for (unsigned i = 0; i < BEYOND; i++)
        assert_true(memory[elements + i] == 0);
}

/* All of these channels' tiles of a step. */
static void run_tiles(struct bench *b, uint64_t first, uint64_t tile,
                      void (*step)(const struct host_run *run))
{
    b->run.tile = tile;
    b->run.groups[0] = divide_up(channels(), tile);
    for (uint64_t c = first; c < channels(); c += tile) {
        b->run.group[0] = c / tile;
        step(&b->run);
    }
}

/* Channels first.. in tiles that differ between reducing and mapping, as they may in a plan. */
static void run_channels(struct bench *b, uint64_t first)
{
    static struct part parts[TRIED];
    for (uint64_t c = first; c < channels(); c++) {
        fill(b, c, &parts[c - first]);
        expect(b, c, &parts[c - first]);
    }
    run_tiles(b, first, tile_of(schedule.tile > 1 ? schedule.tile / 2 : 1), host_reduce);
    for (uint64_t c = first; c < channels(); c++)
        check_sums(b, c, &parts[c - first]);
    run_tiles(b, first, tile_of(1), host_finish);
    run_tiles(b, first, tile_of(schedule.tile), host_map);
    for (uint64_t c = first; c < channels(); c++)
        check_outputs(b, &parts[c - first]);
}

/* The last channels of the last part. */
static void test_last_part(void **state)
{
    struct bench b;
    prepare(&b, *state);
    print_message("%" PRIu64 " elements, %" PRIu64 " sums\n", b.elements, b.sums);
    run_channels(&b, (channels() - 1) / schedule.tile * schedule.tile - schedule.tile);
    check_beyond(b.run.out, b.elements);
    check_beyond(b.run.parts, b.sums);
    put_away(&b);
}

static int covers(uint64_t count, uint64_t step, uint64_t extent)
{
    return count == divide_up(extent, step) && count * step >= extent;
}

static void check_launch(const struct clnorm_schedule *s, const struct clnorm_launches *plan,
                         const struct clnorm_launch *l)
{
    /* Over channels last the last tile takes what would not fill a vector of the next. */
    const uint64_t tiles = l->global[0] / l->local[0], rest = channels_first() ? 0 : s->lanes - 1;
    assert_true((tiles - 1) * l->tile < channels() && channels() <= tiles * l->tile + rest);
    assert_true(covers(l->global[1], l->batch_step, plan->batch));
    assert_true(covers(l->global[2], l->spatial_step, plan->spatial));
    /* Where tiles have rows side by side, a part has the whole of them. */
    assert_true(!channels_first() || l->tile == 1 || l->global[2] == 1);
}

/* Steps cover the extents, no part is empty, and the workspace holds the sums and constants. */
static void check_plan(const struct clnorm_schedule *s, uint64_t batch, uint64_t spatial)
{
    const struct clnorm_launches plan = clnorm_launches_plan(&problem, s, batch, spatial);
    assert_true(plan.batch * plan.spatial == batch * spatial);
    assert_true(plan.batch == (channels_first() ? batch : 1));
    if (plan.launch[0].step == CLNORM_STEP_FUSED) {
        check_launch(s, &plan, &plan.launch[0]);
        assert_true(plan.launch[0].global[1] == 1 && plan.launch[0].global[2] == 1);
        return;
    }
    assert_int_equal(plan.count, 3);
    const uint64_t *const groups = plan.launch[0].global;
    check_launch(s, &plan, &plan.launch[0]);
    check_launch(s, &plan, &plan.launch[2]);
    assert_true(plan.parts == groups[1] * groups[2]);
    assert_in_range(plan.parts, 1, 2ull * s->parts);
    assert_true(plan.constants == plan.parts * set_size());
    const uint64_t most = 2ull * s->parts * set_size();
    assert_in_range(plan.workspace, (plan.constants + 4 * channels()) * sizeof(float),
                    (most + 4 * channels()) * sizeof(float));
}

static void test_plans(void **state)
{
    (void)state;
    static const uint64_t extents[][2] = {
        {2, (1ull << 30) + 7}, {(1ull << 31) + 3, 1},          {1, (1ull << 33) + 1},
        {1, 1ull << 58},       {(1ull << 29) + 1, 1ull << 28}, {1ull << 58, 1},
    };
    for (unsigned i = 0; i < sizeof extents / sizeof *extents; i++) {
        struct clnorm_schedule s;
        check_plan(&schedule, extents[i][0], extents[i][1]);
        for (int kind = CLNORM_KIND_CPU; kind < CLNORM_KIND_COUNT; kind++) {
            const struct clnorm_target target = clnorm_target_default((enum clnorm_kind)kind);
            for (unsigned k = 0; clnorm_schedule_choose(&problem, &target, k, &s); k++)
                check_plan(&s, extents[i][0], extents[i][1]);
        }
    }
}

int main(void)
{
    if (!address_schedule(PROBLEM, WALK, &problem, &schedule))
        return 1;
    const struct CMUnitTest many[] = {
        {"small", test_last_part, NULL, NULL, (void *)(rows_are_whole() ? &small_rows : &small)},
    };
    const struct CMUnitTest few[] = {
        {"wide", test_last_part, NULL, NULL, (void *)&wide},
        {"vast", test_last_part, NULL, NULL, (void *)&vast},
        {"deep", test_last_part, NULL, NULL, (void *)&deep},
        {"shifted", test_last_part, NULL, NULL, (void *)&shifted},
        cmocka_unit_test(test_plans),
    };
    const struct CMUnitTest few_rows[] = {
        {"rows", test_last_part, NULL, NULL, (void *)&rows},
        {"deep", test_last_part, NULL, NULL, (void *)&deep},
        {"shifted", test_last_part, NULL, NULL, (void *)&shifted_rows},
        cmocka_unit_test(test_plans),
    };
    const struct CMUnitTest one[] = {
        {"single", test_last_part, NULL, NULL, (void *)&single},
        cmocka_unit_test(test_plans),
    };
    if (is_single())
        return cmocka_run_group_tests(one, NULL, NULL);
    if (channels() > 7)
        return cmocka_run_group_tests(many, NULL, NULL);
    return rows_are_whole() ? cmocka_run_group_tests(few_rows, NULL, NULL)
                            : cmocka_run_group_tests(few, NULL, NULL);
}
