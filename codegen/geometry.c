#include "geometry.h"

/* Work so small that one work-item (group) does it sooner than several would start, in bytes. */
#define SMALL_WORK 32768
/* Bytes of a part at least: below, another part costs more than it brings. */
#define LEAST_PART 16384
/* Positions (n, s) of a part at least, for the same reason: each part is merged in the end. */
#define LEAST_POSITIONS 16
/* Channels first: rows shorter than this are taken several at a time, in bytes. */
#define LONG_ROW 32768
/* Channels first: rows taken at a time at most, each with a tally of its own. */
#define MOST_ROWS 16
/* Tiles whose runs are shorter, in bytes, use too little of what a cache fetches, and share lines
 * with those of other compute units. */
#define LEAST_WIDTH 1024
/* Columns of a table that has the channels more than once: fewer would mean short loops. */
#define LEAST_CIRCLE 256
/* Channels last: a reduction asks for values so many bytes, and so many rows, ahead at least. */
#define LEAST_AHEAD_BYTES 16384
#define LEAST_AHEAD       8
/* Mapping parts need no merging: so many for each that a reduction would have. */
#define MAP_PARTS 4
/* A schedule aims for so many parts for each compute unit. */
#define PARTS_PER_UNIT 4
/* Flags under which positions of the batch are not all the same to the walk. */
#define SAMPLES_DIFFER (CLNORM_GHOST | CLNORM_LENGTHS)

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

static uint64_t round_up(uint64_t a, uint64_t b)
{
    return divide_up(a, b) * b;
}

static uint64_t at_most(uint64_t a, uint64_t limit)
{
    return a < limit ? a : limit;
}

static uint64_t at_least(uint64_t a, uint64_t limit)
{
    return a > limit ? a : limit;
}

struct clnorm_problem clnorm__bounded(const struct clnorm_problem *problem,
                                      const struct clnorm_schedule *schedule)
{
    struct clnorm_problem bounded = *problem;
    if (schedule->bound > 0)
        bounded.channels = (int64_t)schedule->bound;
    return bounded;
}

static uint64_t common_multiple(uint64_t a, uint64_t b)
{
    uint64_t multiple = a;
    while (multiple % b != 0)
        multiple += a;
    return multiple;
}

uint64_t clnorm__spread(const struct clnorm_problem *problem,
                        const struct clnorm_schedule *schedule)
{
    const int64_t spatial = problem->spatial, batch = problem->batch, lanes = schedule->lanes;
    const int reduces = clnorm__problem_traits(problem).reduces, fills = spatial >= lanes;
    const int64_t least = LEAST_POSITIONS * (fills ? 4 : 1);
    if (schedule->walk != CLNORM_WALK_SERIAL || !clnorm__channels_first(problem) ||
        problem->channels == 1 || (batch != CLNORM_ANY && batch < least) || spatial < 2 ||
        spatial >= 2 * lanes || (fills && !reduces) || problem->flags & SAMPLES_DIFFER)
        return 1;
    const uint64_t unit = common_multiple((uint64_t)spatial, schedule->lanes);
    return unit <= schedule->tile ? (uint64_t)spatial : 1;
}

/* A problem with extents, as its kernels walk it: channels last, and a single channel where samples
 * are all the same, is one row of N*S positions; so is what clnorm__spread makes channels last, with
 * its columns for channels. */
struct work {
    const struct clnorm_problem *problem;
    const struct clnorm_schedule *schedule;
    int serial, group, first;
    uint64_t batch, spatial, channels;
    uint64_t spread;
    uint64_t unit;          /* channels last: the channels of a tile are a multiple of it, or all */
    uint64_t ghost, ghosts; /* positions of a sub-batch, as all are but the last; their number */
    uint64_t element;       /* bytes */
};

static struct work work_of(const struct clnorm_problem *problem,
                           const struct clnorm_schedule *schedule, uint64_t batch, uint64_t spatial)
{
    const uint64_t spread = clnorm__spread(problem, schedule);
    const int first = clnorm__channels_first(problem) && spread == 1;
    const int ghost = (problem->flags & CLNORM_GHOST) != 0;
    const int rows = first && (problem->channels > 1 || problem->flags & SAMPLES_DIFFER);
    const uint64_t samples = ghost ? (uint64_t)problem->ghost : at_least(batch, 1);
    return (struct work){
        .problem = problem,
        .schedule = schedule,
        .serial = schedule->walk == CLNORM_WALK_SERIAL,
        .group = schedule->walk == CLNORM_WALK_GROUP,
        .first = first,
        .batch = rows ? batch : 1,
        .spatial = rows ? spatial : batch * (spatial / spread),
        .channels = (uint64_t)problem->channels * spread,
        .spread = spread,
        .unit = common_multiple(spread, schedule->lanes),
        .ghost = at_most(samples, batch) * (spatial / spread),
        .ghosts = ghost ? divide_up(batch, samples) : 1,
        .element = clnorm_dtype_size(problem->dtype),
    };
}

