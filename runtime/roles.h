/*
 * Buffer roles: what the buffers of a run are called, how a problem uses them and how much they
 * hold. The names are those of struct clnorm_arguments and of the kernels' arguments.
 */
#ifndef CLNORM_RUNTIME_ROLES_H
#define CLNORM_RUNTIME_ROLES_H

#include <clnorm/clnorm.h>

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
    CLNORM__RENORM_R,
    CLNORM__RENORM_D,
    CLNORM__MOMENTS,
    CLNORM__SUMS,
    CLNORM__PARTS,
    CLNORM__STATE,
    CLNORM__LENGTHS,
    CLNORM__CONSTANTS,
    CLNORM__BUFFER_COUNT
};

/* Extents of a run: as the problem fixes them or as the arguments give them. */
struct clnorm__extents {
    uint64_t batch, spatial, sets;
};

/* "x", "running_mean", ... */
const char *clnorm__buffer_name(unsigned role);
int clnorm__buffer_is_tensor(unsigned role);

/* Unused for CONSTANTS, which lie in the workspace. */
enum clnorm_use clnorm__buffer_use(const struct clnorm_problem *problem, unsigned role);

/* What the arguments give for a role; for CONSTANTS the workspace. */
struct clnorm_buffer clnorm__buffer_given(const struct clnorm_arguments *arguments, unsigned role);
void clnorm__buffer_give(struct clnorm_arguments *arguments, unsigned role,
                         struct clnorm_buffer buffer);

/* What a buffer of the role holds for given extents; CONSTANTS as in the workspace. */
size_t clnorm__buffer_element_size(const struct clnorm_problem *problem, unsigned role);
uint64_t clnorm__buffer_bytes(const struct clnorm_problem *problem, unsigned role,
                              const struct clnorm__extents *extents);

#endif
