/* Which steps a problem takes under a schedule, and the numbers that both the text and the launches
 * use. */
#ifndef CLNORM_CODEGEN_GEOMETRY_H
#define CLNORM_CODEGEN_GEOMETRY_H

#include "problem.h"

/* Channels of one tile: what one work-item (serial) or group walks. */
uint64_t clnorm__tile_channels(const struct clnorm_problem *problem,
                               const struct clnorm_schedule *schedule);

/* Work-group size of the finish kernel. */
uint32_t clnorm__finish_group(const struct clnorm_schedule *schedule);

/* 1 when a problem with these extents is done in one launch. */
int clnorm__is_fused(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule,
                     uint64_t batch, uint64_t spatial);

/* Whether some extents the problem allows need the fused kernel, and whether some need the split
 * ones. */
int clnorm__may_fuse(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule);
int clnorm__may_split(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule);

#endif
