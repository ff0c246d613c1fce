/*
 * Binding: the kernels of a program, and the values their arguments take by their names in the
 * emitted text.
 */
#ifndef CLNORM_RUNTIME_BINDING_H
#define CLNORM_RUNTIME_BINDING_H

#include "context.h"
#include "roles.h"

enum clnorm__number_role {
    CLNORM__BATCH,
    CLNORM__SPATIAL,
    CLNORM__BATCH_STEP,
    CLNORM__SPATIAL_STEP,
    CLNORM__CHANNELS,
    CLNORM__TILE,
    CLNORM__PAST,
    CLNORM__SETS,
    CLNORM__GHOSTS,
    CLNORM__GHOST_SETS,
    CLNORM__GHOST_POSITIONS,
    CLNORM__POSITIONS,
    CLNORM__SAMPLES,
    CLNORM__SAMPLE_POSITIONS,
    CLNORM__EPSILON,
    CLNORM__MOMENTUM,
    CLNORM__COUNT,
    CLNORM__R_MAX,
    CLNORM__D_MAX,
    CLNORM__LEARNING_RATE,
    CLNORM__WEIGHT_DECAY,
    CLNORM__VELOCITY_DECAY,
    CLNORM__WEIGHT1,
    CLNORM__WEIGHT2,
    CLNORM__CORRECTION1,
    CLNORM__CORRECTION2,
    CLNORM__ADAM_EPSILON,
    CLNORM__NUMBER_COUNT
};

/* What a kernel argument stands for. */
struct clnorm__binding {
    enum { CLNORM__BIND_MEMORY, CLNORM__BIND_OFFSET, CLNORM__BIND_NUMBER } what;
    unsigned role;
};

/* The value of every role in one run. */
struct clnorm__values {
    struct {
        cl_mem memory;
        cl_ulong offset; /* in elements */
    } buffer[CLNORM__BUFFER_COUNT];
    struct {
        size_t size;
        union {
            cl_ulong u;
            cl_float f;
            cl_double d;
        } value;
    } number[CLNORM__NUMBER_COUNT];
};

struct clnorm__step_kernel {
    cl_kernel kernel; /* NULL: the program has no such step */
    unsigned arguments;
    struct clnorm__binding binding[CLNORM_MAX_KERNEL_ARGUMENTS];
};

struct clnorm__step_kernels {
    struct clnorm__step_kernel step[CLNORM_STEP_COUNT];
};

/* Makes a kernel for each step a program has. On failure nothing is left behind. */
enum clnorm_status clnorm__kernels_create(struct clnorm_context *context,
                                          const struct clnorm__program *program,
                                          struct clnorm__step_kernels *kernels);
void clnorm__kernels_release(struct clnorm__step_kernels *kernels);

/* Fills the values of a checked run. */
void clnorm__arguments_values(const struct clnorm_problem *problem,
                              const struct clnorm_arguments *arguments,
                              const struct clnorm__extents *extents,
                              const struct clnorm_launches *launches,
                              struct clnorm_buffer workspace, struct clnorm__values *values);

/* Fills those that each launch has its own of. */
void clnorm__launch_values(const struct clnorm_launch *launch, struct clnorm__values *values);

/* Sets all arguments of a kernel. Returns the first OpenCL error. */
cl_int clnorm__kernel_bind(cl_kernel kernel, const struct clnorm__binding *bindings, unsigned count,
                           const struct clnorm__values *values);

#endif
