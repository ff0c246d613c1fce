#include "roles.h"

#include <string.h>

/* ---- Buffers: name, place in struct clnorm_arguments, extent ---- */

enum extent { TENSOR, PARAMETER, STATISTIC, MOMENTS, SUMS, PARTS, STATE, SAMPLES, SCRATCH };

static const struct buffer_row {
    const char *name;
    size_t place;
    enum extent extent;
} buffers[CLNORM__BUFFER_COUNT] = {
#define AT(member) offsetof(struct clnorm_arguments, member)
    [CLNORM__X] = {"x", AT(x), TENSOR},
    [CLNORM__Y] = {"y", AT(y), TENSOR},
    [CLNORM__ADD] = {"add", AT(add), TENSOR},
    [CLNORM__DY] = {"dy", AT(dy), TENSOR},
    [CLNORM__DX] = {"dx", AT(dx), TENSOR},
    [CLNORM__DADD] = {"dadd", AT(dadd), TENSOR},
    [CLNORM__SCALE] = {"scale", AT(scale), PARAMETER},
    [CLNORM__SHIFT] = {"shift", AT(shift), PARAMETER},
    [CLNORM__DSCALE] = {"dscale", AT(dscale), PARAMETER},
    [CLNORM__DSHIFT] = {"dshift", AT(dshift), PARAMETER},
    [CLNORM__MEAN] = {"mean", AT(mean), STATISTIC},
    [CLNORM__INVSTD] = {"invstd", AT(invstd), STATISTIC},
    [CLNORM__VAR] = {"var", AT(var), PARAMETER},
    [CLNORM__RUNNING_MEAN] = {"running_mean", AT(running_mean), PARAMETER},
    [CLNORM__RUNNING_VAR] = {"running_var", AT(running_var), PARAMETER},
    [CLNORM__RENORM_R] = {"renorm_r", AT(renorm_r), PARAMETER},
    [CLNORM__RENORM_D] = {"renorm_d", AT(renorm_d), PARAMETER},
    [CLNORM__MOMENTS] = {"moments", AT(moments), MOMENTS},
    [CLNORM__SUMS] = {"sums", AT(sums), SUMS},
    [CLNORM__PARTS] = {"parts", AT(parts), PARTS},
    [CLNORM__STATE] = {"state", AT(state), STATE},
    [CLNORM__LENGTHS] = {"lengths", AT(lengths), SAMPLES},
    [CLNORM__CONSTANTS] = {"constants", AT(workspace), SCRATCH},
#undef AT
};

struct clnorm_buffer clnorm__buffer_given(const struct clnorm_arguments *arguments, unsigned role)
{
    struct clnorm_buffer buffer;
    memcpy(&buffer, (const char *)arguments + buffers[role].place, sizeof buffer);
    return buffer;
}

void clnorm__buffer_give(struct clnorm_arguments *arguments, unsigned role,
                         struct clnorm_buffer buffer)
{
    memcpy((char *)arguments + buffers[role].place, &buffer, sizeof buffer);
}

static int is_backward(enum clnorm_operation op)
{
    return op >= CLNORM_BACKWARD_SUMS && op <= CLNORM_BACKWARD_FROZEN;
}

static int normalises(enum clnorm_operation op)
{
    return op == CLNORM_NORMALISE || op == CLNORM_FORWARD || op == CLNORM_INFER;
}

static enum clnorm_use only_if(int condition, enum clnorm_use use)
{
    return condition ? use : CLNORM_UNUSED;
}

static enum clnorm_use use_of_tensor(const struct clnorm_problem *p, unsigned role)
{
    const enum clnorm_operation op = p->operation;
    const int gradient = is_backward(op), output = gradient && op != CLNORM_BACKWARD_SUMS;
    const int frozen = op == CLNORM_BACKWARD_FROZEN, add = (p->flags & CLNORM_ADD) != 0;
    switch (role) {
    case CLNORM__X:
        return only_if(op != CLNORM_MERGE && op != CLNORM_UPDATE &&
                           (!frozen || (p->flags & CLNORM_SCALE)),
                       CLNORM_READ);
    case CLNORM__Y:
        if (normalises(op))
            return CLNORM_WRITTEN;
        return only_if(gradient && (p->flags & CLNORM_RELU), CLNORM_READ);
    case CLNORM__ADD: return only_if(normalises(op) && add, CLNORM_READ);
    case CLNORM__DY: return only_if(gradient, CLNORM_READ);
    case CLNORM__DX: return only_if(output, CLNORM_WRITTEN);
    default: /* dadd */ return only_if(output && add, CLNORM_WRITTEN);
    }
}

