/*
 * The f64 reference for every operation: plain loops over (n, c, s), two passes, long double sums.
 * Written from the formulas in clnorm.h, with nothing in common with the kernels.
 *
 * Beside each value that it writes, the reference leaves the tolerance within which a device must
 * come. With `unit` 1e-5 for f32 parameters and 1e-12 for f64, ulp that of the parameter type:
 *
 *     y                   unit*(1 + |y|)
 *     mean                unit*std + 1 ulp
 *     mean + rest         unit*std + 2^-17 ulp        (moments: the pair carries what one float
 * cannot) m2, variance        unit relative; invstd: half of that where the variance dominates
 * epsilon, + 4 ulp count               1 ulp running mean, var   that of the batch's value times
 * momentum, + 4 ulp dx                  0.4*unit*(|dy| + |dshift|/M +
 * |xhat*dscale|/M)*|scale*invstd|, its maximum in the channel; for ordinary data that is
 * unit*max|dx|, and it stays meaningful where dx cancels (M = 1, 2) dadd                exact
 *     dscale, dshift, sums  unit*sum of the absolute terms
 *     optimiser           unit of the step's terms, which may cancel each other, 2 ulp of the
 * parameter, and what the gradient's tolerance makes of it
 *
 * r of renorm has the relative tolerance of invstd, d that of the mean over sigma. Of ghost batches
 * a running statistic has what each of them leaves of its own.
 *
 * f16 and bf16 tensors: half an ulp more, the one rounding when stored. Everything: the smallest
 * normal number more, since a device may flush denormals.
 */
#ifndef CLNORM_VERIFY_REFERENCE_H
#define CLNORM_VERIFY_REFERENCE_H

#include "values.h"

/* 1e-5 or 1e-12: what is asked of a device for tensors of dtype. */
double clnorm_reference_unit(enum clnorm_dtype dtype);

/* Reads the slots that the problem reads and writes those it writes, with tolerances. */
void clnorm_reference_run(struct clnorm_values *values);

#endif
