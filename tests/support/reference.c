#include "reference.h"

#include "convert.h"
#include "reference_parts.h"

#include <math.h>

double clnorm_reference_unit(const enum clnorm_dtype dtype)
{
    return dtype == CLNORM_F64 ? 1e-12 : 1e-5;
}

int clnorm__reference_has(const struct clnorm_values *const values, const uint32_t flag)
{
    return (values->problem.flags & flag) != 0;
}

void clnorm__reference_put(struct clnorm_values *const values, const enum clnorm_slot slot,
                           const size_t index, const double value, const double tolerance)
{
    struct clnorm_slot_values *const target = &values->slot[slot];
    if (target->use != CLNORM_WRITTEN && target->use != CLNORM_READ_WRITTEN)
        return;
    const int narrow = target->dtype == CLNORM_F16 || target->dtype == CLNORM_BF16;
    const double rounding =
        narrow && tolerance > 0 ? clnorm_convert_ulp(target->dtype, value) / 2 : 0;
    target->data[index] = value;
    target->tolerance[index] =
        tolerance + rounding + clnorm_convert_smallest(clnorm_convert_parameter(target->dtype));
}

double clnorm__reference_ulp(const struct clnorm_values *const values, const double value)
{
    return clnorm_convert_ulp(clnorm_convert_parameter(values->problem.dtype), value);
}

/* What is known of a channel: M, the mean and the sum of squared deviations from it. */
struct moments {
    long double count, mean, m2;
};

static struct moments moments_of_tensor(const struct clnorm_values *const values,
                                        const struct clnorm_part part)
{
    const double *const x = values->slot[CLNORM_SLOT_X].data;
    const int64_t c = part.channel;
    struct moments moments = {.count = (long double)clnorm_values_count(values, part)};
    long double sum = 0;
    for (int64_t n = part.first; n < part.last; n++)
        for (int64_t s = 0; s < clnorm_values_length(values, n); s++)
            sum += x[clnorm_values_offset(values, n, c, s)];
    if (moments.count > 0)
        moments.mean = sum / moments.count;
    for (int64_t n = part.first; n < part.last; n++)
        for (int64_t s = 0; s < clnorm_values_length(values, n); s++) {
            const long double deviation = x[clnorm_values_offset(values, n, c, s)] - moments.mean;
            moments.m2 += deviation * deviation;
        }
    return moments;
}

/* Two passes again: the mean of the sets' means, then the deviations within and between the sets.
 */
static struct moments moments_of_parts(const struct clnorm_values *const values, const int64_t c)
{
    const size_t channels = (size_t)values->problem.channels;
    const double *const first = values->slot[CLNORM_SLOT_PARTS].data + c;
    struct moments moments = {0};
    long double sum = 0;
    for (int64_t k = 0; k < values->sets; k++) {
        const double *const set = first + 4 * channels * (size_t)k;
        moments.count += set[0];
        if (set[0] > 0)
            sum += set[0] * ((long double)set[channels] + set[2 * channels]);
    }
    if (moments.count > 0)
        moments.mean = sum / moments.count;
    for (int64_t k = 0; k < values->sets; k++) {
        const double *const set = first + 4 * channels * (size_t)k;
        const long double between = (long double)set[channels] + set[2 * channels] - moments.mean;
        if (set[0] > 0)
            moments.m2 += set[3 * channels] + set[0] * between * between;
    }
    return moments;
}

static double variance_of(const struct moments moments)
{
    return moments.count > 0 ? (double)(moments.m2 / moments.count) : 0;
}

static void put_moments(struct clnorm_values *const values, const int64_t c,
                        const struct moments moments)
{
    const size_t channels = (size_t)values->problem.channels;
    const double unit = clnorm_reference_unit(values->problem.dtype);
    const double mean =
        clnorm_convert_round(clnorm_convert_parameter(values->problem.dtype), (double)moments.mean);
    const double rest = isfinite(mean) ? (double)(moments.mean - mean) : 0;
    const double ulp = clnorm__reference_ulp(values, mean);
    const size_t index = (size_t)c;
    clnorm__reference_put(values, CLNORM_SLOT_MOMENTS, index, (double)moments.count,
                          clnorm__reference_ulp(values, (double)moments.count));
    clnorm__reference_put(values, CLNORM_SLOT_MOMENTS, index + channels, mean,
                          unit * sqrt(variance_of(moments)) + ldexp(ulp, -17));
    clnorm__reference_put(values, CLNORM_SLOT_MOMENTS, index + 2 * channels, rest, ulp);
    clnorm__reference_put(values, CLNORM_SLOT_MOMENTS, index + 3 * channels, (double)moments.m2,
                          unit * (double)moments.m2);
}