static uint64_t positions(const struct work *work)
{
    return work->batch * work->spatial;
}

/* ---- Tiles ---- */

uint64_t clnorm__tile_channels(const struct clnorm_problem *problem,
                               const struct clnorm_schedule *schedule)
{
    const int group = schedule->walk == CLNORM_WALK_GROUP;
    return group && clnorm__channels_first(problem) ? 1 : schedule->tile;
}

static uint64_t widest_tile(const struct work *work)
{
    const uint64_t tile = work->schedule->tile;
    return at_most(work->spread > 1 ? tile / work->unit * work->unit : tile, work->channels);
}

/* Channels last, the last tile takes what would not fill a vector of the next. */
static uint64_t widest_last_tile(const struct work *work)
{
    return at_most(work->schedule->tile + work->schedule->lanes - 1, work->channels);
}

static uint64_t tile_count(const struct work *work, uint64_t tile)
{
    if (work->group || work->first || work->channels < work->schedule->lanes)
        return divide_up(work->channels, tile);
    return (work->channels - work->schedule->lanes) / tile + 1;
}

uint64_t clnorm__tiles(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule)
{
    const struct work work = work_of(problem, schedule, 1, 1);
    return tile_count(&work, clnorm__tile_channels(problem, schedule));
}

uint64_t clnorm__depth(const struct clnorm_problem *problem)
{
    return problem->dtype == CLNORM_F64 ? 32 : 16;
}

uint64_t clnorm__slots(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule)
{
    const struct work work = work_of(problem, schedule, 1, 1);
    const uint64_t before = (clnorm__tiles(problem, schedule) - 1) * schedule->tile;
    const uint64_t narrowest =
        before > 0 ? at_most(schedule->tile, work.channels - before) : work.channels;
    /* Channels last, all vectors of a row come between two of the same: one, if need be. */
    const uint64_t vectors =
        work.first || schedule->bound > 0 ? 1 : divide_up(narrowest, schedule->lanes);
    uint64_t slots = 1;
    while (slots * vectors < clnorm__depth(problem))
        slots *= 2;
    return slots;
}

uint64_t clnorm__tallies(const struct clnorm_problem *problem,
                         const struct clnorm_schedule *schedule)
{
    const struct work work = work_of(problem, schedule, 1, 1);
    if (work.first)
        return at_most(widest_tile(&work), MOST_ROWS);
    if (work.channels < schedule->lanes) /* as many rows as make whole vectors, side by side */
        return work.channels;
    return divide_up(widest_last_tile(&work), schedule->lanes);
}

uint64_t clnorm__table_size(const struct clnorm_problem *problem,
                            const struct clnorm_schedule *schedule)
{
    const struct work work = work_of(problem, schedule, 1, 1);
    if (work.first)
        return round_up(widest_tile(&work), schedule->lanes);
    const uint64_t width =
        work.serial ? at_least(widest_last_tile(&work), LEAST_CIRCLE) : widest_last_tile(&work);
    return round_up(width + schedule->lanes - 1, schedule->lanes);
}

uint64_t clnorm__rows_ahead(const struct clnorm_problem *problem,
                            const struct clnorm_schedule *schedule)
{
    const struct work work = work_of(problem, schedule, 1, 1);
    const uint64_t row = work.channels * work.element;
    return at_least(LEAST_AHEAD_BYTES / row, LEAST_AHEAD);
}

/* Rows of one channel that make a run worth starting. */
static uint64_t rows_of_run(const struct work *work)
{
    const uint64_t rows = LONG_ROW / at_least(work->spatial * work->element, 1);
    return at_least(at_most(at_most(rows, MOST_ROWS), widest_tile(work)), 1);
}

/* Channels in tiles as even as whole vectors allow. */
static uint64_t even_tile(const struct work *work, uint64_t most)
{
    const uint64_t tiles = divide_up(work->channels, most);
    return at_most(round_up(divide_up(work->channels, tiles), work->unit), most);
}