static enum clnorm_use use_of_statistic(const struct clnorm_problem *p, unsigned role)
{
    const enum clnorm_operation op = p->operation;
    const int made = op == CLNORM_NORMALISE || op == CLNORM_FORWARD;
    const int frozen = op == CLNORM_BACKWARD_FROZEN, renorm = (p->flags & CLNORM_RENORM) != 0;
    switch (role) {
    case CLNORM__MEAN:
        if (made)
            return CLNORM_WRITTEN;
        return only_if(op == CLNORM_INFER ||
                           (is_backward(op) && (!frozen || (p->flags & CLNORM_SCALE))),
                       CLNORM_READ);
    case CLNORM__INVSTD: return made ? CLNORM_WRITTEN : only_if(is_backward(op), CLNORM_READ);
    case CLNORM__VAR: return only_if(op == CLNORM_INFER, CLNORM_READ);
    case CLNORM__MOMENTS:
        return only_if(op == CLNORM_MOMENTS || op == CLNORM_MERGE, CLNORM_WRITTEN);
    case CLNORM__SUMS: return only_if(op == CLNORM_BACKWARD_SUMS, CLNORM_WRITTEN);
    case CLNORM__LENGTHS: return only_if(p->flags & CLNORM_LENGTHS, CLNORM_READ);
    case CLNORM__PARTS:
        return only_if(op == CLNORM_MERGE || op == CLNORM_NORMALISE || op == CLNORM_INPUT_GRADIENT,
                       CLNORM_READ);
    case CLNORM__RENORM_D:
        if (!made && !(p->flags & CLNORM_SCALE)) /* only dscale depends on it */
            return CLNORM_UNUSED;
        return only_if(renorm, made ? CLNORM_WRITTEN : CLNORM_READ);
    case CLNORM__RENORM_R: return only_if(renorm, made ? CLNORM_WRITTEN : CLNORM_READ);
    default: /* running statistics */
        if (made && (p->flags & CLNORM_RUNNING))
            return CLNORM_READ_WRITTEN;
        return only_if(made && renorm, CLNORM_READ);
    }
}

static enum clnorm_use use_of_parameter(const struct clnorm_problem *p, unsigned role)
{
    const enum clnorm_operation op = p->operation;
    const int optimises = (p->flags & (CLNORM_SGD | CLNORM_ADAM)) != 0;
    const int gradient = op == CLNORM_UPDATE || (is_backward(op) && op != CLNORM_BACKWARD_SUMS);
    const enum clnorm_use computed = op == CLNORM_UPDATE ? CLNORM_READ : CLNORM_WRITTEN;
    switch (role) {
    case CLNORM__SCALE:
        return only_if(p->flags & CLNORM_SCALE, optimises ? CLNORM_READ_WRITTEN : CLNORM_READ);
    case CLNORM__SHIFT:
        if (!(p->flags & CLNORM_SHIFT) || (gradient && !optimises))
            return CLNORM_UNUSED;
        return optimises ? CLNORM_READ_WRITTEN : CLNORM_READ;
    case CLNORM__DSCALE: return only_if(gradient && (p->flags & CLNORM_SCALE), computed);
    case CLNORM__DSHIFT: return only_if(gradient && (p->flags & CLNORM_SHIFT), computed);
    default: /* state */ return only_if(optimises, CLNORM_READ_WRITTEN);
    }
}

enum clnorm_use clnorm__buffer_use(const struct clnorm_problem *p, unsigned role)
{
    if (role <= CLNORM__DADD)
        return use_of_tensor(p, role);
    if (role <= CLNORM__DSHIFT || role == CLNORM__STATE)
        return use_of_parameter(p, role);
    return role < CLNORM__CONSTANTS ? use_of_statistic(p, role) : CLNORM_UNUSED;
}

static uint64_t elements_of(const struct clnorm_problem *p, unsigned role,
                            const struct clnorm__extents *extents)
{
    const uint64_t channels = (uint64_t)p->channels;
    const uint64_t parameters = !!(p->flags & CLNORM_SCALE) + !!(p->flags & CLNORM_SHIFT);
    const uint64_t samples = p->flags & CLNORM_GHOST ? (uint64_t)p->ghost : UINT64_MAX;
    const uint64_t ghosts = samples == UINT64_MAX ? 1 : (extents->batch + samples - 1) / samples;
    switch (buffers[role].extent) {
    case SAMPLES: return extents->batch;
    case STATISTIC: return ghosts * channels;
    case TENSOR: return extents->batch * channels * extents->spatial;
    case MOMENTS: return 4 * channels;
    case SUMS: return 2 * channels;
    case PARTS: return extents->sets * (p->operation == CLNORM_INPUT_GRADIENT ? 2 : 4) * channels;
    case STATE: return parameters * (p->flags & CLNORM_ADAM ? 2 : 1) * channels;
    case SCRATCH: return 4 * channels * ghosts;
    default: return channels;
    }
}

size_t clnorm__buffer_element_size(const struct clnorm_problem *p, unsigned role)
{
    switch (buffers[role].extent) {
    case TENSOR: return clnorm_dtype_size(p->dtype);
    case SAMPLES: return sizeof(uint32_t);
    default: return clnorm_dtype_parameter_size(p->dtype);
    }
}

const char *clnorm__buffer_name(unsigned role)
{
    return buffers[role].name;
}

int clnorm__buffer_is_tensor(unsigned role)
{
    return buffers[role].extent == TENSOR;
}

uint64_t clnorm__buffer_bytes(const struct clnorm_problem *problem, unsigned role,
                              const struct clnorm__extents *extents)
{
    return elements_of(problem, role, extents) * clnorm__buffer_element_size(problem, role);
}

enum clnorm_use clnorm_problem_buffer(const struct clnorm_problem *problem, const char *name,
                                      int64_t batch, int64_t spatial, int64_t sets,
                                      uint64_t *elements, size_t *element_size)
{
    const struct clnorm__extents extents = {(uint64_t)batch, (uint64_t)spatial,
                                            sets > 0 ? (uint64_t)sets : 1};
    for (unsigned role = 0; role < CLNORM__CONSTANTS; role++) {
        if (strcmp(name, buffers[role].name) != 0)
            continue;
        if (elements)
            *elements = elements_of(problem, role, &extents);
        if (element_size)
            *element_size = clnorm__buffer_element_size(problem, role);
        return clnorm__buffer_use(problem, role);
    }
    return CLNORM_UNUSED;
}
