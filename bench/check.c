/* check.c: what a contestant wrote against double precision; see bench_check in data.h. */
#include "data.h"

#include <convert.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind relu a value so near zero that a peer's statistics may carry it over may pass its gradient
 * or not. */
#define UNSURE 1e-4

/* What the elements of a channel have in common. */
struct constants {
    double mean, invstd, scale, shift;
    double dshift, dscale; /* over M */
    double bound;          /* of the terms of dx */
};

struct check {
    const struct bench_data *data;
    enum clnorm_dtype dtype, parameter;
    double *table;
    struct constants *constants;
    double worst;
    char *what;
};

static double load(const struct check *const k, const enum clnorm_slot slot, const size_t index,
                   const double otherwise)
{
    const void *const base = k->data->input[slot];
    return base ? bench_load(k->dtype, k->table, base, index) : otherwise;
}

static double given(const struct check *const k, const enum clnorm_slot slot, const size_t c,
                    const double otherwise)
{
    const void *const base = k->data->input[slot];
    return base ? clnorm_convert_load(k->parameter, base, c) : otherwise;
}

static void note_error(struct check *const k, const double error, const enum clnorm_slot slot)
{
    if (error <= k->worst)
        return;
    k->worst = isnan(error) ? INFINITY : error; /* a NaN is not <= anything */
    snprintf(k->what, 32, "%s", clnorm_slots[slot].name);
}

static void prepare(const struct check *const k)
{
    const size_t channels = (size_t)k->data->one->problem.channels;
    const double count = (double)k->data->count;
    for (size_t c = 0; c < channels; c++) {
        const struct bench_channel *const channel = &k->data->channel[c];
        struct constants *const at = &k->constants[c];
        const double var = given(k, CLNORM_SLOT_VAR, c, channel->variance);
        at->mean = given(k, CLNORM_SLOT_MEAN, c, channel->mean);
        at->invstd = given(k, CLNORM_SLOT_INVSTD, c, 1 / sqrt(var + BENCH_EPSILON));
        at->scale = given(k, CLNORM_SLOT_SCALE, c, 1);
        at->shift = given(k, CLNORM_SLOT_SHIFT, c, 0);
        at->dshift = channel->dshift / count;
        at->dscale = channel->dscale / count;
        at->bound = fabs(at->scale) * at->invstd *
                    (channel->dy_most + fabs(at->dshift) + channel->xhat_most * fabs(at->dscale));
    }
}

/* Half of what storing the value rounds off: 0 but for the narrow types. */
static double rounding(const struct check *const k, const double value)
{
    return k->table ? 0.5 * clnorm_convert_ulp(k->dtype, value) : 0;
}

static double excess(const struct check *const k, const double observed, const double expected)
{
    const double error = fabs(observed - expected);
    return error > 0 && k->table ? fmax(0, error - rounding(k, expected)) : error;
}

static double error_y(const struct check *const k, const size_t at, const struct constants *const c,
                      const double observed)
{
    const double x = load(k, CLNORM_SLOT_X, at, 0);
    double y = (x - c->mean) * c->invstd * c->scale + c->shift + load(k, CLNORM_SLOT_ADD, at, 0);
    if (k->data->one->problem.flags & CLNORM_RELU)
        y = fmax(y, 0);
    return excess(k, observed, y) / (1 + fabs(y));
}

static double gradient(const struct check *const k, const size_t at)
{
    return load(k, CLNORM_SLOT_Y, at, 1) > 0 ? load(k, CLNORM_SLOT_DY, at, 0) : 0;
}

static double error_dx(const struct check *const k, const size_t at,
                       const struct constants *const c, const double observed)
{
    const double xhat = (load(k, CLNORM_SLOT_X, at, 0) - c->mean) * c->invstd;
    if (k->data->input[CLNORM_SLOT_Y] && fabs(xhat * c->scale) < UNSURE)
        return 0;
    const double dx = c->scale * c->invstd * (gradient(k, at) - c->dshift - xhat * c->dscale);
    const double error = excess(k, observed, dx);
    return error > 0 ? error / fmax(c->bound, 1e-30) : error;
}

