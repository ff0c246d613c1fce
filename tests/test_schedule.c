/* Schedules are legal and deterministic; launches cover every position once, at any size, and
 * address it without overflow. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <clnorm/codegen.h>

#include "geometry.h"
#include "variants.h"

static int check_legal(void *unused, const struct variant *v)
{
    (void)unused;
    char message[256];
    if (clnorm_schedule_check(&v->schedule, &v->problem, message, sizeof message) != CLNORM_OK)
        fail_msg("%s", message);
    return 0;
}

static void test_legal(void **unused)
{
    (void)unused;
    assert_int_equal(visit_variants(check_legal, NULL), 0);
}

static void test_refuse(void **unused)
{
    (void)unused;
    struct clnorm_problem p;
    struct clnorm_schedule good, s;
    const struct clnorm_target cpu = clnorm_target_default(CLNORM_KIND_CPU);
    assert_int_equal(clnorm_problem_parse("forward nchw f32 ?x64x?", &p, NULL, 0), CLNORM_OK);
    assert_true(clnorm_schedule_choose(&p, &cpu, 0, &good));
    assert_int_equal(clnorm_schedule_check(&good, &p, NULL, 0), CLNORM_OK);
    static const struct {
        size_t place;
        uint32_t value;
    } wrong[] = {
        {offsetof(struct clnorm_schedule, lanes), 3},
        {offsetof(struct clnorm_schedule, lanes), 32},
        {offsetof(struct clnorm_schedule, lanes), 0},
        {offsetof(struct clnorm_schedule, group), 2},
        {offsetof(struct clnorm_schedule, group), 0},
        {offsetof(struct clnorm_schedule, tile), 0},
        {offsetof(struct clnorm_schedule, tile), 4097},
        {offsetof(struct clnorm_schedule, block), 0},
        {offsetof(struct clnorm_schedule, block), 1025},
        {offsetof(struct clnorm_schedule, parts), 0},
        {offsetof(struct clnorm_schedule, fetch), 2},
        {offsetof(struct clnorm_schedule, baked), 1},
        {offsetof(struct clnorm_schedule, walk), 4},
        {offsetof(struct clnorm_schedule, fold), CLNORM_FOLD_SUBGROUP},
        {offsetof(struct clnorm_schedule, fold), CLNORM_FOLD_COUNT},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        s = good;
        memcpy((char *)&s + wrong[i].place, &wrong[i].value, sizeof(uint32_t));
        assert_int_equal(clnorm_schedule_check(&s, &p, NULL, 0), CLNORM_INVALID_ARGUMENT);
    }
}

/* Over channels last a tile is whole vectors; only the serial walk streams and fetches; the pipeline
 * walk has one work-item, and a tensor holds a vector. */
