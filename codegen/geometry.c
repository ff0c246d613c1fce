#include "geometry.h"

/* A slab so small that doing it in one place beats sharing it, in bytes. */
#define SMALL_SLAB 32768
/* Positions (n, s) per part at least: below, another part costs more than it brings. */
#define LEAST_POSITIONS 512

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

static uint64_t at_most(uint64_t a, uint64_t limit)
{
    return a < limit ? a : limit;
}

static uint64_t at_least(uint64_t a, uint64_t limit)
{
    return a > limit ? a : limit;
}

uint64_t clnorm__tile_channels(const struct clnorm_problem *problem,
                               const struct clnorm_schedule *schedule)
{
    if (clnorm__channels_first(problem))
        return 1;
    return schedule->walk == CLNORM_WALK_GROUP ? schedule->tile : schedule->lanes;
}

uint32_t clnorm__finish_group(const struct clnorm_schedule *schedule)
{
    if (schedule->walk == CLNORM_WALK_GROUP)
        return schedule->group < 64 ? schedule->group : 64;
    return schedule->lanes;
}

static uint64_t tile_count(const struct clnorm_problem *problem,
                           const struct clnorm_schedule *schedule)
{
    return divide_up((uint64_t)problem->channels, clnorm__tile_channels(problem, schedule));
}

int clnorm__is_fused(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule,
                     uint64_t batch, uint64_t spatial)
{
    const struct clnorm__traits traits = clnorm__problem_traits(problem);
    if (!traits.reduces || schedule->resident == 0)
        return 0;
    if (schedule->resident == UINT64_MAX)
        return 1;
    if (batch == 0 || spatial == 0)
        return 0;
    const uint64_t bytes = clnorm_dtype_size(problem->dtype) * traits.tensors_read;
    const uint64_t value_bytes = clnorm__tile_channels(problem, schedule) * bytes;
    if (batch * spatial > schedule->resident / value_bytes)
        return 0;
    /* One tile is one unit of work: with fewer tiles than compute units (parts are 4 a unit) some
     * would idle. */
    return tile_count(problem, schedule) >= divide_up(schedule->parts, 4) ||
           batch * spatial <= SMALL_SLAB / value_bytes;
}

int clnorm__may_fuse(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule)
{
    if (!clnorm__extents_known(problem))
        return clnorm__problem_traits(problem).reduces && schedule->resident > 0;
    return clnorm__is_fused(problem, schedule, (uint64_t)problem->batch,
                            (uint64_t)problem->spatial);
}

int clnorm__may_split(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule)
{
    if (!clnorm__extents_known(problem))
        return !clnorm__problem_traits(problem).reduces || schedule->resident != UINT64_MAX;
    return !clnorm__is_fused(problem, schedule, (uint64_t)problem->batch,
                             (uint64_t)problem->spatial);
}

/*
 * Cuts the extents into parts: as many as the schedule aims for over all tiles, first along the
 * batch, then in space. Returns a bound on the number of parts that never falls as the extents
 * grow.
 */
static uint64_t cut(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule,
                    struct clnorm_launches *plan)
{
    const uint64_t positions = plan->batch * plan->spatial;
    const uint64_t most = divide_up(schedule->parts, tile_count(problem, schedule));
    const uint64_t wanted = at_least(at_most(most, positions / LEAST_POSITIONS), 1);
    const uint64_t batch_parts = at_least(at_most(wanted, plan->batch), 1);
    const uint64_t spatial_parts = divide_up(wanted, batch_parts);
    plan->batch_step = at_least(divide_up(plan->batch, batch_parts), 1);
    const uint64_t step = at_least(divide_up(plan->spatial, spatial_parts), 1);
    /* Whole vectors in every part but the last. */
    plan->spatial_step = divide_up(step, schedule->lanes) * schedule->lanes;
    return 2 * wanted;
}

static struct clnorm_launch tiles_launch(const struct clnorm_problem *problem,
                                         const struct clnorm_schedule *schedule,
                                         enum clnorm_step step, uint64_t batch_parts,
                                         uint64_t spatial_parts)
{
    return (struct clnorm_launch){
        .step = step,
        .global = {tile_count(problem, schedule) * schedule->group, batch_parts, spatial_parts},
        .local = {schedule->group, 1, 1},
    };
}

static struct clnorm_launch finish_launch(const struct clnorm_problem *problem,
                                          const struct clnorm_schedule *schedule)
{
    const uint64_t group = clnorm__finish_group(schedule);
    return (struct clnorm_launch){
        .step = CLNORM_STEP_FINISH,
        .global = {divide_up((uint64_t)problem->channels, group) * group, 1, 1},
        .local = {group, 1, 1},
    };
}

/* Reduce, finish, map: those the operation has, over the parts that were cut. */
static void plan_split(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule,
                       struct clnorm_launches *plan)
{
    const struct clnorm__traits traits = clnorm__problem_traits(problem);
    const int empty = plan->batch == 0 || plan->spatial == 0;
    const uint64_t batch_parts = empty ? 0 : divide_up(plan->batch, plan->batch_step);
    const uint64_t spatial_parts = empty ? 0 : divide_up(plan->spatial, plan->spatial_step);
    plan->parts = batch_parts * spatial_parts;
    if (traits.reduces && !empty)
        plan->launch[plan->count++] =
            tiles_launch(problem, schedule, CLNORM_STEP_REDUCE, batch_parts, spatial_parts);
    if (traits.finishes)
        plan->launch[plan->count++] = finish_launch(problem, schedule);
    if (traits.maps && !empty)
        plan->launch[plan->count++] =
            tiles_launch(problem, schedule, CLNORM_STEP_MAP, batch_parts, spatial_parts);
}

struct clnorm_launches clnorm_launches_plan(const struct clnorm_problem *problem,
                                            const struct clnorm_schedule *schedule, uint64_t batch,
                                            uint64_t spatial)
{
    const struct clnorm__traits traits = clnorm__problem_traits(problem);
    const int first = clnorm__channels_first(problem);
    const int fused = clnorm__is_fused(problem, schedule, batch, spatial);
    struct clnorm_launches plan = {
        .batch = first ? batch : 1,
        .spatial = first ? spatial : batch * spatial,
    };
    const uint64_t most_parts = cut(problem, schedule, &plan);
    if (fused) {
        plan.batch_step = at_least(plan.batch, 1);
        plan.spatial_step = at_least(plan.spatial, 1);
        plan.parts = 1;
        plan.launch[plan.count++] = tiles_launch(problem, schedule, CLNORM_STEP_FUSED, 1, 1);
    } else {
        plan_split(problem, schedule, &plan);
    }
    const uint64_t channels = (uint64_t)problem->channels;
    const uint64_t constants = traits.finishes && traits.maps ? 4 * channels : 0;
    const uint64_t sums = traits.reduces ? traits.planes * channels : 0;
    plan.constants = plan.parts * sums;
    plan.workspace = (most_parts * sums + constants) * clnorm_dtype_parameter_size(problem->dtype);
    return plan;
}

struct clnorm_launch clnorm_launch_of_step(const struct clnorm_problem *problem,
                                           const struct clnorm_schedule *schedule,
                                           enum clnorm_step step)
{
    if (step == CLNORM_STEP_FINISH)
        return finish_launch(problem, schedule);
    return tiles_launch(problem, schedule, step, 1, 1);
}
