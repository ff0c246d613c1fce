/*
 * Arguments of a run: which buffers a problem uses, the checks on what the caller gave, and the
 * values that kernel arguments take by their names in the emitted text.
 */
#ifndef CLNORM_RUNTIME_ARGUMENTS_H
#define CLNORM_RUNTIME_ARGUMENTS_H

#include "context.h"

/* Buffers a kernel argument may name: those of struct clnorm_arguments, then those in the
 * workspace. */
enum clnorm__buffer_role {
    CLNORM__X,
    CLNORM__Y,
    CLNORM__ADD,
    CLNORM__DY,
    CLNORM__DX,
    CLNORM__DADD,
    CLNORM__SCALE,
    CLNORM__SHIFT,
    CLNORM__DSCALE,
    CLNORM__DSHIFT,
    CLNORM__MEAN,
    CLNORM__INVSTD,
    CLNORM__VAR,
    CLNORM__RUNNING_MEAN,
    CLNORM__RUNNING_VAR,
    CLNORM__MOMENTS,
    CLNORM__SUMS,
    CLNORM__PARTS,
    CLNORM__STATE,
    CLNORM__CONSTANTS,
    CLNORM__BUFFER_COUNT
};

enum clnorm__number_role {
    CLNORM__BATCH,
    CLNORM__SPATIAL,
    CLNORM__BATCH_STEP,
    CLNORM__SPATIAL_STEP,
    CLNORM__SETS,
    CLNORM__EPSILON,
    CLNORM__MOMENTUM,
    CLNORM__COUNT,
    CLNORM__LEARNING_RATE,
    CLNORM__WEIGHT_DECAY,
    CLNORM__VELOCITY_DECAY,
    CLNORM__BETA1,
    CLNORM__BETA2,
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

/* The binding of a kernel argument by its name. 0 when no such name is known: an error of clnorm
 * itself. */
int clnorm__binding_of(const char *name, struct clnorm__binding *binding);

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

/* Extents of a run, after checks: as the problem fixes them or as the arguments give them. */
struct clnorm__extents {
    uint64_t batch, spatial, sets;
};

/* Reads and checks size, extents, sets and numbers of the arguments. */
enum clnorm_status clnorm__arguments_extents(struct clnorm_context *context,
                                             const struct clnorm_problem *problem,
                                             const struct clnorm_arguments *arguments,
                                             struct clnorm__extents *extents);

/* Checks every buffer the problem uses, the workspace (unless not given) among them. */
enum clnorm_status clnorm__arguments_check(struct clnorm_context *context,
                                           const struct clnorm_problem *problem,
                                           const struct clnorm_arguments *arguments,
                                           const struct clnorm__extents *extents, size_t workspace);

/* Fills the values of a checked run. */
void clnorm__arguments_values(const struct clnorm_problem *problem,
                              const struct clnorm_arguments *arguments,
                              const struct clnorm__extents *extents,
                              const struct clnorm_launches *launches,
                              struct clnorm_buffer workspace, struct clnorm__values *values);

/* Sets all arguments of a kernel. Returns the first OpenCL error. */
cl_int clnorm__kernel_bind(cl_kernel kernel, const struct clnorm__binding *bindings, unsigned count,
                           const struct clnorm__values *values);

#endif