static void test_refuse_walk(void **unused)
{
    (void)unused;
    static const struct {
        const char *problem, *schedule;
        enum clnorm_status status;
    } rows[] = {
        {"nhwc f32 ?x64x?", "serial lanes=8 group=1 tile=16 stream=1 fetch=1 parts=4", CLNORM_OK},
        {"nhwc f32 ?x64x?", "serial lanes=8 group=1 tile=12 stream=1 fetch=1 parts=4",
         CLNORM_INVALID_ARGUMENT},
        {"nhwc f32 ?x64x?", "serial lanes=8 group=1 tile=4 stream=1 fetch=1 parts=4",
         CLNORM_INVALID_ARGUMENT},
        {"nchw f32 ?x64x?", "serial lanes=8 group=1 tile=12 stream=1 fetch=1 parts=4", CLNORM_OK},
        {"nchw f32 ?x64x?", "group lanes=1 group=4 tile=1 stream=0 fetch=0 parts=4", CLNORM_OK},
        {"nchw f32 ?x64x?", "group lanes=1 group=4 tile=1 stream=1 fetch=0 parts=4",
         CLNORM_INVALID_ARGUMENT},
        {"nchw f32 ?x64x?", "group lanes=1 group=4 tile=1 stream=0 fetch=1 parts=4",
         CLNORM_INVALID_ARGUMENT},
        {"nchw f32 ?x64x?", "group lanes=1 group=4 tile=2 stream=0 fetch=0 parts=4",
         CLNORM_INVALID_ARGUMENT},
        {"nhwc f32 ?x64x?", "group lanes=1 group=4 tile=2 stream=0 fetch=0 parts=4", CLNORM_OK},
        {"nhwc f32 ?x64x?", "group fold=subgroup lanes=1 group=4 tile=2 stream=0 fetch=0 parts=4",
         CLNORM_OK},
        {"nhwc f32 ?x64x?", "group fold=collective lanes=1 group=4 tile=2 stream=0 fetch=0 parts=4",
         CLNORM_INVALID_ARGUMENT},
        {"nhwc f32 ?x64x?", "group fold=collective lanes=1 group=4 tile=1 stream=0 fetch=0 parts=4",
         CLNORM_OK},
        {"nchw f32 ?x8x?", "pipeline lanes=8 group=1 tile=12 stream=0 fetch=0 parts=1", CLNORM_OK},
        {"nchw f32 ?x7x?", "pipeline lanes=8 group=1 tile=12 stream=0 fetch=0 parts=1",
         CLNORM_INVALID_ARGUMENT},
        {"nhwc f32 ?x64x?", "pipeline lanes=8 group=1 tile=12 stream=0 fetch=0 parts=1",
         CLNORM_INVALID_ARGUMENT},
        {"nchw f32 ?x64x?", "pipeline lanes=8 group=2 tile=8 stream=0 fetch=0 parts=1",
         CLNORM_INVALID_ARGUMENT},
        {"nchw f32 ?x64x?", "pipeline lanes=8 group=1 tile=8 stream=0 fetch=0 parts=2",
         CLNORM_INVALID_ARGUMENT},
        {"nchw f32 ?x64x?", "pipeline lanes=8 group=1 tile=8 stream=1 fetch=0 parts=1",
         CLNORM_INVALID_ARGUMENT},
        {"nchw f32 ?x64x?", "pipeline lanes=8 group=1 tile=8 stream=0 fetch=1 parts=1",
         CLNORM_INVALID_ARGUMENT},
        {"nhwc f32 ?x64x?", "dataflow lanes=8 group=1 tile=8 stream=0 fetch=0 parts=1",
         CLNORM_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char problem[64], text[CLNORM_SCHEDULE_TEXT_SIZE], message[256] = "";
        struct clnorm_problem p;
        struct clnorm_schedule s;
        snprintf(problem, sizeof problem, "forward %s", rows[i].problem);
        snprintf(text, sizeof text, "x: walk=%s block=8 resident=0 baked=0", rows[i].schedule);
        assert_int_equal(clnorm_problem_parse(problem, &p, NULL, 0), CLNORM_OK);
        assert_int_equal(clnorm_schedule_parse(text, &s, NULL, 0), CLNORM_OK);
        if (clnorm_schedule_check(&s, &p, message, sizeof message) != rows[i].status)
            fail_msg("%s, %s: %s", problem, text, message);
    }
}

/* Folds beyond OpenCL C 1.2 are chosen for, and fit, targets that have them. */
static void test_folds(void **unused)
{
    (void)unused;
    static const struct {
        uint32_t sub_group, collectives;
    } targets[] = {{0, 0}, {16, 0}, {0, 1}, {16, 1}};
    struct clnorm_problem p;
    assert_int_equal(clnorm_problem_parse("forward nchw f32 4x64x16", &p, NULL, 0), CLNORM_OK);
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        struct clnorm_target target = clnorm_target_default(CLNORM_KIND_GPU);
        target.sub_group = targets[i].sub_group;
        target.collectives = targets[i].collectives;
        struct clnorm_schedule s;
        unsigned seen[CLNORM_FOLD_COUNT] = {0};
        for (unsigned index = 0; clnorm_schedule_choose(&p, &target, index, &s); index++)
            seen[s.fold]++;
        assert_true(seen[CLNORM_FOLD_TREE] > 0);
        assert_int_equal(seen[CLNORM_FOLD_SUBGROUP] > 0, target.sub_group > 0);
        assert_int_equal(seen[CLNORM_FOLD_COLLECTIVE] > 0, target.collectives);
        for (int fold = 0; fold < CLNORM_FOLD_COUNT; fold++) {
            clnorm_schedule_choose(&p, &target, 0, &s);
            s.fold = (enum clnorm_fold)fold;
            assert_int_equal(clnorm_schedule_check(&s, &p, NULL, 0), CLNORM_OK);
            assert_int_equal(clnorm_schedule_fits(&s, &p, &target), seen[fold] > 0);
        }
    }
}

static uint64_t covered(uint64_t extent, uint64_t step, uint64_t parts)
{
    assert_true(step > 0);
    assert_true(parts == 0 || (parts - 1) * step < extent); /* the last part is not empty */
    return parts * step >= extent;
}

