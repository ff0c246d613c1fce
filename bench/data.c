#include "data.h"

#include <convert.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct maker {
    struct bench_data *data;
    struct bench_rows rows;
    enum clnorm_dtype dtype;
    double *table;
};

double *bench_table_make(const enum clnorm_dtype dtype)
{
    if (dtype == CLNORM_F32 || dtype == CLNORM_F64)
        return NULL;
    double *const table = malloc(65536 * sizeof *table);
    for (unsigned i = 0; table && i < 65536; i++) {
        const uint16_t bits = (uint16_t)i;
        table[i] = clnorm_convert_load(dtype, &bits, 0);
    }
    return table;
}

struct bench_rows bench_rows_of(const struct bench_case *const one)
{
    const struct clnorm_problem *const p = &one->problem;
    const size_t n = (size_t)p->batch, c = (size_t)p->channels, s = (size_t)p->spatial;
    const int first = p->layout == CLNORM_NCHW;
    return (struct bench_rows){
        .count = first ? n * c : n * s, .length = first ? s : c, .channels = c, .first = first};
}

/* ---- Random values --------------------------------------------------------------------------- */

/* The finaliser of splitmix64 (Steele, Lea and Flood, 2014): a number that only its index decides.
 */
static uint64_t hash(uint64_t index)
{
    index = (index + 1) * 0x9e3779b97f4a7c15u;
    index = (index ^ (index >> 30)) * 0xbf58476d1ce4e5b9u;
    index = (index ^ (index >> 27)) * 0x94d049bb133111ebu;
    return index ^ (index >> 31);
}

/* Mean 0, variance 1, within +-sqrt(6): the sum of two uniform numbers. */
static double noise(const uint64_t index)
{
    const uint64_t bits = hash(index);
    const double sum = (double)(uint32_t)bits + (double)(uint32_t)(bits >> 32);
    return (sum * 0x1p-32 - 1) * 2.449489742783178;
}

static double uniform(const uint64_t index)
{
    return (double)(hash(index) >> 11) * 0x1p-53;
}

static void store(const enum clnorm_dtype dtype, void *const base, const size_t index,
                  const double value)
{
    if (dtype == CLNORM_F32)
        ((float *)base)[index] = (float)value;
    else
        clnorm_convert_store(dtype, base, index, value);
}

/* Which slots have noise, and what else it takes: x has a mean and a deviation for each channel. */
static void fill_tensor(const struct maker *const m, const enum clnorm_slot slot, const double mean,
                        const double deviation)
{
    const struct bench_rows rows = m->rows;
    const uint64_t seed = (uint64_t)slot << 48;
    void *const to = m->data->input[slot];
    for (size_t row = 0, at = 0; row < rows.count; row++)
        for (size_t i = 0; i < rows.length; i++, at++) {
            const size_t c = rows.first ? row % rows.channels : i;
            const double u = (double)(c * 5 % 16) / 8 - 1; /* differs between neighbours */
            store(m->dtype, to, at, u * mean + (1 + u * 0.25) * deviation * noise(seed + at));
        }
}

static void fill_parameter(const struct maker *const m, const enum clnorm_slot slot,
                           const double low, const double high)
{
    for (size_t c = 0; m->data->input[slot] && c < m->rows.channels; c++)
        store(m->data->parameter, m->data->input[slot], c,
              low + (high - low) * uniform(((uint64_t)slot << 48) + c));
}

/* ---- Statistics ------------------------------------------------------------------------------ */

/* Two passes in double: the mean, then the squares of what differs from it. */
static void compute_moments(const struct maker *const m)
{
    const struct bench_rows rows = m->rows;
    struct bench_channel *const channel = m->data->channel;
    const void *const x = m->data->input[CLNORM_SLOT_X];
    for (int pass = 0; pass < 2; pass++) {
        for (size_t row = 0, at = 0; row < rows.count; row++)
            for (size_t i = 0; i < rows.length; i++, at++) {
                struct bench_channel *const one = &channel[rows.first ? row % rows.channels : i];
                const double value = bench_load(m->dtype, m->table, x, at);
                if (pass == 0)
                    one->mean += value;
                else
                    one->variance += (value - one->mean) * (value - one->mean);
            }
        for (size_t c = 0; c < rows.channels; c++)
            *(pass ? &channel[c].variance : &channel[c].mean) /= (double)m->data->count;
    }
    for (size_t c = 0; c < rows.channels; c++)
        channel[c].deviation = sqrt(channel[c].variance);
}

static void store_statistics(const struct maker *const m)
{
    void *const mean = m->data->input[CLNORM_SLOT_MEAN],
                *const var = m->data->input[CLNORM_SLOT_VAR],
                *const invstd = m->data->input[CLNORM_SLOT_INVSTD];
    for (size_t c = 0; c < m->rows.channels; c++) {
        const struct bench_channel *const one = &m->data->channel[c];
        if (mean)
            store(m->data->parameter, mean, c, one->mean);
        if (var)
            store(m->data->parameter, var, c, one->variance);
        if (invstd)
            store(m->data->parameter, invstd, c, 1 / sqrt(one->variance + BENCH_EPSILON));
    }
}

static double parameter(const struct maker *const m, const enum clnorm_slot slot, const size_t c,
                        const double otherwise)
{
    const void *const base = m->data->input[slot];
    return base ? clnorm_convert_load(m->data->parameter, base, c) : otherwise;
}

