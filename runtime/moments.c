/* Compiled without contraction to fused multiply-adds: the same bits on every machine. */
#include <clnorm/moments.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLANES = 4 };

static void place(struct clnorm_moments *moments, int64_t channels, double *block)
{
    *moments = (struct clnorm_moments){
        .channels = channels,
        .count = block,
        .mean = block + channels,
        .rest = block + 2 * channels,
        .m2 = block + 3 * channels,
    };
}

enum clnorm_status clnorm_moments_create(int64_t channels, struct clnorm_moments *moments)
{
    *moments = (struct clnorm_moments){.channels = 0};
    if (channels < 1)
        return CLNORM_INVALID_ARGUMENT;
    double *const block = (uint64_t)channels <= SIZE_MAX / (PLANES * sizeof(double))
                              ? calloc((size_t)channels, PLANES * sizeof(double))
                              : NULL;
    if (!block)
        return CLNORM_OUT_OF_MEMORY;
    place(moments, channels, block);
    return CLNORM_OK;
}

void clnorm_moments_free(struct clnorm_moments *moments)
{
    if (!moments)
        return;
    free(moments->count);
    *moments = (struct clnorm_moments){.channels = 0};
}

void clnorm_moments_unpack(struct clnorm_moments *moments, enum clnorm_dtype dtype,
                           const void *record)
{
    const size_t values = PLANES * (size_t)moments->channels;
    if (dtype == CLNORM_F64) {
        memcpy(moments->count, record, values * sizeof(double));
        return;
    }
    for (size_t i = 0; i < values; i++) {
        float value;
        memcpy(&value, (const char *)record + i * sizeof value, sizeof value);
        moments->count[i] = (double)value;
    }
}

static void put(enum clnorm_dtype dtype, void *record, size_t at, double value)
{
    const float less = (float)value;
    if (dtype == CLNORM_F64)
        memcpy((char *)record + at * sizeof value, &value, sizeof value);
    else
        memcpy((char *)record + at * sizeof less, &less, sizeof less);
}

void clnorm_moments_pack(const struct clnorm_moments *moments, enum clnorm_dtype dtype,
                         void *record)
{
    const size_t channels = (size_t)moments->channels;
    for (size_t c = 0; c < channels; c++) {
        const double whole = moments->mean[c] + moments->rest[c];
        const double mean = dtype == CLNORM_F64 ? whole : (double)(float)whole;
        put(dtype, record, c, moments->count[c]);
        put(dtype, record, channels + c, mean);
        put(dtype, record, 2 * channels + c, (moments->mean[c] - mean) + moments->rest[c]);
        put(dtype, record, 3 * channels + c, moments->m2[c]);
    }
}

/* What a + b lacks, given as sum: Knuth's TwoSum. */
static double lost(double a, double b, double sum)
{
    const double second = sum - a;
    return (a - (sum - second)) + (b - second);
}

/* Channel c of both, each with values. */
static void merge_channel(struct clnorm_moments *into, const struct clnorm_moments *from, size_t c)
{
    const double before = into->count[c], count = before + from->count[c];
    const double delta = (from->mean[c] - into->mean[c]) + (from->rest[c] - into->rest[c]);
    const double step = delta * (from->count[c] / count);
    const double mean = into->mean[c] + step;
    const double rest = into->rest[c] + lost(into->mean[c], step, mean);
    into->count[c] = count;
    into->mean[c] = mean + rest;
    into->rest[c] = lost(mean, rest, mean + rest);
    into->m2[c] += from->m2[c] + delta * (step * before);
}

enum clnorm_status clnorm_moments_merge(struct clnorm_moments *moments,
                                        const struct clnorm_moments *more)
{
    const size_t channels = (size_t)moments->channels;
    if (moments->channels != more->channels)
        return CLNORM_INVALID_ARGUMENT;
    for (size_t c = 0; c < channels; c++) {
        if (more->count[c] == 0)
            continue;
        if (moments->count[c] != 0) {
            merge_channel(moments, more, c);
            continue;
        }
        moments->count[c] = more->count[c];
        moments->mean[c] = more->mean[c];
        moments->rest[c] = more->rest[c];
        moments->m2[c] = more->m2[c];
    }
    return CLNORM_OK;
}

static const char *wrong_channel(const struct clnorm_moments *moments, int64_t c)
{
    const double count = moments->count[c];
    if (!(count >= 0 && isfinite(count)))
        return "a count is a finite number >= 0";
    if (moments->m2[c] < 0)
        return "m2, a sum of squares, is not negative";
    if (count == 0 && !(moments->mean[c] == 0 && moments->m2[c] == 0))
        return "mean and m2 are 0 where count is 0";
    return NULL;
}

enum clnorm_status clnorm_moments_check(const struct clnorm_moments *moments, char *message,
                                        size_t size)
{
    for (int64_t c = 0; c < moments->channels; c++) {
        const char *const wrong = wrong_channel(moments, c);
        if (!wrong)
            continue;
        if (size > 0)
            snprintf(message, size, "channel %lld has count %g, mean %g and m2 %g: %s",
                     (long long)c, moments->count[c], moments->mean[c], moments->m2[c], wrong);
        return CLNORM_INVALID_ARGUMENT;
    }
    return CLNORM_OK;
}

void clnorm_moments_statistics(const struct clnorm_moments *moments, uint32_t flags, double *mean,
                               double *var)
{
    const double less = flags & CLNORM_BIASED ? 0 : 1;
    for (int64_t c = 0; c < moments->channels; c++) {
        if (mean)
            mean[c] = moments->mean[c] + moments->rest[c];
        if (var)
            var[c] = moments->m2[c] / fmax(moments->count[c] - less, 1);
    }
}