/* The pipeline walk goes through its tiles in the kernel. */
static void check_single(const struct variant *v, const struct clnorm_launches *plan,
                         const struct clnorm_launch *l)
{
    for (unsigned d = 0; d < 3; d++)
        assert_true(l->global[d] == 1 && l->local[d] == 1);
    assert_int_equal(l->tile, v->problem.channels);
    assert_true(l->batch_step >= plan->batch && l->spatial_step >= plan->spatial);
    assert_in_range(plan->parts, 0, 1);
}

/* No tile is empty, nor has more channels than the schedule allows. */
static void check_tiles(const struct variant *v, const struct clnorm_launch *l)
{
    /* With one position a channel both layouts are channels last. */
    const int first = v->problem.layout == CLNORM_NCHW && v->problem.spatial != 1;
    const uint64_t channels = (uint64_t)v->problem.channels, tiles = l->global[0] / l->local[0];
    /* Over channels last the last tile takes what would not fill a vector of the next. */
    const uint64_t rest = first ? 0 : v->schedule.lanes - 1;
    assert_true((tiles - 1) * l->tile < channels && channels <= tiles * l->tile + rest);
    assert_in_range(l->tile, 1, v->schedule.tile);
    /* Rows side by side are whole. */
    assert_true(!first || l->tile == 1 || l->global[2] == 1);
}

/* The workspace holds sums and constants, and one for more positions is enough for fewer. */
static void check_workspace(const struct variant *v, const struct clnorm_launches *plan,
                            uint64_t batch, uint64_t spatial)
{
    const struct clnorm_problem *const p = &v->problem;
    assert_true(plan->workspace >= plan->constants * clnorm_dtype_parameter_size(p->dtype));
    if (p->batch == CLNORM_ANY)
        assert_true(clnorm_launches_plan(p, &v->schedule, batch + 1, spatial).workspace >=
                    plan->workspace);
    if (p->spatial == CLNORM_ANY)
        assert_true(clnorm_launches_plan(p, &v->schedule, batch, spatial + 1).workspace >=
                    plan->workspace);
}

/* A work-item finishes one channel, or with the serial walk as many as it has lanes: every channel
 * has one, and none but the last group's is without. */
static void check_finish(const struct variant *v, const struct clnorm_launch *l)
{
    const int serial = v->schedule.walk == CLNORM_WALK_SERIAL;
    const uint64_t channels = (uint64_t)v->problem.channels, width = serial ? v->schedule.lanes : 1;
    assert_true(l->global[0] * width >= channels);
    assert_true((l->global[0] - l->local[0]) * width < channels);
}

static void check_launches(const struct variant *v, uint64_t batch, uint64_t spatial)
{
    const struct clnorm_launches plan =
        clnorm_launches_plan(&v->problem, &v->schedule, batch, spatial);
    assert_true(plan.batch * plan.spatial == batch * spatial);
    assert_true(plan.count <= 3);
    check_workspace(v, &plan, batch, spatial);
    for (unsigned i = 0; i < plan.count; i++) {
        const struct clnorm_launch *const l = &plan.launch[i];
        for (unsigned d = 0; d < 3; d++) {
            assert_true(l->local[d] > 0 && l->global[d] > 0);
            assert_int_equal(l->global[d] % l->local[d], 0);
        }
        if (v->schedule.walk == CLNORM_WALK_PIPELINE) {
            check_single(v, &plan, l);
            continue;
        }
        if (l->step == CLNORM_STEP_FINISH) {
            check_finish(v, l);
            continue;
        }
        if (l->step == CLNORM_STEP_FUSED) {
            check_tiles(v, l);
            assert_true(l->batch_step >= plan.batch && l->spatial_step >= plan.spatial);
            assert_true(l->global[1] == 1 && l->global[2] == 1);
            continue;
        }
        check_tiles(v, l);
        assert_true(covered(plan.batch, l->batch_step, l->global[1]));
        assert_true(covered(plan.spatial, l->spatial_step, l->global[2]));
        if (l->step == CLNORM_STEP_REDUCE)
            assert_int_equal(plan.parts, l->global[1] * l->global[2]);
        assert_true(l->global[1] * l->global[2] <= 65536);
    }
}

