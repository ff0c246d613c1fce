#include "values.h"

#include "convert.h"

#include <stdlib.h>
#include <string.h>

#define SLOT(member, is_tensor)                                                                    \
    {                                                                                              \
#member, offsetof(struct clnorm_arguments, member), is_tensor                              \
    }

const struct clnorm_slot_row clnorm_slots[CLNORM_SLOT_COUNT] = {
    [CLNORM_SLOT_X] = SLOT(x, 1),
    [CLNORM_SLOT_Y] = SLOT(y, 1),
    [CLNORM_SLOT_ADD] = SLOT(add, 1),
    [CLNORM_SLOT_DY] = SLOT(dy, 1),
    [CLNORM_SLOT_DX] = SLOT(dx, 1),
    [CLNORM_SLOT_DADD] = SLOT(dadd, 1),
    [CLNORM_SLOT_SCALE] = SLOT(scale, 0),
    [CLNORM_SLOT_SHIFT] = SLOT(shift, 0),
    [CLNORM_SLOT_DSCALE] = SLOT(dscale, 0),
    [CLNORM_SLOT_DSHIFT] = SLOT(dshift, 0),
    [CLNORM_SLOT_MEAN] = SLOT(mean, 0),
    [CLNORM_SLOT_INVSTD] = SLOT(invstd, 0),
    [CLNORM_SLOT_VAR] = SLOT(var, 0),
    [CLNORM_SLOT_RUNNING_MEAN] = SLOT(running_mean, 0),
    [CLNORM_SLOT_RUNNING_VAR] = SLOT(running_var, 0),
    [CLNORM_SLOT_RENORM_R] = SLOT(renorm_r, 0),
    [CLNORM_SLOT_RENORM_D] = SLOT(renorm_d, 0),
    [CLNORM_SLOT_MOMENTS] = SLOT(moments, 0),
    [CLNORM_SLOT_SUMS] = SLOT(sums, 0),
    [CLNORM_SLOT_PARTS] = SLOT(parts, 0),
    [CLNORM_SLOT_STATE] = SLOT(state, 0),
    [CLNORM_SLOT_LENGTHS] = SLOT(lengths, 0),
};

static enum clnorm_status create_slot(struct clnorm_values *const values,
                                      const enum clnorm_slot index)
{
    struct clnorm_slot_values *const slot = &values->slot[index];
    uint64_t elements = 0;
    size_t size = 0;
    slot->use = clnorm_problem_buffer(&values->problem, clnorm_slots[index].name, values->batch,
                                      values->spatial, values->sets, &elements, &size);
    if (slot->use == CLNORM_UNUSED)
        return CLNORM_OK;
    slot->dtype = values->problem.dtype;
    if (!clnorm_slots[index].tensor)
        slot->dtype = clnorm_convert_parameter(slot->dtype);
    slot->elements = (size_t)elements;
    slot->data = calloc(slot->elements + 1, sizeof *slot->data);
    slot->tolerance = calloc(slot->elements + 1, sizeof *slot->tolerance);
    return slot->data && slot->tolerance ? CLNORM_OK : CLNORM_OUT_OF_MEMORY;
}

enum clnorm_status clnorm_values_create(struct clnorm_values *const values,
                                        const struct clnorm_problem *const problem,
                                        const int64_t batch, const int64_t spatial,
                                        const int64_t sets)
{
    *values = (struct clnorm_values){
        .problem = *problem,
        .batch = problem->batch == CLNORM_ANY ? batch : problem->batch,
        .spatial = problem->spatial == CLNORM_ANY ? spatial : problem->spatial,
        .sets = sets,
        .epsilon = 1e-5,
        .momentum = 0.1,
        .r_max = 1.5,
        .d_max = 1,
        .optimiser = {.learning_rate = 0.05,
                      .weight_decay = 0.01,
                      .momentum = 0.9,
                      .beta1 = 0.9,
                      .beta2 = 0.999,
                      .epsilon = 1e-8,
                      .step = 3},
    };
    for (int i = 0; i < CLNORM_SLOT_COUNT; i++) {
        const enum clnorm_status status = create_slot(values, (enum clnorm_slot)i);
        if (status != CLNORM_OK) {
            clnorm_values_free(values);
            return status;
        }
    }
    return CLNORM_OK;
}

