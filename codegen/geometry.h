/* Which steps a problem takes under a schedule, and the numbers that both the text and the launches
 * use. */
#ifndef CLNORM_CODEGEN_GEOMETRY_H
#define CLNORM_CODEGEN_GEOMETRY_H

#include "problem.h"

/* Bytes of a run over channels first that is far to ask ahead for, and how far is enough then. */
enum { CLNORM__FAR = 16384, CLNORM__NEAR = 1024 };

/* Channels last: rows that a reduction takes at a time, so that a tally is loaded and stored once
 * for all of them. More would be more streams than memory likes. */
enum { CLNORM__ABREAST = 2 };

/* Channels last: how many rows ahead a reduction asks for values. */
uint64_t clnorm__rows_ahead(const struct clnorm_problem *problem,
                            const struct clnorm_schedule *schedule);

/*
 * Channels first, with planes too small to fill vectors: a sample is walked as a row of channels
 * last, in which each channel has so many columns, one for each place in space; the sums of columns
 * are sets that finishing merges. 1: walked as it is. The extent must be fixed; tiles must have
 * room for whole channels in whole vectors; and there must be samples enough to sum.
 */
uint64_t clnorm__spread(const struct clnorm_problem *problem,
                        const struct clnorm_schedule *schedule);

/* The problem that text and launches are made for: with a bound, that of as many channels. */
struct clnorm_problem clnorm__bounded(const struct clnorm_problem *problem,
                                      const struct clnorm_schedule *schedule);

/* Pipeline walk: iterations between two that add to the same number, at least. Meant to be more than
 * the cycles that an addition and the memory of the sum take. */
uint64_t clnorm__depth(const struct clnorm_problem *problem);

/* Group and pipeline walk: channels of a tile. */
uint64_t clnorm__tile_channels(const struct clnorm_problem *problem,
                               const struct clnorm_schedule *schedule);

/* Pipeline walk: how many tiles there are, and how many tallies a vector of channels has that take
 * values in turn, a power of two. */
uint64_t clnorm__tiles(const struct clnorm_problem *problem,
                       const struct clnorm_schedule *schedule);
uint64_t clnorm__slots(const struct clnorm_problem *problem,
                       const struct clnorm_schedule *schedule);

/* Serial and pipeline walk: for how many rows or vectors of channels a work-item keeps tallies at
 * most, and how many columns its table of constants has. */
uint64_t clnorm__tallies(const struct clnorm_problem *problem,
                         const struct clnorm_schedule *schedule);
uint64_t clnorm__table_size(const struct clnorm_problem *problem,
                            const struct clnorm_schedule *schedule);

/* Channels that a work-item of the finish kernel takes, and its work-group size. */
uint32_t clnorm__finish_width(const struct clnorm_schedule *schedule);
uint32_t clnorm__finish_group(const struct clnorm_schedule *schedule);

/* 1 when a group folds its records in local memory, one for each work-item. */
int clnorm__has_scratch(const struct clnorm_schedule *schedule);

/* 1 when a problem with these extents is done in one launch. */
int clnorm__is_fused(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule,
                     uint64_t batch, uint64_t spatial);

/* Whether some extents the problem allows need the fused kernel, and whether some need the split
 * ones. */
int clnorm__may_fuse(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule);
int clnorm__may_split(const struct clnorm_problem *problem, const struct clnorm_schedule *schedule);

#endif