static int check_sizes(void *unused, const struct variant *v)
{
    (void)unused;
    static const uint64_t sizes[] = {
        0, 1, 2, 3, 7, 49, 513, 3136, 50176, UINT64_C(3) << 31, UINT64_C(1) << 40};
    const struct clnorm_problem *const p = &v->problem;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            const uint64_t batch = p->batch == CLNORM_ANY ? sizes[i] : (uint64_t)p->batch;
            const uint64_t spatial = p->spatial == CLNORM_ANY ? sizes[j] : (uint64_t)p->spatial;
            if (batch == 0 || spatial < (UINT64_C(1) << 60) / batch / (uint64_t)p->channels)
                check_launches(v, batch, spatial);
        }
    return 0;
}

static void test_launches(void **unused)
{
    (void)unused;
    assert_int_equal(visit_variants(check_sizes, NULL), 0);
}

/* ---- Text ---- */

/* The text parses to the same schedule, whose text is the same. */
static void expect_round_trip(const struct clnorm_schedule *schedule)
{
    char text[CLNORM_SCHEDULE_TEXT_SIZE], again[CLNORM_SCHEDULE_TEXT_SIZE], message[256] = "";
    struct clnorm_schedule parsed;
    clnorm_schedule_format(schedule, text);
    assert_true(strlen(text) + 1 < CLNORM_SCHEDULE_TEXT_SIZE); /* else it may have been cut */
    if (clnorm_schedule_parse(text, &parsed, message, sizeof message) != CLNORM_OK)
        fail_msg("%s: %s", text, message);
    assert_true(clnorm_schedule_same(schedule, &parsed));
    clnorm_schedule_format(&parsed, again);
    assert_string_equal(text, again);
}

static int check_text(void *unused, const struct variant *v)
{
    (void)unused;
    expect_round_trip(&v->schedule);
    return 0;
}

static void test_text(void **unused)
{
    (void)unused;
    assert_int_equal(visit_variants(check_text, NULL), 0);
}

/* Every number may have every value: random bytes, small, large and largest. */
static void test_random_text(void **unused)
{
    (void)unused;
    static const char *const names[] = {"", "a", "tuned", "twenty-three.characters"};
    uint64_t state = 1;
    for (unsigned round = 0; round < 4000; round++) {
        struct clnorm_schedule s;
        for (size_t i = 0; i < sizeof s; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            ((unsigned char *)&s)[i] = round == 0 ? 0xff : (unsigned char)(state >> 56);
        }
        s.walk = (enum clnorm_walk)(round % CLNORM_WALK_COUNT);
        s.fold = (enum clnorm_fold)(round % CLNORM_FOLD_COUNT);
        snprintf(s.name, sizeof s.name, "%s", names[round / 2 % 4]);
        if (round % 3 == 1)
            s.resident = UINT64_MAX;
        expect_round_trip(&s);
    }
}

/* Another number anywhere in the text is another schedule. */
static void test_same(void **unused)
{
    (void)unused;
    struct clnorm_schedule one, other;
    char text[CLNORM_SCHEDULE_TEXT_SIZE];
    const struct clnorm_schedule zero = {.name = "n"};
    clnorm_schedule_format(&zero, text);
    assert_int_equal(clnorm_schedule_parse(text, &one, NULL, 0), CLNORM_OK);
    unsigned numbers = 0;
    for (char *at = text; (at = strchr(at, '0')); at++, numbers++) {
        *at = '1';
        assert_int_equal(clnorm_schedule_parse(text, &other, NULL, 0), CLNORM_OK);
        assert_false(clnorm_schedule_same(&one, &other));
        *at = '0';
    }
    assert_true(numbers >= 7);
    other = one;
    other.name[0] = 'm';
    assert_false(clnorm_schedule_same(&one, &other));
}

/* The canonical text of a schedule with `from` replaced by `to`. */
static void replaced(char text[2 * CLNORM_SCHEDULE_TEXT_SIZE], const char *from, const char *to)
{
    const struct clnorm_schedule s = {
        .name = "x", .lanes = 4, .group = 1, .tile = 1, .block = 32, .parts = 7, .resident = 99};
    char good[CLNORM_SCHEDULE_TEXT_SIZE];
    clnorm_schedule_format(&s, good);
    const char *const at = strstr(good, from);
    assert_non_null(at);
    snprintf(text, 2 * CLNORM_SCHEDULE_TEXT_SIZE, "%.*s%s%s", (int)(at - good), good, to,
             at + strlen(from));
}