enum clnorm_status clnorm_values_copy(struct clnorm_values *const copy,
                                      const struct clnorm_values *const values)
{
    const enum clnorm_status status =
        clnorm_values_create(copy, &values->problem, values->batch, values->spatial, values->sets);
    if (status != CLNORM_OK)
        return status;
    copy->epsilon = values->epsilon;
    copy->momentum = values->momentum;
    copy->count = values->count;
    copy->r_max = values->r_max;
    copy->d_max = values->d_max;
    copy->optimiser = values->optimiser;
    for (int i = 0; i < CLNORM_SLOT_COUNT; i++) {
        const struct clnorm_slot_values *const slot = &values->slot[i];
        if (!slot->data)
            continue;
        memcpy(copy->slot[i].data, slot->data, slot->elements * sizeof *slot->data);
        memcpy(copy->slot[i].tolerance, slot->tolerance, slot->elements * sizeof *slot->tolerance);
    }
    return CLNORM_OK;
}

void clnorm_values_free(struct clnorm_values *const values)
{
    for (int i = 0; i < CLNORM_SLOT_COUNT; i++) {
        free(values->slot[i].data);
        free(values->slot[i].tolerance);
    }
    memset(values, 0, sizeof *values);
}

size_t clnorm_values_element_size(const struct clnorm_values *const values,
                                  const enum clnorm_slot slot)
{
    return slot == CLNORM_SLOT_LENGTHS ? sizeof(uint32_t)
                                       : clnorm_dtype_size(values->slot[slot].dtype);
}

void clnorm_values_store(const struct clnorm_values *const values, const enum clnorm_slot slot,
                         void *const base, const size_t i)
{
    const double value = values->slot[slot].data[i];
    if (slot == CLNORM_SLOT_LENGTHS) {
        const uint32_t whole = (uint32_t)value;
        memcpy((unsigned char *)base + i * sizeof whole, &whole, sizeof whole);
    } else {
        clnorm_convert_store(values->slot[slot].dtype, base, i, value);
    }
}

size_t clnorm_values_offset(const struct clnorm_values *const values, const int64_t n,
                            const int64_t c, const int64_t s)
{
    const int64_t channels = values->problem.channels;
    return (size_t)(values->problem.layout == CLNORM_NCHW
                        ? (n * channels + c) * values->spatial + s
                        : (n * values->spatial + s) * channels + c);
}

int64_t clnorm_values_ghosts(const struct clnorm_values *const values)
{
    const int64_t ghost = values->problem.ghost;
    return ghost > 0 ? (values->batch + ghost - 1) / ghost : 1;
}

struct clnorm_part clnorm_values_part(const struct clnorm_values *const values, const int64_t c,
                                      const int64_t ghost)
{
    const int64_t size = values->problem.ghost > 0 ? values->problem.ghost : values->batch;
    const int64_t first = ghost * size, left = values->batch - first;
    return (struct clnorm_part){
        .channel = c,
        .first = first,
        .last = first + (left < size ? left : size),
        .statistic = (size_t)(ghost * values->problem.channels + c),
    };
}

int64_t clnorm_values_length(const struct clnorm_values *const values, const int64_t n)
{
    const double *const lengths = values->slot[CLNORM_SLOT_LENGTHS].data;
    const int64_t length = lengths ? (int64_t)lengths[n] : values->spatial;
    return length < values->spatial ? length : values->spatial;
}

int64_t clnorm_values_count(const struct clnorm_values *const values, const struct clnorm_part part)
{
    int64_t count = 0;
    for (int64_t n = part.first; n < part.last; n++)
        count += clnorm_values_length(values, n);
    return count;
}

int64_t clnorm_values_channel(const struct clnorm_values *const values, const enum clnorm_slot slot,
                              const size_t index)
{
    const int64_t channels = values->problem.channels;
    if (clnorm_slots[slot].tensor && values->problem.layout == CLNORM_NCHW)
        return (int64_t)index / values->spatial % channels;
    return (int64_t)index % channels;
}
