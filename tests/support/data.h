/*
 * Input data for a run: seeded, and the same on every machine (no libm in the generator).
 */
#ifndef CLNORM_VERIFY_DATA_H
#define CLNORM_VERIFY_DATA_H

#include "values.h"

enum clnorm_data {
    CLNORM_DATA_ORDINARY,   /* each channel its own mean and std, both of ordinary size */
    CLNORM_DATA_LARGE_MEAN, /* mean/std = 1e6 (f16: 1000, bf16: 50, as far as they can tell values
                               apart) */
    CLNORM_DATA_OUTLIER,    /* first value of each channel 1e6 (f16: 60000), the others N(0, 1) */
    CLNORM_DATA_CONSTANT,   /* all values of a channel equal */
    CLNORM_DATA_DENORMAL,   /* all values denormal */
    CLNORM_DATA_NAN,        /* ordinary, one NaN in channel C/2 */
    CLNORM_DATA_INFINITY,   /* ordinary, one infinity in channel C/2 */
    CLNORM_DATA_EXACT,      /* mean +- deviation on a coarse grid; see clnorm_data_fill */
    CLNORM_DATA_COUNT
};

/* "ordinary" and the like; NULL outside the enum. */
const char *clnorm_data_name(enum clnorm_data kind);

/*
 * Fills every slot that the problem reads with values that can be stored. What belongs together is
 * consistent: mean, inv-std and y of a backward come from x; the sets of `parts` are moments of (or
 * sums over) data like x's. Non-finite values go to x only.
 *
 * Exact data (after oneDNN's trick of pairs that sum to twice the mean): mean and deviation are
 * multiples of 1/4, the sign of the deviation follows the Thue-Morse sequence over n*S + s. With N
 * and S powers of two, lanes, work-items and parts at power-of-two strides each see as many of one
 * sign as of the other, or just one value; so every partial mean is that of the channel, merges are
 * of equal counts or of equal means, and no operation rounds, in whatever order.
 */
void clnorm_data_fill(struct clnorm_values *values, enum clnorm_data kind, uint64_t seed);

/* The generator behind it, splitmix64: uniform in [0, 1), and of mean 0 and variance 1. */
double clnorm_data_uniform(uint64_t *state);
double clnorm_data_normal(uint64_t *state);

#endif