static void test_bad_text(void **unused)
{
    (void)unused;
    static const struct {
        const char *from, *to, *says;
    } wrong[] = {
        {"x:", "", "begins with a name"},
        {"x:", ":", "begins with a name"},
        {"x:", "x", "begins with a name"},
        {"x:", "a-name-of-24-characters.:", "at most 23"},
        {"walk=serial", "walk=spiral", "walk cannot be 'spiral'"},
        {"walk=serial", "walk=", "walk cannot be ''"},
        {"walk=serial", "", "walk is missing"},
        {"lanes=4", "lanes=4 fold=serial", "fold cannot be 'serial'"},
        {"lanes=4", "lanes=4 fold=tree fold=tree", "fold is given twice"},
        {"lanes=4", "lanes=", "lanes cannot be ''"},
        {"lanes=4", "lanes=4x", "lanes cannot be '4x'"},
        {"lanes=4", "lanes=-4", "lanes cannot be '-4'"},
        {"lanes=4", "lanes=+4", "lanes cannot be"},
        {"lanes=4", "lanes=4294967296", "lanes cannot be"},
        {"lanes=4", "lanes=always", "lanes cannot be"},
        {"lanes=4", "lanes", "'lanes' is none of its numbers"},
        {"lanes=4", "=4", "'=4' is none of its numbers"},
        {"lanes=4", "lanes=4 lanes=4", "lanes is given twice"},
        {"lanes=4", "wheels=4", "'wheels=4' is none of its numbers"},
        {"lanes=4", "lanes =4", "is none of its numbers"},
        {"resident=99", "resident=18446744073709551616", "resident cannot be"},
        {"resident=99", "resident=Always", "resident cannot be"},
        {"resident=99", "", "resident is missing"},
        {"block=32", "block=3 2", "'2' is none of its numbers"},
    };
    const struct clnorm_schedule before = {.name = "untouched", .lanes = 77};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[2 * CLNORM_SCHEDULE_TEXT_SIZE], message[256] = "";
        struct clnorm_schedule s = before;
        replaced(text, wrong[i].from, wrong[i].to);
        assert_int_equal(clnorm_schedule_parse(text, &s, message, sizeof message),
                         CLNORM_INVALID_ARGUMENT);
        if (!strstr(message, wrong[i].says) || strchr(message, '\n'))
            fail_msg("'%s': %s", text, message);
        assert_memory_equal(&s, &before, sizeof s);
        assert_int_equal(clnorm_schedule_parse(text, &s, NULL, 0), CLNORM_INVALID_ARGUMENT);
    }
    struct clnorm_schedule s;
    assert_int_equal(clnorm_schedule_parse(NULL, &s, NULL, 0), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_schedule_parse("", &s, NULL, 0), CLNORM_INVALID_ARGUMENT);
}

/* People write it otherwise than the library does. */
static void test_edited_text(void **unused)
{
    (void)unused;
    char text[2 * CLNORM_SCHEDULE_TEXT_SIZE];
    struct clnorm_schedule s;
    replaced(text, "walk=serial lanes=4", "lanes=8 \t fold=tree walk=group");
    assert_int_equal(clnorm_schedule_parse(text, &s, NULL, 0), CLNORM_OK);
    assert_int_equal(s.walk, CLNORM_WALK_GROUP);
    assert_int_equal(s.lanes, 8);
    assert_int_equal(s.parts, 7);
    replaced(text, "resident=99", "resident=always");
    assert_int_equal(clnorm_schedule_parse(text, &s, NULL, 0), CLNORM_OK);
    assert_true(s.resident == UINT64_MAX);
    replaced(text, "x:", "custom:");
    assert_int_equal(clnorm_schedule_parse(text, &s, NULL, 0), CLNORM_OK);
    assert_string_equal(s.name, "");
}

/* ---- Pipelines ---- */

/* With these channels, fewer than those of the text where it has a bound. */
static void check_slots_of(const struct variant *v, struct clnorm_problem problem,
                           uint64_t channels)
{
    const struct clnorm_schedule *const s = &v->schedule;
    const int first = problem.layout == CLNORM_NCHW && problem.spatial != 1;
    problem.channels = (int64_t)channels;
    const uint64_t slots = clnorm__slots(&v->problem, s), tiles = clnorm__tiles(&problem, s);
    assert_true(slots > 0 && (slots & (slots - 1)) == 0);
    for (uint64_t i = 0; i < tiles; i++) {
        const uint64_t width = i + 1 < tiles ? s->tile : channels - i * s->tile;
        const uint64_t vectors = first ? 1 : (width + s->lanes - 1) / s->lanes;
        assert_true(slots * vectors >= clnorm__depth(&v->problem));
        assert_true(first || (width >= s->lanes && vectors <= clnorm__tallies(&v->problem, s)));
        assert_true(width <= clnorm__table_size(&v->problem, s));
    }
}