static uint64_t reduce_tile(const struct work *work)
{
    if (!work->serial)
        return clnorm__tile_channels(work->problem, work->schedule);
    return work->first ? rows_of_run(work) : even_tile(work, widest_tile(work));
}

/* Bytes of one channel of a sub-batch that a reduction reads. */
static uint64_t slab_bytes(const struct work *work)
{
    return work->ghost * work->element * clnorm__problem_traits(work->problem).tensors_read;
}

/* As many channels as stay resident and leave a tile for each compute unit. */
static uint64_t fused_tile(const struct work *work)
{
    if (!work->serial)
        return clnorm__tile_channels(work->problem, work->schedule);
    const uint64_t slab = at_least(slab_bytes(work), 1);
    const uint64_t units = at_least(work->schedule->parts / PARTS_PER_UNIT, 1);
    uint64_t tile = work->first ? rows_of_run(work) : widest_tile(work);
    if (work->channels > SMALL_WORK / slab)
        tile = at_most(tile, at_least(work->channels / units, 1));
    /* While a tile is written the next one comes in. */
    tile = at_least(at_most(tile, work->schedule->resident / 2 / slab), 1);
    if (work->first || tile == work->channels)
        return tile;
    return at_most(at_least(tile / work->unit * work->unit, work->unit), work->channels);
}

int clnorm__has_scratch(const struct clnorm_schedule *schedule)
{
    return schedule->walk == CLNORM_WALK_GROUP && schedule->fold != CLNORM_FOLD_COLLECTIVE;
}

/* ---- Fused or split ---- */

/* Whether a tile's runs are long enough for compute units not to write to each other's lines. */
static int is_wide(const struct work *work, uint64_t tile)
{
    const uint64_t run = tile * (work->first ? work->spatial : 1) * work->element;
    return !work->serial || tile == work->channels || run >= LEAST_WIDTH;
}

/* Whether there is a fused kernel at all. Over sub-batches the walk of groups would need barriers
 * in a loop bounded at run time, which PoCL's repl method makes endless and its loops method
 * wrong. */
static int can_fuse(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule)
{
    const int barriers = schedule->walk == CLNORM_WALK_GROUP;
    return clnorm__problem_traits(problem).reduces && schedule->resident > 0 &&
           !(barriers && problem->flags & CLNORM_GHOST);
}

int clnorm__is_fused(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule,
                     uint64_t batch, uint64_t spatial)
{
    const struct work work = work_of(problem, schedule, batch, spatial);
    if (!can_fuse(problem, schedule))
        return 0;
    if (schedule->resident == UINT64_MAX)
        return 1;
    if (batch == 0 || spatial == 0)
        return 0;
    const uint64_t tile = fused_tile(&work), slab = slab_bytes(&work);
    if (slab > schedule->resident / tile || !is_wide(&work, tile))
        return 0;
    /* One tile is one unit of work: with fewer tiles than compute units some would idle. */
    return tile_count(&work, tile) >= divide_up(schedule->parts, PARTS_PER_UNIT) ||
           slab <= SMALL_WORK / tile / work.ghosts;
}

int clnorm__may_fuse(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule)
{
    if (!clnorm__extents_known(problem))
        return can_fuse(problem, schedule);
    return clnorm__is_fused(problem, schedule, (uint64_t)problem->batch,
                            (uint64_t)problem->spatial);
}

int clnorm__may_split(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule)
{
    if (!clnorm__extents_known(problem))
        return !can_fuse(problem, schedule) || schedule->resident != UINT64_MAX;
    return !clnorm__is_fused(problem, schedule, (uint64_t)problem->batch,
                             (uint64_t)problem->spatial);
}

/* ---- Launches ---- */

/* Parts worth making of all the work; never falls as the extents grow. */
static uint64_t parts_wanted(const struct work *work, uint64_t most)
{
    const uint64_t rows = LEAST_PART / (work->channels * work->element);
    return at_least(at_most(most, positions(work) / at_least(rows, LEAST_POSITIONS)), 1);
}

/* Parts of equal size, at most so many, that make up `whole`. */
static uint64_t even_parts(uint64_t whole, uint64_t most)
{
    uint64_t parts = at_least(at_most(most, whole), 1);
    while (whole % parts != 0)
        parts--;
    return parts;
}

