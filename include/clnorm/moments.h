/*
 * clnorm/moments.h: moments as objects of the host, in f64: merged, kept, and made into statistics.
 *
 *     what `moments` and `merge` leave on a device -> unpack -> merge -> mean and variance
 *
 * Exact statistics of a population need all of it, but never at once: take the moments of each
 * batch, of any size and on any device, and merge them. Two batches merge by Chan, Golub and
 * LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979),
 * equation 2.1: with n = na + nb and d = mean_b - mean_a,
 *
 *     mean = mean_a + d*nb/n        m2 = m2_a + m2_b + d*d*na*nb/n
 *
 * No OpenCL is needed here. Functions keep nothing between calls and may be called from any thread;
 * an object is for one thread at a time. A NaN stays in its channel. The order of merging matters
 * in the last bits only, and the same order gives the same bits.
 */
#ifndef CLNORM_MOMENTS_H
#define CLNORM_MOMENTS_H

#include <clnorm/codegen.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Moments of `channels` channels, a value each. The four arrays lie one after the other in the one
 * block that starts at count, so that count points to a record of f64 (see clnorm_moments_pack).
 * They are yours to read, to change, and to save as you like: count, mean and m2 are all that a
 * file needs, and what `clnorm moments` writes.
 */
struct clnorm_moments {
    int64_t channels;
    double *count; /* values seen; exact up to 2^53 */
    double *mean;  /* of them, the nearest double; 0 where count is 0 */
    double *rest;  /* what mean lacks */
    double *m2;    /* sum of squared deviations from the mean */
};

/*
 * Makes moments of nothing, all zero; free them with clnorm_moments_free. On failure *moments is
 * empty. Errors: CLNORM_INVALID_ARGUMENT (channels < 1), CLNORM_OUT_OF_MEMORY.
 */
CLNORM_API enum clnorm_status clnorm_moments_create(int64_t channels,
                                                    struct clnorm_moments *moments);

/* Frees the block and empties the struct. NULL and an empty struct are fine. */
CLNORM_API void clnorm_moments_free(struct clnorm_moments *moments);

/*
 * A record is one set of moments as struct clnorm_arguments has it, read back from a device: count,
 * mean, rest and m2, `channels` parameters each, floats for f32, f16 and bf16 tensors and doubles
 * for f64. Unpacking takes it into *moments as it is, without loss, in place of what is there;
 * packing rounds each number to nearest, the mean as a pair (a count is exact up to 2^24 in a
 * float). `record` holds 4*channels*clnorm_dtype_parameter_size(dtype) bytes, of any alignment.
 */
CLNORM_API void clnorm_moments_unpack(struct clnorm_moments *moments, enum clnorm_dtype dtype,
                                      const void *record);
CLNORM_API void clnorm_moments_pack(const struct clnorm_moments *moments, enum clnorm_dtype dtype,
                                    void *record);

/*
 * Merges `more` into *moments, which then are those of all values of both. Channels that saw
 * nothing change nothing. CLNORM_INVALID_ARGUMENT, and nothing done, when their channels differ in
 * number.
 */
CLNORM_API enum clnorm_status clnorm_moments_merge(struct clnorm_moments *moments,
                                                   const struct clnorm_moments *more);

/*
 * Whether these can be moments of anything, for those that come from a file: counts are finite and
 * >= 0, no m2 is negative, and both are 0 together with the mean where count is 0. Not so:
 * CLNORM_INVALID_ARGUMENT, and one line in message[size] (NULL is fine when size is 0) names the
 * first channel that is wrong.
 */
CLNORM_API enum clnorm_status clnorm_moments_check(const struct clnorm_moments *moments,
                                                   char *message, size_t size);

/*
 * Mean and variance, `channels` values each; either may be NULL. The variance is m2/(count - 1),
 * that of the population the values were drawn from, which inference wants; with CLNORM_BIASED in
 * flags m2/count. A channel of one value has variance 0, one of none mean 0 and variance 0.
 */
CLNORM_API void clnorm_moments_statistics(const struct clnorm_moments *moments, uint32_t flags,
                                          double *mean, double *var);

#ifdef __cplusplus
}
#endif

#endif