/* Between two adds to the same tally there are always enough others. */
static int check_slots(void *unused, const struct variant *v)
{
    (void)unused;
    const struct clnorm_schedule *const s = &v->schedule;
    const uint64_t most = (uint64_t)v->problem.channels;
    if (s->walk != CLNORM_WALK_PIPELINE)
        return 0;
    for (uint64_t channels = s->bound > 0 ? s->lanes : most; channels <= most; channels++)
        check_slots_of(v, v->problem, channels);
    return 0;
}

static void test_slots(void **unused)
{
    (void)unused;
    assert_int_equal(visit_variants(check_slots, NULL), 0);
}

/* ---- Classes ---- */

static void test_class(void **unused)
{
    (void)unused;
    static const struct {
        const char *problem, *representative;
    } rows[] = {
        {"forward nchw f32 32x64x56x56 +scale +shift +running +biased",
         "forward nchw f32 32x64x4096"},
        {"forward nchw f32 ?x64x? +scale", "forward nchw f32 ?x64x?"},
        {"forward nhwc f16 ?x63x7x7 +add +relu", "forward nhwc f16 ?x63x64 +add +relu"},
        {"infer nchw bf16 3x5x6", "infer nchw bf16 4x5x8"},
        {"infer nchw f64 5x5x2", "infer nchw f64 4x5x2"},
        {"infer nchw f32 47x5x48", "infer nchw f32 32x5x64"},
        {"infer nchw f32 1x5", "infer nchw f32 1x5x1"},
        {"infer nchw f32 0x5x0", "infer nchw f32 1x5x1"},
        {"backward nchw f32 2x5x4 +scale +shift +adam +relu", "backward nchw f32 2x5x4 +relu"},
        {"backward-frozen nchw f32 2x5x4", "backward-frozen nchw f32 2x5x4"},
        {"backward-frozen nchw f32 2x5x4 +shift +sgd", "backward-frozen nchw f32 2x5x4 +scale"},
        {"update nchw f32 2x5x4 +shift +sgd", "update nchw f32 2x5x4 +shift +sgd"},
        /* Both rounded up, there would be 2^60 elements. */
        {"infer nchw f32 805306368x1x805306368", "infer nchw f32 536870912x1x536870912"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct clnorm_problem p, representative, again;
        char text[CLNORM_PROBLEM_TEXT_SIZE], want[CLNORM_PROBLEM_TEXT_SIZE];
        assert_int_equal(clnorm_problem_parse(rows[i].representative, &p, NULL, 0), CLNORM_OK);
        clnorm_problem_format(&p, want);
        assert_int_equal(clnorm_problem_parse(rows[i].problem, &p, NULL, 0), CLNORM_OK);
        clnorm_problem_class(&p, &representative);
        clnorm_problem_format(&representative, text);
        assert_string_equal(text, want);
        assert_int_equal(clnorm_problem_check(&representative, NULL, 0), CLNORM_OK);
        clnorm_problem_class(&representative, &again);
        assert_memory_equal(&again, &representative, sizeof again);
    }
}

/* A representative is valid, and stands for itself. */
static int check_class(void *unused, const struct variant *v)
{
    (void)unused;
    struct clnorm_problem representative, again;
    clnorm_problem_class(&v->problem, &representative);
    assert_int_equal(clnorm_problem_check(&representative, NULL, 0), CLNORM_OK);
    clnorm_problem_class(&representative, &again);
    assert_memory_equal(&again, &representative, sizeof again);
    return 0;
}

static void test_classes(void **unused)
{
    (void)unused;
    assert_int_equal(visit_variants(check_class, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legal),       cmocka_unit_test(test_refuse),
        cmocka_unit_test(test_refuse_walk), cmocka_unit_test(test_launches),
        cmocka_unit_test(test_text),        cmocka_unit_test(test_random_text),
        cmocka_unit_test(test_same),        cmocka_unit_test(test_bad_text),
        cmocka_unit_test(test_edited_text), cmocka_unit_test(test_class),
        cmocka_unit_test(test_classes),     cmocka_unit_test(test_slots),
        cmocka_unit_test(test_folds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
