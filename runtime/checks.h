/* Checks on what the caller gave. Each failure names the argument and what it should be. */
#ifndef CLNORM_RUNTIME_CHECKS_H
#define CLNORM_RUNTIME_CHECKS_H

#include "context.h"
#include "roles.h"

/* A schedule that is right for a problem, and that the device takes: CLNORM_INVALID_ARGUMENT or
 * CLNORM_UNSUPPORTED when not. */
enum clnorm_status clnorm__schedule_taken(struct clnorm_context *context,
                                          const struct clnorm_problem *problem,
                                          const struct clnorm_schedule *schedule);

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

#endif
