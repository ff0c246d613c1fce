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
static double xhat_at(const struct clnorm_values *const values, const int64_t c, const size_t i)
{
    if (!values->slot[CLNORM_SLOT_X].data)
        return 0;
    return (values->slot[CLNORM_SLOT_X].data[i] - values->slot[CLNORM_SLOT_MEAN].data[c]) *
           values->slot[CLNORM_SLOT_INVSTD].data[c];
}

static struct sums sums_of_tensors(const struct clnorm_values *const values, const int64_t c)
{
    struct sums sums = {0};
    for (int64_t n = 0; n < values->batch; n++)
        for (int64_t s = 0; s < values->spatial; s++) {
            const size_t i = clnorm_values_offset(values, n, c, s);
            const long double dy = masked_dy(values, i), product = dy * xhat_at(values, c, i);
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

static void put_dx(struct clnorm_values *const values, const int64_t c, const struct slope slope)
{
    double largest = 0;
    for (int64_t n = 0; n < values->batch; n++)
        for (int64_t s = 0; s < values->spatial; s++) {
            const size_t i = clnorm_values_offset(values, n, c, s);
            const double terms = fabs(masked_dy(values, i)) + slope.absolute_a +
                                 fabs(xhat_at(values, c, i)) * slope.absolute_b;
            largest = fmax(largest, terms * fabs(slope.factor));
        }
    const double tolerance = 0.4 * clnorm_reference_unit(values->problem.dtype) * largest;
    for (int64_t n = 0; n < values->batch; n++)
        for (int64_t s = 0; s < values->spatial; s++) {
            const size_t i = clnorm_values_offset(values, n, c, s);
            const double dy = masked_dy(values, i);
            const double dx = slope.factor * (dy - slope.a - xhat_at(values, c, i) * slope.b);
            clnorm__reference_put(values, CLNORM_SLOT_DX, i, dx, tolerance);
            clnorm__reference_put(values, CLNORM_SLOT_DADD, i, dy, 0);
        }
}

/* sums and count may be those of a larger batch that these tensors are a part of. */
static void backward_with(struct clnorm_values *const values, const int64_t c,
                          const struct sums sums, const double count)
{
    const double unit = clnorm_reference_unit(values->problem.dtype);
    const double scale =
        clnorm__reference_has(values, CLNORM_SCALE) ? values->slot[CLNORM_SLOT_SCALE].data[c] : 1;
    const int renorm = clnorm__reference_has(values, CLNORM_RENORM);
    const double r = renorm ? values->slot[CLNORM_SLOT_RENORM_R].data[c] : 1;
    const double d = renorm && values->slot[CLNORM_SLOT_RENORM_D].data
                         ? values->slot[CLNORM_SLOT_RENORM_D].data[c]
                         : 0;
    const struct clnorm__gradient dscale = {
        (double)(r * sums.dy_xhat + d * sums.dy),
        unit * (double)(fabs(r) * sums.absolute_dy_xhat + fabs(d) * sums.absolute_dy)};
    const struct clnorm__gradient dshift = {(double)sums.dy, unit * (double)sums.absolute_dy};
    struct slope slope = {.factor = r * scale * values->slot[CLNORM_SLOT_INVSTD].data[c]};
    if (values->problem.operation != CLNORM_BACKWARD_FROZEN && count > 0) {
        slope.a = dshift.value / count;
        slope.b = (double)sums.dy_xhat / count;
        slope.absolute_a = (double)sums.absolute_dy / count;
        slope.absolute_b = (double)sums.absolute_dy_xhat / count;
    }
    put_dx(values, c, slope);
    clnorm__reference_put(values, CLNORM_SLOT_DSCALE, (size_t)c, dscale.value, dscale.tolerance);
    clnorm__reference_put(values, CLNORM_SLOT_DSHIFT, (size_t)c, dshift.value, dshift.tolerance);
    clnorm__reference_optimise(values, c, dscale, dshift);
}

void clnorm__reference_backward(struct clnorm_values *const values, const int64_t c)
{
    backward_with(values, c, sums_of_tensors(values, c),
                  (double)values->batch * (double)values->spatial);
}

void clnorm__reference_input_gradient(struct clnorm_values *const values, const int64_t c)
{
    const double own = (double)values->batch * (double)values->spatial;
    backward_with(values, c, sums_of_parts(values, c), values->count > 0 ? values->count : own);
}

void clnorm__reference_backward_sums(struct clnorm_values *const values, const int64_t c)
{
    const double unit = clnorm_reference_unit(values->problem.dtype);
    const size_t channels = (size_t)values->problem.channels, index = (size_t)c;
    const struct sums sums = sums_of_tensors(values, c);
    clnorm__reference_put(values, CLNORM_SLOT_SUMS, index, (double)sums.dy,
                          unit * (double)sums.absolute_dy);
    clnorm__reference_put(values, CLNORM_SLOT_SUMS, index + channels, (double)sums.dy_xhat,
                          unit * (double)sums.absolute_dy_xhat);
}
