#include "convert.h"
#include "reference.h"
#include "reference_parts.h"

#include <math.h>

/* Sums over a channel and what bounds the rounding of each: the sum of the absolute terms. */
struct sums {
    long double dy, dy_xhat, absolute_dy, absolute_dy_xhat;
};

static double masked_dy(const struct clnorm_values *const values, const size_t i)
{
    if (clnorm__reference_has(values, CLNORM_RELU) && values->slot[CLNORM_SLOT_Y].data[i] <= 0)
        return 0;
    return values->slot[CLNORM_SLOT_DY].data[i];
}

/* Frozen statistics without scale need no x, and get none. */
static double xhat_at(const struct clnorm_values *const values, const struct clnorm_part part,
                      const size_t i)
{
    const size_t at = part.statistic;
    if (!values->slot[CLNORM_SLOT_X].data)
        return 0;
    return (values->slot[CLNORM_SLOT_X].data[i] - values->slot[CLNORM_SLOT_MEAN].data[at]) *
           values->slot[CLNORM_SLOT_INVSTD].data[at];
}

static struct sums sums_of_tensors(const struct clnorm_values *const values,
                                   const struct clnorm_part part)
{
    struct sums sums = {0};
    for (int64_t n = part.first; n < part.last; n++)
        for (int64_t s = 0; s < clnorm_values_length(values, n); s++) {
            const size_t i = clnorm_values_offset(values, n, part.channel, s);
            const long double dy = masked_dy(values, i), product = dy * xhat_at(values, part, i);
            sums.dy += dy;
            sums.dy_xhat += product;
            sums.absolute_dy += fabsl(dy);
            sums.absolute_dy_xhat += fabsl(product);
        }
    return sums;
}

static struct sums sums_of_parts(const struct clnorm_values *const values, const int64_t c)
{
    const size_t channels = (size_t)values->problem.channels;
    struct sums sums = {0};
    for (int64_t k = 0; k < values->sets; k++) {
        const double *const set =
            values->slot[CLNORM_SLOT_PARTS].data + 2 * channels * (size_t)k + c;
        sums.dy += set[0];
        sums.dy_xhat += set[channels];
        sums.absolute_dy += fabs(set[0]);
        sums.absolute_dy_xhat += fabs(set[channels]);
    }
    return sums;
}

/* dx = scale*invstd*(dy - a - xhat*b); frozen statistics: a = b = 0. */
struct slope {
    double a, b, absolute_a, absolute_b, factor;
};

static void put_dx(struct clnorm_values *const values, const struct clnorm_part part,
                   const struct slope slope)
{
    double largest = 0;
    for (int64_t n = part.first; n < part.last; n++)
        for (int64_t s = 0; s < clnorm_values_length(values, n); s++) {
            const size_t i = clnorm_values_offset(values, n, part.channel, s);
            const double terms = fabs(masked_dy(values, i)) + slope.absolute_a +
                                 fabs(xhat_at(values, part, i)) * slope.absolute_b;
            largest = fmax(largest, terms * fabs(slope.factor));
        }
    const double tolerance = 0.4 * clnorm_reference_unit(values->problem.dtype) * largest;
    for (int64_t n = part.first; n < part.last; n++)
        for (int64_t s = 0; s < values->spatial; s++) {
            const size_t i = clnorm_values_offset(values, n, part.channel, s);
            const double dy = masked_dy(values, i);
            const double dx = slope.factor * (dy - slope.a - xhat_at(values, part, i) * slope.b);
            const int valid = s < clnorm_values_length(values, n);
            clnorm__reference_put(values, CLNORM_SLOT_DX, i, valid ? dx : 0, valid ? tolerance : 0);
            clnorm__reference_put(values, CLNORM_SLOT_DADD, i, valid ? dy : 0, 0);
        }
}

/* What renorm did to xhat: xhat*r + d. */
struct renorm {
    double r, d;
};