static double error_dadd(const struct check *const k, const size_t at,
                         const struct constants *const c, const double observed)
{
    (void)c;
    const double g = gradient(k, at);
    return excess(k, observed, g) / (1 + fabs(g));
}

static const struct {
    enum clnorm_slot slot;
    double (*error)(const struct check *k, size_t at, const struct constants *c, double observed);
} tensors[] = {
    {CLNORM_SLOT_Y, error_y}, {CLNORM_SLOT_DX, error_dx}, {CLNORM_SLOT_DADD, error_dadd}};

static void check_tensor(struct check *const k, const size_t index, const void *const observed)
{
    const struct bench_rows rows = bench_rows_of(k->data->one);
    double worst = 0;
    for (size_t row = 0, at = 0; row < rows.count; row++)
        for (size_t i = 0; i < rows.length; i++, at++) {
            const size_t c = rows.first ? row % rows.channels : i;
            const double value = bench_load(k->dtype, k->table, observed, at);
            const double error = tensors[index].error(k, at, &k->constants[c], value);
            if (!(error <= worst))
                worst = isnan(error) ? INFINITY : error;
        }
    note_error(k, worst, tensors[index].slot);
}

/* The error of one per-channel result against what it is measured by. */
static double error_of_sum(const struct check *const k, const enum clnorm_slot slot, const size_t c,
                           const double observed)
{
    const struct bench_channel *const channel = &k->data->channel[c];
    const struct constants *const at = &k->constants[c];
    const double tiny = 1e-30;
    switch (slot) {
    case CLNORM_SLOT_MEAN:
        /* half a unit of the stored mean is not an error */
        return fmax(0, fabs(observed - at->mean) - clnorm_convert_ulp(k->parameter, at->mean)) /
               fmax(channel->deviation, tiny);
    case CLNORM_SLOT_INVSTD: return fabs(observed - at->invstd) / at->invstd;
    case CLNORM_SLOT_VAR:
        return fabs(observed - channel->variance) / (channel->variance + BENCH_EPSILON);
    case CLNORM_SLOT_DSCALE:
        return fabs(observed - channel->dscale) / fmax(channel->dscale_terms, tiny);
    case CLNORM_SLOT_DSHIFT:
        return fabs(observed - channel->dshift) / fmax(channel->dshift_terms, tiny);
    default: return 0; /* running statistics move no traffic, and the test suite has them */
    }
}

static void check_sums(struct check *const k, const enum clnorm_slot slot,
                       const void *const observed)
{
    for (size_t c = 0; c < (size_t)k->data->one->problem.channels; c++) {
        const double value = clnorm_convert_load(k->parameter, observed, c);
        note_error(k, error_of_sum(k, slot, c, value), slot);
    }
}

double bench_check(const struct bench_data *const data, const struct bench_outputs *const outputs,
                   char what[32])
{
    const struct clnorm_problem *const p = &data->one->problem;
    struct check k = {
        .data = data,
        .dtype = p->dtype,
        .parameter = data->parameter,
        .table = bench_table_make(p->dtype),
        .constants = calloc((size_t)p->channels, sizeof *k.constants),
        .what = what,
    };
    snprintf(what, 32, "nothing");
    if (!k.constants || (clnorm_dtype_size(p->dtype) == 2 && !k.table)) {
        k.worst = INFINITY;
    } else {
        prepare(&k);
        for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
            if (outputs->slot[tensors[i].slot])
                check_tensor(&k, i, outputs->slot[tensors[i].slot]);
        for (int slot = 0; slot < CLNORM_SLOT_COUNT; slot++)
            if (!clnorm_slots[slot].tensor && outputs->slot[slot])
                check_sums(&k, (enum clnorm_slot)slot, outputs->slot[slot]);
    }
    free(k.table);
    free(k.constants);
    return k.worst;
}