static void gradient_sums(const struct maker *const m)
{
    const struct bench_rows rows = m->rows;
    const void *const x = m->data->input[CLNORM_SLOT_X], *const dy = m->data->input[CLNORM_SLOT_DY];
    const void *const y = m->data->input[CLNORM_SLOT_Y];
    double *const mean = malloc(2 * rows.channels * sizeof *mean);
    if (!mean)
        return; /* the sums stay 0, and no contestant passes the check */
    for (size_t c = 0; c < rows.channels; c++) {
        mean[2 * c] = parameter(m, CLNORM_SLOT_MEAN, c, 0);
        mean[2 * c + 1] = parameter(m, CLNORM_SLOT_INVSTD, c, 1);
    }
    for (size_t row = 0, at = 0; row < rows.count; row++)
        for (size_t i = 0; i < rows.length; i++, at++) {
            const size_t c = rows.first ? row % rows.channels : i;
            struct bench_channel *const one = &m->data->channel[c];
            const int passes = !y || bench_load(m->dtype, m->table, y, at) > 0;
            const double g = passes ? bench_load(m->dtype, m->table, dy, at) : 0;
            const double xhat =
                (bench_load(m->dtype, m->table, x, at) - mean[2 * c]) * mean[2 * c + 1];
            one->dshift += g;
            one->dscale += g * xhat;
            one->dshift_terms += fabs(g);
            one->dscale_terms += fabs(g * xhat);
            one->dy_most = fmax(one->dy_most, fabs(g));
            one->xhat_most = fmax(one->xhat_most, fabs(xhat));
        }
    free(mean);
}

/* What a forward with relu wrote, for a backward that asks for it. */
static void make_output(const struct maker *const m)
{
    const struct bench_rows rows = m->rows;
    void *const y = m->data->input[CLNORM_SLOT_Y];
    for (size_t row = 0, at = 0; row < rows.count; row++)
        for (size_t i = 0; i < rows.length; i++, at++) {
            const size_t c = rows.first ? row % rows.channels : i;
            const double x = bench_load(m->dtype, m->table, m->data->input[CLNORM_SLOT_X], at);
            const double xhat =
                (x - parameter(m, CLNORM_SLOT_MEAN, c, 0)) * parameter(m, CLNORM_SLOT_INVSTD, c, 1);
            store(m->dtype, y, at, fmax(0, xhat * parameter(m, CLNORM_SLOT_SCALE, c, 1)));
        }
}

/* ---- All of it ------------------------------------------------------------------------------- */

static int allocate(struct bench_data *const data, const struct clnorm_problem *const problem)
{
    for (int i = 0; i < CLNORM_SLOT_COUNT; i++) {
        uint64_t elements = 0;
        size_t size = 0;
        data->use[i] = clnorm_problem_buffer(problem, clnorm_slots[i].name, problem->batch,
                                             problem->spatial, 1, &elements, &size);
        if (data->use[i] == CLNORM_UNUSED)
            continue;
        data->bytes[i] = (size_t)elements * size;
        if (data->use[i] == CLNORM_WRITTEN)
            continue;
        data->input[i] = malloc(data->bytes[i]);
        if (!data->input[i])
            return 0;
    }
    data->channel = calloc((size_t)problem->channels, sizeof *data->channel);
    return data->channel != NULL;
}

static void fill(const struct maker *const m)
{
    void *const *const input = m->data->input;
    fill_tensor(m, CLNORM_SLOT_X, 2, 1);
    for (int slot = CLNORM_SLOT_ADD; slot <= CLNORM_SLOT_DY; slot++)
        if (input[slot])
            fill_tensor(m, (enum clnorm_slot)slot, 0, 1);
    fill_parameter(m, CLNORM_SLOT_SCALE, 0.5, 1.5);
    fill_parameter(m, CLNORM_SLOT_SHIFT, -1, 1);
    fill_parameter(m, CLNORM_SLOT_RUNNING_MEAN, -1, 1);
    fill_parameter(m, CLNORM_SLOT_RUNNING_VAR, 0.5, 1.5);
    compute_moments(m);
    store_statistics(m);
    if (input[CLNORM_SLOT_Y])
        make_output(m);
    if (input[CLNORM_SLOT_DY])
        gradient_sums(m);
}

const char *bench_data_make(struct bench_data *const data, const struct bench_case *const one)
{
    const struct clnorm_problem *const p = &one->problem;
    *data = (struct bench_data){
        .one = one,
        .elements = (size_t)p->batch * (size_t)p->channels * (size_t)p->spatial,
        .count = (size_t)p->batch * (size_t)p->spatial,
        .parameter = clnorm_convert_parameter(p->dtype),
    };
    const struct maker maker = {.data = data,
                                .rows = bench_rows_of(one),
                                .dtype = p->dtype,
                                .table = bench_table_make(p->dtype)};
    const int narrow = clnorm_dtype_size(p->dtype) == 2;
    const int made = allocate(data, p) && (maker.table || !narrow);
    if (made)
        fill(&maker);
    free(maker.table);
    return made ? NULL : "out of memory for its inputs";
}

void bench_data_free(struct bench_data *const data)
{
    for (int i = 0; i < CLNORM_SLOT_COUNT; i++)
        free(data->input[i]);
    free(data->channel);
    memset(data, 0, sizeof *data);
}