static struct renorm renorm_of(const struct clnorm_values *const values, const int64_t c)
{
    const double *const r = values->slot[CLNORM_SLOT_RENORM_R].data;
    const double *const d = values->slot[CLNORM_SLOT_RENORM_D].data;
    return (struct renorm){r ? r[c] : 1, d ? d[c] : 0};
}

/* sums and count may be those of a larger batch that these tensors are a part of. */
static void put_input_gradient(struct clnorm_values *const values, const struct clnorm_part part,
                               const struct sums sums, const double count)
{
    const int64_t c = part.channel;
    const double scale =
        clnorm__reference_has(values, CLNORM_SCALE) ? values->slot[CLNORM_SLOT_SCALE].data[c] : 1;
    struct slope slope = {.factor = renorm_of(values, c).r * scale *
                                    values->slot[CLNORM_SLOT_INVSTD].data[part.statistic]};
    if (values->problem.operation != CLNORM_BACKWARD_FROZEN && count > 0) {
        slope.a = (double)sums.dy / count;
        slope.b = (double)sums.dy_xhat / count;
        slope.absolute_a = (double)sums.absolute_dy / count;
        slope.absolute_b = (double)sums.absolute_dy_xhat / count;
    }
    put_dx(values, part, slope);
}

static void put_parameters(struct clnorm_values *const values, const int64_t c,
                           const struct sums sums)
{
    const double unit = clnorm_reference_unit(values->problem.dtype);
    const struct renorm by = renorm_of(values, c);
    const struct clnorm__gradient dscale = {
        (double)(by.r * sums.dy_xhat + by.d * sums.dy),
        unit * (double)(fabs(by.r) * sums.absolute_dy_xhat + fabs(by.d) * sums.absolute_dy)};
    const struct clnorm__gradient dshift = {(double)sums.dy, unit * (double)sums.absolute_dy};
    clnorm__reference_put(values, CLNORM_SLOT_DSCALE, (size_t)c, dscale.value, dscale.tolerance);
    clnorm__reference_put(values, CLNORM_SLOT_DSHIFT, (size_t)c, dshift.value, dshift.tolerance);
    clnorm__reference_optimise(values, c, dscale, dshift);
}

static void add_sums(struct sums *const to, const struct sums sums)
{
    to->dy += sums.dy;
    to->dy_xhat += sums.dy_xhat;
    to->absolute_dy += sums.absolute_dy;
    to->absolute_dy_xhat += sums.absolute_dy_xhat;
}

void clnorm__reference_backward(struct clnorm_values *const values, const int64_t c)
{
    struct sums all = {0};
    for (int64_t ghost = 0; ghost < clnorm_values_ghosts(values); ghost++) {
        const struct clnorm_part part = clnorm_values_part(values, c, ghost);
        const struct sums sums = sums_of_tensors(values, part);
        const double count = (double)clnorm_values_count(values, part);
        put_input_gradient(values, part, sums, count);
        add_sums(&all, sums);
    }
    put_parameters(values, c, all);
}

void clnorm__reference_input_gradient(struct clnorm_values *const values, const int64_t c)
{
    const struct clnorm_part part = clnorm_values_part(values, c, 0);
    const double own = (double)clnorm_values_count(values, part);
    const struct sums sums = sums_of_parts(values, c);
    put_input_gradient(values, part, sums, values->count > 0 ? values->count : own);
    put_parameters(values, c, sums);
}

void clnorm__reference_backward_sums(struct clnorm_values *const values, const int64_t c)
{
    const double unit = clnorm_reference_unit(values->problem.dtype);
    const size_t channels = (size_t)values->problem.channels, index = (size_t)c;
    const struct sums sums = sums_of_tensors(values, clnorm_values_part(values, c, 0));
    clnorm__reference_put(values, CLNORM_SLOT_SUMS, index, (double)sums.dy,
                          unit * (double)sums.absolute_dy);
    clnorm__reference_put(values, CLNORM_SLOT_SUMS, index + channels, (double)sums.dy_xhat,
                          unit * (double)sums.absolute_dy_xhat);
}
