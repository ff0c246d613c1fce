#include "compare.h"

#include "convert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What is left of the difference once the other half of a (mean, rest) pair is counted in. */
static double difference(const struct clnorm_values *const reference,
                         const struct clnorm_values *const observed, const enum clnorm_slot slot,
                         const size_t i)
{
    const double *const want = reference->slot[slot].data, *const got = observed->slot[slot].data;
    const size_t channels = (size_t)reference->problem.channels;
    if (slot == CLNORM_SLOT_MOMENTS && i / channels == 1)
        return fabs((got[i] - want[i]) + (got[i + channels] - want[i + channels]));
    if (slot == CLNORM_SLOT_MOMENTS && i / channels == 2)
        return fabs(got[i]); /* the rest alone: only that it is one, within an ulp of the mean */
    return fabs(got[i] - want[i]);
}

static double error_at(const struct clnorm_values *const reference,
                       const struct clnorm_values *const observed, const enum clnorm_slot slot,
                       const size_t i)
{
    const double want =
        clnorm_convert_round(reference->slot[slot].dtype, reference->slot[slot].data[i]);
    const double got = observed->slot[slot].data[i];
    const size_t channels = (size_t)reference->problem.channels;
    /* The rest of a mean that is not finite means nothing. */
    if (slot == CLNORM_SLOT_MOMENTS && i / channels == 2 &&
        !isfinite(reference->slot[slot].data[i - channels]))
        return 0;
    if (!isfinite(want) || !isfinite(got))
        return isfinite(want) == isfinite(got) ? 0 : (double)INFINITY;
    const double distance = difference(reference, observed, slot, i);
    return distance == 0 ? 0 : distance / reference->slot[slot].tolerance[i];
}

static int is_written(const struct clnorm_values *const values, const enum clnorm_slot slot)
{
    return values->slot[slot].use == CLNORM_WRITTEN ||
           values->slot[slot].use == CLNORM_READ_WRITTEN;
}

double clnorm_compare(const struct clnorm_values *const reference,
                      const struct clnorm_values *const observed, char *const detail,
                      const size_t size)
{
    double worst = 0;
    for (int slot = 0; slot < CLNORM_SLOT_COUNT; slot++) {
        for (size_t i = 0;
             is_written(reference, (enum clnorm_slot)slot) && i < reference->slot[slot].elements;
             i++) {
            const double error = error_at(reference, observed, (enum clnorm_slot)slot, i);
            if (!(error > worst))
                continue;
            worst = error;
            if (worst > 1)
                snprintf(
                    detail, size, "%s[%llu] is %.9g instead of %.9g, %.3g times the tolerance %.3g",
                    clnorm_slots[slot].name, (unsigned long long)i, observed->slot[slot].data[i],
                    reference->slot[slot].data[i], error, reference->slot[slot].tolerance[i]);
        }
    }
    return worst;
}

static int same_bits(const double a, const double b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

int clnorm_compare_same(const struct clnorm_values *const a, const struct clnorm_values *const b,
                        const int64_t except)
{
    for (int slot = 0; slot < CLNORM_SLOT_COUNT; slot++)
        for (size_t i = 0; is_written(a, (enum clnorm_slot)slot) && i < a->slot[slot].elements; i++)
            if (!same_bits(a->slot[slot].data[i], b->slot[slot].data[i]) &&
                clnorm_values_channel(a, (enum clnorm_slot)slot, i) != except)
                return 0;
    return 1;
}
