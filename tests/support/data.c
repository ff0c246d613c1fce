#include "data.h"

#include "convert.h"

#include <math.h>

static const char *const names[CLNORM_DATA_COUNT] = {
    [CLNORM_DATA_ORDINARY] = "ordinary", [CLNORM_DATA_LARGE_MEAN] = "large-mean",
    [CLNORM_DATA_OUTLIER] = "outlier",   [CLNORM_DATA_CONSTANT] = "constant",
    [CLNORM_DATA_DENORMAL] = "denormal", [CLNORM_DATA_NAN] = "nan",
    [CLNORM_DATA_INFINITY] = "infinity", [CLNORM_DATA_EXACT] = "exact",
};

/* How far a storage format lets the nasty kinds go. */
static const struct {
    double ratio, outlier;
} extremes[CLNORM_DTYPE_COUNT] = {
    [CLNORM_F32] = {1e6, 1e6},
    [CLNORM_F64] = {1e6, 1e6},
    [CLNORM_F16] = {1000, 60000},
    [CLNORM_BF16] = {50, 1e6},
};

const char *clnorm_data_name(const enum clnorm_data kind)
{
    return kind < CLNORM_DATA_COUNT ? names[kind] : NULL;
}

/* Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", figure 16. */
static uint64_t next(uint64_t *const state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double clnorm_data_uniform(uint64_t *const state)
{
    return (double)(next(state) >> 11) * 0x1p-53;
}

double clnorm_data_normal(uint64_t *const state)
{
    /* Four uniforms: near enough to a bell, and the same bits everywhere; variance 4/12 before
     * scaling. */
    double sum = -2;
    for (int i = 0; i < 4; i++)
        sum += clnorm_data_uniform(state);
    return sum * 1.7320508075688772;
}

static double between(uint64_t *const state, const double low, const double high)
{
    return low + (high - low) * clnorm_data_uniform(state);
}

/* What a channel's values are drawn from: a function of seed and channel, so that all tensors of a
 * run agree. */
struct channel {
    double mean, std;
};

static struct channel channel_of(const struct clnorm_values *const values,
                                 const enum clnorm_data kind, const uint64_t seed, const int64_t c)
{
    uint64_t state = seed * 1000003 + (uint64_t)c;
    struct channel channel = {.mean = between(&state, -2, 2), .std = between(&state, 0.5, 2)};
    switch (kind) {
    case CLNORM_DATA_LARGE_MEAN:
        channel.mean = channel.std * extremes[values->problem.dtype].ratio;
        break;
    case CLNORM_DATA_OUTLIER: channel = (struct channel){.mean = 0, .std = 1}; break;
    case CLNORM_DATA_CONSTANT: channel.std = 0; break;
    case CLNORM_DATA_EXACT:
        channel = (struct channel){.mean = floor(channel.mean * 4) / 4,
                                   .std = floor(channel.std * 4) / 4};
        break;
    default: break;
    }
    return channel;
}

/* 1 or -1: whether the number of one bits is even. Neighbours 2j, 2j + 1 at any power-of-two stride
 * differ in sign. */
static double thue_morse(const int64_t position)
{
    int odd = 0;
    for (uint64_t bits = (uint64_t)position; bits; bits &= bits - 1)
        odd ^= 1;
    return odd ? -1 : 1;
}

/* Value number `position` = n*S + s of the channel. */
static double value_of(const struct clnorm_values *const values, const enum clnorm_data kind,
                       const struct channel channel, const int64_t position, uint64_t *const state)
{
    const enum clnorm_dtype dtype = values->problem.dtype;
    if (kind == CLNORM_DATA_OUTLIER && position == 0)
        return extremes[dtype].outlier;
    if (kind == CLNORM_DATA_DENORMAL)
        return clnorm_convert_smallest(dtype) * between(state, -1, 1);
    if (kind == CLNORM_DATA_EXACT)
        return channel.mean + channel.std * thue_morse(position);
    return channel.mean + channel.std * clnorm_data_normal(state);
}

static void fill_x(struct clnorm_values *const values, const enum clnorm_data kind,
                   const uint64_t seed, struct clnorm_slot_values *const x)
{
    for (int64_t c = 0; c < values->problem.channels; c++) {
        const struct channel channel = channel_of(values, kind, seed, c);
        uint64_t state = seed * 7919 + (uint64_t)c * 104729;
        for (int64_t n = 0; n < values->batch; n++)
            for (int64_t s = 0; s < values->spatial; s++)
                x->data[clnorm_values_offset(values, n, c, s)] = clnorm_convert_round(
                    x->dtype, value_of(values, kind, channel, n * values->spatial + s, &state));
    }
    const int64_t count = values->batch * values->spatial;
    if ((kind == CLNORM_DATA_NAN || kind == CLNORM_DATA_INFINITY) && count > 0) {
        const int64_t at = count * 2 / 3;
        x->data[clnorm_values_offset(values, at / values->spatial, values->problem.channels / 2,
                                     at % values->spatial)] =
            kind == CLNORM_DATA_NAN ? (double)NAN : (double)INFINITY;
    }
}

/* Sets of moments as `sets` devices would report them: unequal counts, one of them empty when there
 * are enough. */
static void fill_moments(struct clnorm_values *const values, const enum clnorm_data kind,
                         const uint64_t seed)
{
    const struct clnorm_slot_values *const parts = &values->slot[CLNORM_SLOT_PARTS];
    const size_t channels = (size_t)values->problem.channels;
    for (size_t k = 0; k < (size_t)values->sets; k++)
        for (size_t c = 0; c < channels; c++) {
            uint64_t state = seed * 31 + k * 65537 + c;
            const struct channel channel = channel_of(values, kind, seed, (int64_t)c);
            const double count = values->sets > 2 && k == 1 ? 0 : (double)(1 + next(&state) % 1000);
            const double mean =
                channel.mean + channel.std * clnorm_data_normal(&state) / sqrt(count + 1);
            const double nearest = clnorm_convert_round(parts->dtype, mean);
            double *const set = parts->data + 4 * channels * k + c;
            set[0] = count;
            set[channels] = count > 0 ? nearest : 0;
            set[2 * channels] = count > 0 ? clnorm_convert_round(parts->dtype, mean - nearest) : 0;
            set[3 * channels] =
                clnorm_convert_round(parts->dtype, count * channel.std * channel.std);
        }
}

static void fill_sums(struct clnorm_values *const values, const uint64_t seed)
{
    const struct clnorm_slot_values *const parts = &values->slot[CLNORM_SLOT_PARTS];
    const double size = sqrt((double)values->batch * (double)values->spatial + 1);
    for (size_t i = 0; i < parts->elements; i++) {
        uint64_t state = seed * 37 + i;
        parts->data[i] = clnorm_convert_round(parts->dtype, size * clnorm_data_normal(&state));
    }
}

/* What backward and infer are given for x: the statistics of its channels, rounded as forward would
 * have saved them. */
static void fill_statistics_of(struct clnorm_values *const values, const struct clnorm_part part)
{
    const double *const x = values->slot[CLNORM_SLOT_X].data;
    const double count = (double)clnorm_values_count(values, part);
    const enum clnorm_dtype dtype = clnorm_convert_parameter(values->problem.dtype);
    long double sum = 0, squares = 0;
    for (int64_t n = part.first; n < part.last; n++)
        for (int64_t s = 0; s < clnorm_values_length(values, n); s++)
            sum += x[clnorm_values_offset(values, n, part.channel, s)];
    const long double mean = count > 0 ? sum / count : 0;
    for (int64_t n = part.first; n < part.last; n++)
        for (int64_t s = 0; s < clnorm_values_length(values, n); s++) {
            const long double deviation =
                x[clnorm_values_offset(values, n, part.channel, s)] - mean;
            squares += deviation * deviation;
        }
    const double var = count > 0 ? (double)(squares / count) : 0;
    const size_t at = part.statistic;
    if (values->slot[CLNORM_SLOT_MEAN].use == CLNORM_READ)
        values->slot[CLNORM_SLOT_MEAN].data[at] = clnorm_convert_round(dtype, (double)mean);
    if (values->slot[CLNORM_SLOT_INVSTD].use == CLNORM_READ)
        values->slot[CLNORM_SLOT_INVSTD].data[at] =
            clnorm_convert_round(dtype, 1 / sqrt(var + values->epsilon));
    if (values->slot[CLNORM_SLOT_VAR].use == CLNORM_READ)
        values->slot[CLNORM_SLOT_VAR].data[at] = clnorm_convert_round(dtype, var);
}

static void fill_statistics(struct clnorm_values *const values)
{
    for (int64_t ghost = 0; ghost < clnorm_values_ghosts(values); ghost++)
        for (int64_t c = 0; c < values->problem.channels; c++)
            fill_statistics_of(values, clnorm_values_part(values, c, ghost));
}

/* y as a forward with relu left it; NaN and all. */
static void fill_y(struct clnorm_values *const values, uint64_t state)
{
    const struct clnorm_slot_values *const y = &values->slot[CLNORM_SLOT_Y],
                                           *const x = &values->slot[CLNORM_SLOT_X];
    for (size_t i = 0; i < y->elements; i++) {
        const int64_t c = clnorm_values_channel(values, CLNORM_SLOT_Y, i);
        double xhat = 0;
        if (x->data)
            xhat = (x->data[i] - values->slot[CLNORM_SLOT_MEAN].data[c]) *
                   values->slot[CLNORM_SLOT_INVSTD].data[c];
        const double value = xhat + clnorm_data_normal(&state) / 2;
        y->data[i] = clnorm_convert_round(y->dtype, value <= 0 ? 0 : value);
    }
}

static int is_read(const struct clnorm_values *const values, const enum clnorm_slot slot)
{
    return values->slot[slot].use == CLNORM_READ || values->slot[slot].use == CLNORM_READ_WRITTEN;
}

/* None, one, all, more than all, and any number of a sample's positions. */
static void fill_lengths(struct clnorm_values *const values, const uint64_t seed)
{
    struct clnorm_slot_values *const lengths = &values->slot[CLNORM_SLOT_LENGTHS];
    for (size_t n = 0; n < lengths->elements; n++) {
        uint64_t state = seed * 41 + n;
        const double some = (double)(next(&state) % (uint64_t)(values->spatial + 1));
        const double choices[] = {0, some, some, (double)values->spatial, some, 1, 4294967295.0};
        lengths->data[n] = choices[(seed + n) % 7];
    }
}

/* What is not valid must not matter: it is NaN. */
static void spoil(struct clnorm_values *const values)
{
    static const enum clnorm_slot slots[] = {CLNORM_SLOT_X, CLNORM_SLOT_DY, CLNORM_SLOT_ADD,
                                             CLNORM_SLOT_Y};
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
        for (int64_t n = 0; is_read(values, slots[i]) && n < values->batch; n++)
            for (int64_t c = 0; c < values->problem.channels; c++)
                for (int64_t s = clnorm_values_length(values, n); s < values->spatial; s++)
                    values->slot[slots[i]].data[clnorm_values_offset(values, n, c, s)] =
                        (double)NAN;
}

/* The plain slots: centre + spread*normal, absolute where the quantity is not negative. */
static const struct plain {
    enum clnorm_slot slot;
    double centre, spread;
    int positive;
} plain_slots[] = {
    {CLNORM_SLOT_ADD, 0, 1, 0},
    {CLNORM_SLOT_DY, 0.1, 1, 0},
    {CLNORM_SLOT_SCALE, 1, 0.3, 0},
    {CLNORM_SLOT_SHIFT, 0, 0.5, 0},
    {CLNORM_SLOT_DSCALE, 0, 1, 0},
    {CLNORM_SLOT_DSHIFT, 0, 1, 0},
    {CLNORM_SLOT_RUNNING_MEAN, 0, 1, 0},
    {CLNORM_SLOT_RUNNING_VAR, 1, 0.5, 1},
    {CLNORM_SLOT_RENORM_R, 1, 0.2, 1},
    {CLNORM_SLOT_RENORM_D, 0, 0.5, 0},
    {CLNORM_SLOT_STATE, 1, 0.5, 1},
    {CLNORM_SLOT_INVSTD, 1, 0.5,
     1}, /* frozen statistics without x; otherwise replaced by those of x */
};

void clnorm_data_fill(struct clnorm_values *const values, const enum clnorm_data kind,
                      const uint64_t seed)
{
    for (size_t row = 0; row < sizeof plain_slots / sizeof *plain_slots; row++) {
        const struct plain *const plain = &plain_slots[row];
        struct clnorm_slot_values *const slot = &values->slot[plain->slot];
        uint64_t state = seed * 1009 + row;
        if (!is_read(values, plain->slot))
            continue;
        for (size_t i = 0; i < slot->elements; i++) {
            const double value = plain->centre + plain->spread * clnorm_data_normal(&state);
            slot->data[i] =
                clnorm_convert_round(slot->dtype, plain->positive ? fabs(value) : value);
        }
    }
    fill_lengths(values, seed);
    if (is_read(values, CLNORM_SLOT_X)) {
        fill_x(values, kind, seed, &values->slot[CLNORM_SLOT_X]);
        fill_statistics(values);
    }
    if (is_read(values, CLNORM_SLOT_Y))
        fill_y(values, seed * 1013);
    if (is_read(values, CLNORM_SLOT_PARTS)) {
        if (values->problem.operation == CLNORM_INPUT_GRADIENT)
            fill_sums(values, seed);
        else
            fill_moments(values, kind, seed);
    }
    spoil(values);
}
