/* Observed values against the reference's. */
#ifndef CLNORM_VERIFY_COMPARE_H
#define CLNORM_VERIFY_COMPARE_H

#include "values.h"

/*
 * The largest |observed - reference| / tolerance over all that the problem writes, infinity where
 * only one of the two is finite (a value the dtype cannot hold counts as infinite). At most 1 is
 * right. Writes a line about the worst element to detail[size] when it is above 1. The mean of
 * moments is compared as the sum mean + rest.
 */
double clnorm_compare(const struct clnorm_values *reference, const struct clnorm_values *observed,
                      char *detail, size_t size);

/* 1 when all written values have the same bits (any NaN equals any NaN), in channels other than
 * `except` (-1: in all). */
int clnorm_compare_same(const struct clnorm_values *a, const struct clnorm_values *b,
                        int64_t except);

#endif