/* Cuts the sub-batches of tiles into parts, about `wanted` in all; none is of two sub-batches. */
static void cut_ghosts(const struct work *work, uint64_t wanted, struct clnorm_launch *launch)
{
    const uint64_t tiles = tile_count(work, launch->tile) * at_least(work->ghosts, 1);
    const uint64_t each = divide_up(wanted, tiles);
    if (!work->first) {
        launch->batch_step = 1;
        launch->spatial_step = at_least(work->ghost / even_parts(work->ghost, each), 1);
        return;
    }
    const uint64_t samples = at_most((uint64_t)work->problem->ghost, at_least(work->batch, 1));
    const uint64_t batch_parts = even_parts(samples, each);
    const uint64_t spatial_parts = launch->tile > 1 ? 1 : divide_up(each, batch_parts);
    launch->batch_step = samples / batch_parts;
    launch->spatial_step =
        round_up(at_least(divide_up(work->spatial, spatial_parts), 1), work->schedule->lanes);
}

/* Cuts tiles into parts, about `wanted` in all: first along the batch, then in space. */
static void cut(const struct work *work, uint64_t wanted, struct clnorm_launch *launch)
{
    if (work->problem->flags & CLNORM_GHOST) {
        cut_ghosts(work, wanted, launch);
        return;
    }
    const uint64_t each = divide_up(wanted, tile_count(work, launch->tile));
    const uint64_t batch_parts = at_least(at_most(each, work->batch), 1);
    const int whole_rows = work->first && launch->tile > 1;
    const uint64_t spatial_parts = whole_rows ? 1 : divide_up(each, batch_parts);
    const uint64_t step = at_least(divide_up(work->spatial, spatial_parts), 1);
    launch->batch_step = at_least(divide_up(work->batch, batch_parts), 1);
    /* Whole vectors in every part but the last. */
    launch->spatial_step = round_up(step, work->schedule->lanes);
}

/* Mapping takes as many channels together as leave parts enough. */
static uint64_t map_tile(const struct work *work, uint64_t wanted)
{
    if (!work->serial || !work->first)
        return reduce_tile(work);
    const uint64_t tiles = divide_up(wanted, at_least(work->batch, 1));
    const uint64_t tile = at_least(at_most(work->channels / tiles, widest_tile(work)), 1);
    return tile < work->schedule->lanes ? tile
                                        : tile / work->schedule->lanes * work->schedule->lanes;
}

uint32_t clnorm__finish_width(const struct clnorm_schedule *schedule)
{
    return schedule->walk == CLNORM_WALK_GROUP ? 1 : schedule->lanes;
}

uint32_t clnorm__finish_group(const struct clnorm_schedule *schedule)
{
    if (schedule->walk != CLNORM_WALK_GROUP)
        return 1;
    return schedule->group < 64 ? schedule->group : 64;
}

/* The pipeline walk: one work-item does all there is. */
static struct clnorm_launch launch_single(const struct work *work, enum clnorm_step step)
{
    return (struct clnorm_launch){
        .step = step,
        .global = {1, 1, 1},
        .local = {1, 1, 1},
        .tile = work->channels,
        .batch_step = at_least(work->batch, 1),
        .spatial_step = at_least(work->spatial, 1),
        .spread = 1,
    };
}

static struct clnorm_launch launch_finish(const struct work *work)
{
    if (work->schedule->walk == CLNORM_WALK_PIPELINE)
        return launch_single(work, CLNORM_STEP_FINISH);
    const uint64_t group = clnorm__finish_group(work->schedule);
    const uint64_t channels = (uint64_t)work->problem->channels;
    const uint64_t items = divide_up(channels, clnorm__finish_width(work->schedule));
    return (struct clnorm_launch){
        .step = CLNORM_STEP_FINISH,
        .global = {round_up(items, group), 1, 1},
        .local = {group, 1, 1},
        .spread = work->spread,
    };
}

static struct clnorm_launch launch_tiles(const struct work *work, enum clnorm_step step)
{
    if (work->schedule->walk == CLNORM_WALK_PIPELINE)
        return launch_single(work, step);
    struct clnorm_launch launch = {
        .step = step, .local = {work->schedule->group, 1, 1}, .spread = work->spread};
    if (step == CLNORM_STEP_FUSED) {
        launch.tile = fused_tile(work);
        launch.batch_step = at_least(work->batch, 1);
        launch.spatial_step = at_least(work->spatial, 1);
    } else {
        const uint64_t most = work->schedule->parts;
        const int maps = step == CLNORM_STEP_MAP && work->serial;
        const uint64_t wanted = parts_wanted(work, maps ? MAP_PARTS * most : most);
        launch.tile = maps ? map_tile(work, wanted) : reduce_tile(work);
        cut(work, wanted, &launch);
    }
    launch.global[0] = tile_count(work, launch.tile) * work->schedule->group;
    launch.global[1] = at_least(divide_up(work->batch, launch.batch_step), 1);
    launch.global[2] = at_least(divide_up(work->spatial, launch.spatial_step), 1);
    return launch;
}

