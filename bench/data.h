/*
 * The inputs of one case, made once for all contestants, and what is right for them: per-channel
 * sums in double precision, from which check.c follows every element. Arrays are by the slots of
 * tests/support/values.h.
 */
#ifndef CLNORM_BENCH_DATA_H
#define CLNORM_BENCH_DATA_H

#include "cases.h"

#include <values.h>

#define BENCH_EPSILON 1e-5

struct bench_channel {
    double mean, variance, deviation; /* of x: what forward computes */
    /* backward: sums of g and g*xhat, of their absolute values, and the largest of each, where g is
     * dy behind relu */
    double dshift, dscale, dshift_terms, dscale_terms, dy_most, xhat_most;
};

struct bench_data {
    const struct bench_case *one;
    size_t elements, count;          /* of a tensor; of a channel */
    void *input[CLNORM_SLOT_COUNT];  /* stored as the problem's types say; NULL: not read */
    size_t bytes[CLNORM_SLOT_COUNT]; /* of every slot the problem uses */
    enum clnorm_use use[CLNORM_SLOT_COUNT];
    enum clnorm_dtype parameter;   /* the type of statistics and parameters */
    struct bench_channel *channel; /* one for each */
};

/* Fills *data; one must outlive it. NULL, or why it cannot be done. *data may be freed either way.
 */
const char *bench_data_make(struct bench_data *data, const struct bench_case *one);
void bench_data_free(struct bench_data *data);

/* What a contestant wrote, in host memory and the problem's layout; NULL: not to be looked at. */
struct bench_outputs {
    const void *slot[CLNORM_SLOT_COUNT];
};

/*
 * The largest error of all outputs, relative: of y against 1 + |y|, of dx against the largest terms
 * it is the sum of in its channel, of sums against the sum of their absolute terms, of mean against
 * the deviation; the half unit that storing in f16 and bf16 costs is not counted. `what` (32
 * characters) says which output it is.
 */
double bench_check(const struct bench_data *data, const struct bench_outputs *outputs,
                   char what[32]);

/* An element of stored data as a double, quickly. `table` is NULL but for 16-bit types. */
double *bench_table_make(enum clnorm_dtype dtype);
static inline double bench_load(enum clnorm_dtype dtype, const double *table, const void *base,
                                size_t index)
{
    if (dtype == CLNORM_F32)
        return ((const float *)base)[index];
    return dtype == CLNORM_F64 ? ((const double *)base)[index]
                               : table[((const uint16_t *)base)[index]];
}

/* A tensor as rows in memory: a row of nchw is one channel's, an element of an nhwc row each. */
struct bench_rows {
    size_t count, length, channels;
    int first; /* channels first */
};
struct bench_rows bench_rows_of(const struct bench_case *one);

#endif
