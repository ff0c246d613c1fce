#include "geometry.h"
#include "problem.h"
#include "text.h"

#include <stdio.h>

/*
 * The schedule table. A row states for which kinds of device it may be the default, when it
 * applies, and its numbers; the default is the first that fits, the rest are there for tests and
 * tuning. The last row is plain and always right.
 */
struct row {
    const char *name;
    uint32_t kinds; /* a bit for each enum clnorm_kind it is a default for */
    enum clnorm_walk walk;
    enum clnorm_fold fold;
    uint32_t lanes; /* at most; 0: the target's vector width */
    uint32_t group; /* at most */
    uint32_t tile;  /* at most */
    uint32_t block;
    uint32_t parts;    /* per compute unit */
    uint64_t resident; /* CACHE: the target's cache */
    uint64_t stream;   /* CACHE: the target's shared cache */
    uint32_t fetch, baked;
};

#define KIND(k) (1u << CLNORM_KIND_##k)
#define CACHE   (UINT64_MAX - 1)
#define ALWAYS  UINT64_MAX
/* Walk and fold. */
#define SERIAL      CLNORM_WALK_SERIAL, CLNORM_FOLD_TREE
#define GROUPS      CLNORM_WALK_GROUP, CLNORM_FOLD_TREE
#define SUBGROUPS   CLNORM_WALK_GROUP, CLNORM_FOLD_SUBGROUP
#define COLLECTIVES CLNORM_WALK_GROUP, CLNORM_FOLD_COLLECTIVE
#define PIPES       CLNORM_WALK_PIPELINE, CLNORM_FOLD_TREE

/* clang-format off */
static const struct row rows[] = {
    {"cpu",             KIND(CPU),  SERIAL, 0, 1,   1024, 128, 4, CACHE,  CACHE, 1, 0},
    {"gpu",             KIND(GPU),  GROUPS, 1, 256, 32,   32, 4, CACHE,  0, 0, 0},
    {"fpga",            KIND(FPGA), PIPES,  8, 1,   64,   64, 1, ALWAYS, 0, 0, 0},
    {"fpga-serial",     KIND(FPGA), SERIAL, 8, 1,   8,    64, 1, ALWAYS, 0, 0, 0},
    {"serial-split",    0,          SERIAL, 0, 1,   1024, 32, 4, 0,      CACHE, 1, 0},
    {"serial-fused",    0,          SERIAL, 4, 1,   16,   8,  4, ALWAYS, 0, 0, 0},
    {"serial-baked",    0,          SERIAL, 0, 1,   1024, 128, 4, CACHE,  CACHE, 1, 1},
    {"group-split",     0,          GROUPS, 1, 64,  32,   32, 4, 0,      0, 0, 0},
    {"group-fused",     0,          GROUPS, 1, 128, 32,   8,  4, ALWAYS, 0, 0, 0},
    {"group-vector",    0,          GROUPS, 4, 64,  32,   32, 4, CACHE,  0, 0, 0},
    {"group-baked",     0,          GROUPS, 1, 256, 32,   32, 4, CACHE,  0, 0, 1},
    {"subgroup",        0,          SUBGROUPS, 1, 256, 32, 32, 4, CACHE, 0, 0, 0},
    {"subgroup-split",  0,          SUBGROUPS, 4, 64, 8,  32, 4, 0,      0, 0, 0},
    {"collective",      0,          COLLECTIVES, 1, 256, 1, 32, 4, CACHE, 0, 0, 0},
    {"pipeline-split",  0,          PIPES,  4, 1,   8,    8,  1, 0,      0, 0, 0},
    {"pipeline-baked",  0,          PIPES,  16, 1,  1024, 32, 1, ALWAYS, 0, 0, 1},
    {"plain",           ~0u,        SERIAL, 1, 1,   1,    16, 2, 0,      0, 0, 0},
};
/* clang-format on */
enum { ROW_COUNT = sizeof rows / sizeof *rows };

static uint32_t power_below(uint64_t limit)
{
    uint32_t power = 1;
    while (power < 1u << 16 && (uint64_t)power * 2 <= limit)
        power *= 2;
    return power;
}