/* Reduce, finish, map: those the operation has. */
static void plan_split(const struct work *work, struct clnorm_launches *plan)
{
    const struct clnorm__traits traits = clnorm__problem_traits(work->problem);
    const int empty = positions(work) == 0;
    if (traits.reduces && !empty) {
        const struct clnorm_launch reduce = launch_tiles(work, CLNORM_STEP_REDUCE);
        const uint64_t part = work->first ? reduce.batch_step * work->spatial : reduce.spatial_step;
        plan->parts = reduce.global[1] * reduce.global[2] * work->spread;
        plan->ghost_sets = work->ghost / part * (work->first ? reduce.global[2] : 1);
        plan->launch[plan->count++] = reduce;
    }
    if (traits.finishes)
        plan->launch[plan->count++] = launch_finish(work);
    if (traits.maps && !empty)
        plan->launch[plan->count++] = launch_tiles(work, CLNORM_STEP_MAP);
}

/* Bytes of all tensors that mapping reads and writes. */
static uint64_t mapped_bytes(const struct work *work)
{
    const struct clnorm__traits traits = clnorm__problem_traits(work->problem);
    const uint32_t flags = work->problem->flags;
    const uint64_t tensors = traits.tensors_read + 1 + (flags & CLNORM_ADD ? 1 : 0) +
                             (flags & CLNORM_RELU && traits.tensors_read > 1 ? 1 : 0);
    return positions(work) * work->channels * work->element * tensors;
}

struct clnorm_launches clnorm_launches_plan(const struct clnorm_problem *given,
                                            const struct clnorm_schedule *schedule, uint64_t batch,
                                            uint64_t spatial)
{
    const struct clnorm_problem bounded = clnorm__bounded(given, schedule), *problem = &bounded;
    const struct clnorm__traits traits = clnorm__problem_traits(problem);
    const struct work work = work_of(problem, schedule, batch, spatial);
    struct clnorm_launches plan = {.batch = work.batch, .spatial = work.spatial};
    plan.ghosts = work.ghosts;
    const int fused = clnorm__is_fused(problem, schedule, batch, spatial);
    /* Stores through the caches would push out what a fused launch keeps there for itself. */
    const uint64_t stream = fused ? schedule->stream / 2 : schedule->stream;
    plan.past = schedule->stream > 0 && mapped_bytes(&work) >= stream;
    if (fused) {
        plan.parts = work.spread * work.ghosts;
        plan.ghost_sets = 1;
        plan.launch[plan.count++] = launch_tiles(&work, CLNORM_STEP_FUSED);
    } else {
        plan_split(&work, &plan);
    }
    const uint64_t channels = (uint64_t)problem->channels;
    const uint64_t constants = traits.finishes && traits.maps ? 4 * channels * work.ghosts : 0;
    const uint64_t sums = traits.reduces ? traits.planes * channels : 0;
    /* cut() makes fewer than twice the parts it is asked for, and this never falls. */
    const uint64_t more = problem->flags & CLNORM_GHOST ? work.ghosts : 0;
    const uint64_t most_parts = 2 * (parts_wanted(&work, schedule->parts) + more) * work.spread;
    plan.constants = plan.parts * sums;
    plan.workspace = (most_parts * sums + constants) * clnorm_dtype_parameter_size(problem->dtype);
    return plan;
}

struct clnorm_launch clnorm_launch_of_step(const struct clnorm_problem *problem,
                                           const struct clnorm_schedule *schedule,
                                           enum clnorm_step step)
{
    const uint64_t batch = schedule->baked ? (uint64_t)problem->batch : 1;
    const uint64_t spatial = schedule->baked ? (uint64_t)problem->spatial : 1;
    const struct work work = work_of(problem, schedule, batch, spatial);
    return step == CLNORM_STEP_FINISH ? launch_finish(&work) : launch_tiles(&work, step);
}
