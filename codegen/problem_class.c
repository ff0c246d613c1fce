#include "problem.h"

#define PARAMETERS (CLNORM_SCALE | CLNORM_SHIFT)

/* The power of two nearest to an extent, the upper one for a tie; `down`: the one below. */
static int64_t round_extent(int64_t extent, int down)
{
    int64_t power = 1;
    if (extent == CLNORM_ANY)
        return extent;
    while (power <= extent / 2)
        power *= 2;
    return !down && extent - power >= power - power / 2 ? 2 * power : power;
}

/* The flags that change what is read and written per element, or which steps there are. */
static uint32_t traffic_flags(const struct clnorm_problem *problem)
{
    if (problem->operation == CLNORM_UPDATE) /* nothing but its flags */
        return problem->flags;
    const uint32_t flags =
        problem->flags & (CLNORM_ADD | CLNORM_RELU | CLNORM_GHOST | CLNORM_LENGTHS);
    const int sums = problem->operation == CLNORM_BACKWARD_FROZEN && problem->flags & PARAMETERS;
    return sums ? flags | CLNORM_SCALE : flags;
}

void clnorm_problem_class(const struct clnorm_problem *problem,
                          struct clnorm_problem *representative)
{
    struct clnorm_problem r = *problem;
    r.flags = traffic_flags(problem);
    r.batch = round_extent(problem->batch, 0);
    r.spatial = round_extent(problem->spatial, 0);
    r.ghost = problem->ghost > 0 ? round_extent(problem->ghost, 1) : 0;
    if (clnorm_problem_check(&r, NULL, 0) != CLNORM_OK) { /* rounding up made it too large */
        r.batch = round_extent(problem->batch, 1);
        r.spatial = round_extent(problem->spatial, 1);
    }
    *representative = r;
}