/* The tolerance that a running statistic has from the sub-batches before, less what it is forgotten. */
static double carried(const struct clnorm_values *const values, const enum clnorm_slot slot,
                      const int64_t c)
{
    return (1 - values->momentum) * values->slot[slot].tolerance[c];
}

static void put_running(struct clnorm_values *const values, const int64_t c,
                        const struct moments moments)
{
    const double *const old_mean = values->slot[CLNORM_SLOT_RUNNING_MEAN].data;
    const double *const old_var = values->slot[CLNORM_SLOT_RUNNING_VAR].data;
    if (!clnorm__reference_has(values, CLNORM_RUNNING) || moments.count == 0)
        return;
    const double unit = clnorm_reference_unit(values->problem.dtype), weight = values->momentum;
    const double biased = variance_of(moments), mean = (double)moments.mean;
    const int corrected = !clnorm__reference_has(values, CLNORM_BIASED) && moments.count > 1;
    const double var = corrected ? (double)(moments.m2 / (moments.count - 1)) : biased;
    clnorm__reference_put(
        values, CLNORM_SLOT_RUNNING_MEAN, (size_t)c, (1 - weight) * old_mean[c] + weight * mean,
        carried(values, CLNORM_SLOT_RUNNING_MEAN, c) + weight * unit * sqrt(biased) +
            4 * clnorm__reference_ulp(values, fabs(old_mean[c]) + fabs(mean)));
    clnorm__reference_put(values, CLNORM_SLOT_RUNNING_VAR, (size_t)c,
                          (1 - weight) * old_var[c] + weight * var,
                          carried(values, CLNORM_SLOT_RUNNING_VAR, c) + weight * unit * var +
                              4 * clnorm__reference_ulp(values, fabs(old_var[c]) + var));
}

static double parameter(const struct clnorm_values *const values, const enum clnorm_slot slot,
                        const uint32_t flag, const int64_t c, const double otherwise)
{
    return clnorm__reference_has(values, flag) ? values->slot[slot].data[c] : otherwise;
}

/* What renorm makes of xhat: xhat*r + d. */
struct renorm {
    double r, d;
};

/* NaN stays NaN. */
static double clip(const double value, const double low, const double high)
{
    return value < low ? low : value > high ? high : value;
}

/* From the running statistics as they are before put_running. */
static struct renorm put_renorm(struct clnorm_values *const values, const int64_t c,
                                const struct moments moments)
{
    struct renorm by = {.r = 1};
    if (!clnorm__reference_has(values, CLNORM_RENORM))
        return by;
    const double unit = clnorm_reference_unit(values->problem.dtype), var = variance_of(moments);
    const double mean = (double)moments.mean;
    const double moving_mean = values->slot[CLNORM_SLOT_RUNNING_MEAN].data[c];
    const double moving_var = values->slot[CLNORM_SLOT_RUNNING_VAR].data[c] + values->epsilon;
    if (moments.count > 0) {
        by.r = clip(sqrt((var + values->epsilon) / moving_var), 1 / values->r_max, values->r_max);
        by.d = clip((double)(moments.mean - moving_mean) / sqrt(moving_var), -values->d_max,
                    values->d_max);
        if (!isfinite(mean)) /* nothing to clip to: y is NaN, too */
            by.d = (double)NAN;
    }
    clnorm__reference_put(values, CLNORM_SLOT_RENORM_R, (size_t)c, by.r,
                          by.r * unit * var / (var + values->epsilon) / 2 +
                              4 * clnorm__reference_ulp(values, by.r));
    clnorm__reference_put(values, CLNORM_SLOT_RENORM_D, (size_t)c, by.d,
                          (unit * sqrt(var) + clnorm__reference_ulp(values, fabs(mean))) /
                                  sqrt(moving_var) +
                              4 * clnorm__reference_ulp(values, by.d));
    return by;
}