static uint32_t power_above(uint64_t value)
{
    const uint32_t power = power_below(value);
    return power < value ? power * 2 : power;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Lanes a row gets for a problem: no wider than the target's registers, and, where vectors hold
 * channels or rows, not wider than these. */
static uint32_t lanes_of(const struct row *row, const struct clnorm_problem *problem,
                         const struct clnorm_target *target)
{
    const size_t real = clnorm_dtype_parameter_size(problem->dtype);
    const int first = clnorm__channels_first(problem);
    uint32_t lanes = row->lanes ? row->lanes : power_below(target->vector_bytes / real);
    lanes = least(least(lanes, 16), power_below(target->max_group)); /* also the finish group */
    const int lengths = (problem->flags & CLNORM_LENGTHS) != 0;
    if (row->walk == CLNORM_WALK_GROUP && (!first || lengths))
        return 1;
    if (row->walk == CLNORM_WALK_PIPELINE || (lengths && !first))
        lanes = least(lanes, power_below((uint64_t)problem->channels));
    const struct clnorm_schedule whole = {.walk = row->walk, .lanes = lanes, .tile = row->tile};
    if (row->walk != CLNORM_WALK_GROUP && first && problem->channels > 1 && problem->spatial > 0 &&
        clnorm__spread(problem, &whole) == 1)
        return least(lanes, power_below((uint64_t)problem->spatial));
    return lanes;
}

static uint32_t tile_of(const struct row *row, const struct clnorm_problem *problem,
                        const struct clnorm_schedule *s)
{
    const int first = clnorm__channels_first(problem);
    if (row->walk != CLNORM_WALK_GROUP)
        return first || row->tile >= s->lanes ? row->tile : s->lanes;
    if (first)
        return 1;
    return least(least(row->tile, s->group), power_above((uint64_t)problem->channels));
}

static struct clnorm_schedule fill(const struct row *row, const struct clnorm_problem *problem,
                                   const struct clnorm_target *target)
{
    struct clnorm_schedule s = {
        .walk = row->walk,
        .lanes = lanes_of(row, problem, target),
        .group = least(row->group, power_below(target->max_group)),
        .block = row->block,
        .parts = row->parts * (row->walk == CLNORM_WALK_PIPELINE ? 1 : target->compute_units),
        .resident = row->resident == CACHE ? target->cache : row->resident,
        .stream = row->stream == CACHE ? target->shared_cache : row->stream,
        .fetch = row->fetch,
        .baked = row->baked,
        .fold = row->fold,
    };
    snprintf(s.name, sizeof s.name, "%s", row->name);
    s.tile = tile_of(row, problem, &s);
    return s;
}

static int has_fold(const struct clnorm_target *target, enum clnorm_fold fold)
{
    return fold == CLNORM_FOLD_SUBGROUP     ? target->sub_group > 0
           : fold == CLNORM_FOLD_COLLECTIVE ? target->collectives > 0
                                            : 1;
}

int clnorm_schedule_fits(const struct clnorm_schedule *schedule,
                         const struct clnorm_problem *problem, const struct clnorm_target *target)
{
    const uint64_t record = 4 * clnorm_dtype_parameter_size(problem->dtype);
    return schedule->group <= target->max_group && has_fold(target, schedule->fold) &&
           (!clnorm__has_scratch(schedule) || schedule->group * record <= target->local_memory);
}

/* Fills in the row's schedule; 1 when it is one of the target's kind that the problem can take. */
static int applies(const struct row *row, const struct clnorm_problem *problem,
                   const struct clnorm_target *target, struct clnorm_schedule *schedule)
{
    *schedule = fill(row, problem, target);
    return row == &rows[ROW_COUNT - 1] ||
           (row->kinds & (1u << target->kind) && clnorm_schedule_fits(schedule, problem, target) &&
            clnorm_schedule_check(schedule, problem, NULL, 0) == CLNORM_OK);
}

int clnorm_schedule_choose(const struct clnorm_problem *problem, const struct clnorm_target *target,
                           unsigned index, struct clnorm_schedule *schedule)
{
    struct clnorm_schedule s;
    unsigned chosen = 0;
    while (!applies(&rows[chosen], problem, target, &s)) /* the last row does */
        chosen++;
    for (unsigned i = 0; index > 0; i++) {
        if (i == ROW_COUNT)
            return 0;
        s = fill(&rows[i], problem, target);
        if (i != chosen && clnorm_schedule_fits(&s, problem, target) &&
            clnorm_schedule_check(&s, problem, NULL, 0) == CLNORM_OK)
            index--;
    }
    *schedule = s;
    return 1;
}

static int is_power(uint32_t value)
{
    return value > 0 && (value & (value - 1)) == 0;
}

/* The name goes into the text's header line. */
static int is_name(const char name[24])
{
    size_t length = 0;
    while (length < 24 &&
           (clnorm__is_word(name[length]) || name[length] == '-' || name[length] == '.'))
        length++;
    return length < 24 && name[length] == 0;
}

/* Walks whose work-items take tiles of any width. */
static enum clnorm_status check_tile(const struct clnorm_schedule *s,
                                     const struct clnorm_problem *problem, char *message,
                                     size_t size)
{
    if (s->tile < 1 || s->tile > 4096)
        return clnorm__invalid(message, size, "schedule: tile must be 1 to 4096");
    if (!clnorm__channels_first(problem) && s->tile % s->lanes != 0)
        return clnorm__invalid(message, size,
                               "schedule: over channels last, tile must be a multiple of lanes");
    return CLNORM_OK;
}

static enum clnorm_status check_serial(const struct clnorm_schedule *s,
                                       const struct clnorm_problem *problem, char *message,
                                       size_t size)
{
    if (s->group != 1)
        return clnorm__invalid(message, size, "schedule: the serial walk has group 1");
    if (s->fetch > 1)
        return clnorm__invalid(message, size, "schedule: fetch is 0 or 1");
    if (problem->flags & CLNORM_LENGTHS && !clnorm__channels_first(problem) &&
        s->lanes > problem->channels)
        return clnorm__invalid(message, size,
                               "schedule: over channels last, +lengths needs at most as many lanes "
                               "as channels: a vector with several rows may be valid in part");
    return check_tile(s, problem, message, size);
}

static enum clnorm_status check_pipeline(const struct clnorm_schedule *s,
                                         const struct clnorm_problem *problem, char *message,
                                         size_t size)
{
    if (s->group != 1 || s->parts != 1 || s->stream != 0 || s->fetch != 0)
        return clnorm__invalid(
            message, size,
            "schedule: the pipeline walk has group 1, parts 1, stream 0 and fetch 0");
    if (s->resident != 0 && s->resident != ALWAYS)
        return clnorm__invalid(message, size,
                               "schedule: the pipeline walk has resident 0 or always");
    if (problem->flags & (CLNORM_GHOST | CLNORM_LENGTHS))
        return clnorm__invalid(message, size,
                               "schedule: the pipeline walk has no +ghost and no +lengths");
    if ((int64_t)s->lanes > problem->channels)
        return clnorm__invalid(message, size,
                               "schedule: the pipeline walk has no more lanes than channels");
    return check_tile(s, problem, message, size);
}

/* The channels are an argument of the kernels that walk tensors. The others have none, and what the
 * caller lays out in planes of the channels has theirs. */
static int may_bound(const struct clnorm_schedule *s, const struct clnorm_problem *problem)
{
    if (problem->operation == CLNORM_INFER)
        return 1;
    return (problem->operation == CLNORM_FORWARD || problem->operation == CLNORM_BACKWARD ||
            problem->operation == CLNORM_BACKWARD_FROZEN) &&
           clnorm__problem_traits(problem).reduces && s->resident == ALWAYS &&
           !(problem->flags & (CLNORM_SGD | CLNORM_ADAM));
}

static enum clnorm_status check_bound(const struct clnorm_schedule *s,
                                      const struct clnorm_problem *problem, char *message,
                                      size_t size)
{
    if (s->walk != CLNORM_WALK_PIPELINE || !may_bound(s, problem))
        return clnorm__invalid(message, size,
                               "schedule: a bound is for the pipeline walk with resident always, "
                               "of forward, infer, backward, or backward-frozen that has sums, "
                               "without an optimiser");
    if (problem->channels > (int64_t)s->bound || s->bound > INT32_MAX)
        return clnorm__invalid(message, size, "schedule: bound must be %lld, the channels, or more",
                               (long long)problem->channels);
    return CLNORM_OK;
}

static enum clnorm_status check_dataflow(const struct clnorm_schedule *s,
                                         const struct clnorm_problem *problem, char *message,
                                         size_t size)
{
    if (problem->operation != CLNORM_FORWARD || clnorm__channels_first(problem) || s->baked ||
        s->resident != ALWAYS)
        return clnorm__invalid(
            message, size,
            "schedule: the dataflow walk is for forward over channels last, with "
            "resident always and baked 0");
    if (problem->channels % s->lanes != 0)
        return clnorm__invalid(
            message, size,
            "schedule: the dataflow walk needs channels that are a multiple of %u, its lanes",
            (unsigned)s->lanes);
    return check_pipeline(s, problem, message, size);
}

static enum clnorm_status check_groups(const struct clnorm_schedule *s,
                                       const struct clnorm_problem *problem, char *message,
                                       size_t size)
{
    const int first = clnorm__channels_first(problem);
    if (s->stream != 0 || s->fetch != 0)
        return clnorm__invalid(message, size, "schedule: the group walk has stream 0 and fetch 0");
    if (first && s->tile != 1)
        return clnorm__invalid(message, size,
                               "schedule: the group walk over channels first has tile 1");
    if (!is_power(s->tile) || s->tile > s->group)
        return clnorm__invalid(message, size,
                               "schedule: tile must be a power of two and at most group");
    if (s->fold == CLNORM_FOLD_COLLECTIVE && s->tile != 1)
        return clnorm__invalid(message, size, "schedule: the collective fold has tile 1");
    if (!first && s->lanes != 1)
        return clnorm__invalid(message, size,
                               "schedule: the group walk over channels last has 1 lane");
    if (problem->flags & CLNORM_LENGTHS && s->lanes != 1)
        return clnorm__invalid(
            message, size,
            "schedule: the group walk under +lengths has 1 lane: a vector may be "
            "valid in part");
    if (s->lanes > 1 && (problem->spatial == CLNORM_ANY || problem->spatial % s->lanes != 0))
        return clnorm__invalid(
            message, size,
            "schedule: the group walk needs a fixed spatial extent that is a multiple "
            "of lanes");
    return CLNORM_OK;
}

enum clnorm_status clnorm_schedule_check(const struct clnorm_schedule *s,
                                         const struct clnorm_problem *problem, char *message,
                                         size_t size)
{
    if (!s || (unsigned)s->walk >= CLNORM_WALK_COUNT)
        return clnorm__invalid(message, size, "schedule: walk is not of enum clnorm_walk");
    if ((unsigned)s->fold >= CLNORM_FOLD_COUNT)
        return clnorm__invalid(message, size, "schedule: fold is not of enum clnorm_fold");
    if (s->fold != CLNORM_FOLD_TREE && s->walk != CLNORM_WALK_GROUP)
        return clnorm__invalid(message, size, "schedule: only the group walk has a fold");
    if (!is_name(s->name))
        return clnorm__invalid(message, size,
                               "schedule: the name has up to 23 letters, digits, dots or dashes");
    if (!is_power(s->lanes) || s->lanes > 16)
        return clnorm__invalid(message, size, "schedule: lanes must be 1, 2, 4, 8 or 16");
    if (!is_power(s->group) || s->group > 1024)
        return clnorm__invalid(message, size, "schedule: group must be a power of two up to 1024");
    if (s->block < 1 || s->block > 1024)
        return clnorm__invalid(message, size, "schedule: block must be 1 to 1024");
    if (s->parts < 1 || s->parts > 65536)
        return clnorm__invalid(message, size, "schedule: parts must be 1 to 65536");
    if (s->baked > 1 || (s->baked && !clnorm__extents_known(problem)))
        return clnorm__invalid(message, size,
                               "schedule: baked is 0 or 1, and needs a problem without `?`");
    if (s->bound > 0 && check_bound(s, problem, message, size) != CLNORM_OK)
        return CLNORM_INVALID_ARGUMENT;
    static enum clnorm_status (*const checks[CLNORM_WALK_COUNT])(
        const struct clnorm_schedule *, const struct clnorm_problem *, char *, size_t) = {
        [CLNORM_WALK_SERIAL] = check_serial,
        [CLNORM_WALK_GROUP] = check_groups,
        [CLNORM_WALK_PIPELINE] = check_pipeline,
        [CLNORM_WALK_DATAFLOW] = check_dataflow,
    };
    return checks[s->walk](s, problem, message, size);
}
