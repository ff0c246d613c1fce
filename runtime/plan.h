/* A plan: kernels of its own on the context's program. */
#ifndef CLNORM_RUNTIME_PLAN_H
#define CLNORM_RUNTIME_PLAN_H

#include "binding.h"

struct clnorm_plan {
    struct clnorm_context *context;
    struct clnorm_problem problem; /* as asked for; the program's may have `?` where it has not */
    const struct clnorm__program *program;
    struct clnorm__program *adopted; /* the same, when it is the plan's own; else NULL */
    struct clnorm__step_kernels kernels;
    /* The last run's, valid when planned: the next run mostly has the same extents. */
    int planned;
    uint64_t batch, spatial;
    struct clnorm_launches launches;
};

#endif