static void put_outputs(struct clnorm_values *const values, const struct clnorm_part part,
                        const long double mean, const double invstd, const struct renorm by)
{
    const int64_t c = part.channel;
    const double unit = clnorm_reference_unit(values->problem.dtype);
    const double scale = parameter(values, CLNORM_SLOT_SCALE, CLNORM_SCALE, c, 1);
    const double shift = parameter(values, CLNORM_SLOT_SHIFT, CLNORM_SHIFT, c, 0);
    for (int64_t n = part.first; n < part.last; n++)
        for (int64_t s = 0; s < values->spatial; s++) {
            const size_t i = clnorm_values_offset(values, n, c, s);
            const double xhat = (double)(values->slot[CLNORM_SLOT_X].data[i] - mean) * invstd;
            double y = (xhat * by.r + by.d) * scale + shift;
            if (clnorm__reference_has(values, CLNORM_ADD))
                y += values->slot[CLNORM_SLOT_ADD].data[i];
            if (clnorm__reference_has(values, CLNORM_RELU) && y <= 0)
                y = 0;
            const int valid = s < clnorm_values_length(values, n);
            clnorm__reference_put(values, CLNORM_SLOT_Y, i, valid ? y : 0,
                                  valid ? unit * (1 + fabs(y)) : 0);
        }
}

static void forward_with(struct clnorm_values *const values, const struct clnorm_part part,
                         const struct moments moments)
{
    const double unit = clnorm_reference_unit(values->problem.dtype);
    const double var = variance_of(moments), mean = (double)moments.mean;
    const double invstd = 1 / sqrt(var + values->epsilon);
    clnorm__reference_put(values, CLNORM_SLOT_MEAN, part.statistic, mean,
                          unit * sqrt(var) + clnorm__reference_ulp(values, mean));
    clnorm__reference_put(values, CLNORM_SLOT_INVSTD, part.statistic, invstd,
                          invstd * unit * var / (var + values->epsilon) / 2 +
                              4 * clnorm__reference_ulp(values, invstd));
    const struct renorm by = put_renorm(values, part.channel, moments);
    put_running(values, part.channel, moments);
    put_outputs(values, part, moments.mean, invstd, by);
}

static void moments_step(struct clnorm_values *const values, const int64_t c)
{
    put_moments(values, c, moments_of_tensor(values, clnorm_values_part(values, c, 0)));
}

static void merge_step(struct clnorm_values *const values, const int64_t c)
{
    put_moments(values, c, moments_of_parts(values, c));
}

static void normalise_step(struct clnorm_values *const values, const int64_t c)
{
    forward_with(values, clnorm_values_part(values, c, 0), moments_of_parts(values, c));
}

static void forward_step(struct clnorm_values *const values, const int64_t c)
{
    for (int64_t ghost = 0; ghost < clnorm_values_ghosts(values); ghost++) {
        const struct clnorm_part part = clnorm_values_part(values, c, ghost);
        forward_with(values, part, moments_of_tensor(values, part));
    }
}

static void infer_step(struct clnorm_values *const values, const int64_t c)
{
    const double var = values->slot[CLNORM_SLOT_VAR].data[c];
    put_outputs(values, clnorm_values_part(values, c, 0), values->slot[CLNORM_SLOT_MEAN].data[c],
                1 / sqrt(var + values->epsilon), (struct renorm){.r = 1});
}

static void update_step(struct clnorm_values *const values, const int64_t c)
{
    clnorm__reference_optimise(
        values, c,
        (struct clnorm__gradient){.value =
                                      parameter(values, CLNORM_SLOT_DSCALE, CLNORM_SCALE, c, 0)},
        (struct clnorm__gradient){.value =
                                      parameter(values, CLNORM_SLOT_DSHIFT, CLNORM_SHIFT, c, 0)});
}

typedef void channel_step(struct clnorm_values *values, int64_t c);

static channel_step *const steps[CLNORM_OPERATION_COUNT] = {
    [CLNORM_MOMENTS] = moments_step,
    [CLNORM_MERGE] = merge_step,
    [CLNORM_NORMALISE] = normalise_step,
    [CLNORM_FORWARD] = forward_step,
    [CLNORM_INFER] = infer_step,
    [CLNORM_BACKWARD_SUMS] = clnorm__reference_backward_sums,
    [CLNORM_INPUT_GRADIENT] = clnorm__reference_input_gradient,
    [CLNORM_BACKWARD] = clnorm__reference_backward,
    [CLNORM_BACKWARD_FROZEN] = clnorm__reference_backward,
    [CLNORM_UPDATE] = update_step,
};

void clnorm_reference_run(struct clnorm_values *const values)
{
    for (int64_t c = 0; c < values->problem.channels; c++)
        steps[values->problem.operation](values, c);
}
