/* A plan: kernels of its own on the context's program, and how their arguments are bound. */
#ifndef CLNORM_RUNTIME_PLAN_H
#define CLNORM_RUNTIME_PLAN_H

#include "arguments.h"

struct clnorm__step_kernel {
    cl_kernel kernel; /* NULL: the program has no such step */
    unsigned arguments;
    struct clnorm__binding binding[CLNORM_MAX_KERNEL_ARGUMENTS];
};

struct clnorm__step_kernels {
    struct clnorm__step_kernel step[CLNORM_STEP_COUNT];
};

struct clnorm_plan {
    struct clnorm_context *context;
    const struct clnorm__program *program;
    struct clnorm__step_kernels kernels;
};

/* Makes a kernel for each step a program has. On failure nothing is left behind. */
enum clnorm_status clnorm__kernels_create(struct clnorm_context *context,
                                          const struct clnorm__program *program,
                                          struct clnorm__step_kernels *kernels);
void clnorm__kernels_release(struct clnorm__step_kernels *kernels);

#endif
