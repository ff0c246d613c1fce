#include "arguments.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- Buffers: name, place in struct clnorm_arguments, extent ---- */

enum extent { TENSOR, PARAMETER, MOMENTS, SUMS, PARTS, STATE, SCRATCH };

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
    [CLNORM__MEAN] = {"mean", AT(mean), PARAMETER},
    [CLNORM__INVSTD] = {"invstd", AT(invstd), PARAMETER},
    [CLNORM__VAR] = {"var", AT(var), PARAMETER},
    [CLNORM__RUNNING_MEAN] = {"running_mean", AT(running_mean), PARAMETER},
    [CLNORM__RUNNING_VAR] = {"running_var", AT(running_var), PARAMETER},
    [CLNORM__MOMENTS] = {"moments", AT(moments), MOMENTS},
    [CLNORM__SUMS] = {"sums", AT(sums), SUMS},
    [CLNORM__PARTS] = {"parts", AT(parts), PARTS},
    [CLNORM__STATE] = {"state", AT(state), STATE},
    [CLNORM__CONSTANTS] = {"constants", AT(workspace), SCRATCH},
#undef AT
};

static struct clnorm_buffer given(const struct clnorm_arguments *arguments, unsigned role)
{
    struct clnorm_buffer buffer;
    memcpy(&buffer, (const char *)arguments + buffers[role].place, sizeof buffer);
    return buffer;
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
    const int frozen = op == CLNORM_BACKWARD_FROZEN;
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
    case CLNORM__PARTS:
        return only_if(op == CLNORM_MERGE || op == CLNORM_NORMALISE || op == CLNORM_INPUT_GRADIENT,
                       CLNORM_READ);
    default: /* running statistics */
        return only_if(made && (p->flags & CLNORM_RUNNING), CLNORM_READ_WRITTEN);
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

static enum clnorm_use use_of(const struct clnorm_problem *p, unsigned role)
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
    switch (buffers[role].extent) {
    case TENSOR: return extents->batch * channels * extents->spatial;
    case MOMENTS: return 4 * channels;
    case SUMS: return 2 * channels;
    case PARTS: return extents->sets * (p->operation == CLNORM_INPUT_GRADIENT ? 2 : 4) * channels;
    case STATE: return parameters * (p->flags & CLNORM_ADAM ? 2 : 1) * channels;
    default: return channels;
    }
}

static size_t element_size_of(const struct clnorm_problem *p, unsigned role)
{
    return buffers[role].extent == TENSOR ? clnorm_dtype_size(p->dtype)
                                          : clnorm_dtype_parameter_size(p->dtype);
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
            *element_size = element_size_of(problem, role);
        return use_of(problem, role);
    }
    return CLNORM_UNUSED;
}

/* ---- Checks ---- */

static int in_range(double value, double low, double high)
{
    return value >= low && value <= high; /* false for NaN */
}

static enum clnorm_status check_numbers(struct clnorm_context *context,
                                        const struct clnorm_problem *p,
                                        const struct clnorm_arguments *a)
{
    const struct clnorm_optimiser *const o = &a->optimiser;
    const double most = 1.7976931348623157e308;
    const struct {
        const char *name;
        double value, low, high;
        int used;
    } checks[] = {
        {"epsilon", a->epsilon, 0, most, 1},
        {"momentum", a->momentum, 0, 1, (p->flags & CLNORM_RUNNING) != 0},
        {"count", a->count, 0, most, p->operation == CLNORM_INPUT_GRADIENT},
        {"optimiser.learning_rate", o->learning_rate, 0, most,
         (p->flags & (CLNORM_SGD | CLNORM_ADAM)) != 0},
        {"optimiser.weight_decay", o->weight_decay, 0, most,
         (p->flags & (CLNORM_SGD | CLNORM_ADAM)) != 0},
        {"optimiser.momentum", o->momentum, 0, most, (p->flags & CLNORM_SGD) != 0},
        {"optimiser.beta1", o->beta1, 0, 0.9999999999999999, (p->flags & CLNORM_ADAM) != 0},
        {"optimiser.beta2", o->beta2, 0, 0.9999999999999999, (p->flags & CLNORM_ADAM) != 0},
        {"optimiser.epsilon", o->epsilon, 0, most, (p->flags & CLNORM_ADAM) != 0},
        {"optimiser.step", (double)o->step, 1, most, (p->flags & CLNORM_ADAM) != 0},
    };
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (checks[i].used && !in_range(checks[i].value, checks[i].low, checks[i].high))
            return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                                "%s is out of range: it must be %g to %g", checks[i].name,
                                checks[i].low, checks[i].high);
    return CLNORM_OK;
}

/* a*b < 2^62 for non-negative a, b. */
static int fits(uint64_t a, uint64_t b)
{
    return b == 0 || a < (UINT64_C(1) << 62) / b;
}

enum clnorm_status clnorm__arguments_extents(struct clnorm_context *context,
                                             const struct clnorm_problem *problem,
                                             const struct clnorm_arguments *arguments,
                                             struct clnorm__extents *extents)
{
    if (!arguments || arguments->size != sizeof *arguments)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                            "arguments.size must be sizeof(struct clnorm_arguments)");
    const int64_t batch = problem->batch == CLNORM_ANY ? arguments->batch : problem->batch;
    const int64_t spatial = problem->spatial == CLNORM_ANY ? arguments->spatial : problem->spatial;
    if (batch < 0 || spatial < 0 || arguments->sets < 0)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                            "batch, spatial and sets must not be negative (they are "
                            "%" PRId64 ", %" PRId64 " and %" PRId64 ")",
                            batch, spatial, arguments->sets);
    const uint64_t channels = (uint64_t)problem->channels;
    const uint64_t sets = arguments->sets > 0 ? (uint64_t)arguments->sets : 1;
    if (!fits((uint64_t)batch, (uint64_t)spatial) ||
        !fits((uint64_t)batch * (uint64_t)spatial, channels) || !fits(sets, 8 * channels))
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                            "the tensor is too large: N*C*S must be below 2^62");
    *extents = (struct clnorm__extents){(uint64_t)batch, (uint64_t)spatial, sets};
    return check_numbers(context, problem, arguments);
}

/* One buffer in use: its bytes are [first, last). */
struct range {
    const char *name;
    cl_mem memory;
    uint64_t first, last;
    enum clnorm_use use;
    int tensor;
};

static enum clnorm_status check_buffer(struct clnorm_context *context, const char *name,
                                       struct clnorm_buffer buffer, uint64_t bytes,
                                       size_t element_size)
{
    if (!buffer.memory)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                            "the operation needs the buffer '%s': it was not given", name);
    cl_context owner;
    size_t size;
    cl_int code = clGetMemObjectInfo(buffer.memory, CL_MEM_CONTEXT, sizeof owner, &owner, NULL);
    if (code == CL_SUCCESS)
        code = clGetMemObjectInfo(buffer.memory, CL_MEM_SIZE, sizeof size, &size, NULL);
    if (code != CL_SUCCESS)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                            "the buffer '%s' is not a valid cl_mem (%s)", name,
                            clnorm__code_name(code));
    if (owner != context->opencl)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                            "the buffer '%s' belongs to another cl_context", name);
    if (buffer.offset % element_size != 0)
        return clnorm__fail(
            context, CLNORM_INVALID_ARGUMENT,
            "the offset of '%s', %zu bytes, is not a multiple of its element size, %zu", name,
            buffer.offset, element_size);
    if (buffer.offset > size || bytes > size - buffer.offset)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                            "the buffer '%s' is too small: %" PRIu64
                            " bytes are needed from offset %zu, it has %zu",
                            name, bytes, buffer.offset, size);
    return CLNORM_OK;
}

/* Written memory may overlap nothing, but for a tensor read in exactly the same place. */
static enum clnorm_status check_overlap(struct clnorm_context *context, const struct range *a,
                                        const struct range *b)
{
    if (a->memory != b->memory || a->first >= b->last || b->first >= a->last)
        return CLNORM_OK;
    if (a->use == CLNORM_READ && b->use == CLNORM_READ)
        return CLNORM_OK;
    const int one_reads = a->use == CLNORM_READ || b->use == CLNORM_READ;
    if (a->tensor && b->tensor && a->first == b->first && one_reads)
        return CLNORM_OK;
    return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                        "the buffers '%s' and '%s' overlap, and one is written: only a "
                        "tensor may be written in place of one that is read",
                        a->name, b->name);
}

enum clnorm_status clnorm__arguments_check(struct clnorm_context *context,
                                           const struct clnorm_problem *problem,
                                           const struct clnorm_arguments *arguments,
                                           const struct clnorm__extents *extents, size_t workspace)
{
    struct range ranges[CLNORM__BUFFER_COUNT];
    unsigned count = 0;
    enum clnorm_status status = CLNORM_OK;
    for (unsigned role = 0; role < CLNORM__BUFFER_COUNT && status == CLNORM_OK; role++) {
        const int scratch = role == CLNORM__CONSTANTS;
        const struct clnorm_buffer buffer = given(arguments, role);
        const size_t element_size = element_size_of(problem, role);
        const enum clnorm_use use =
            scratch ? only_if(workspace && buffer.memory, CLNORM_WRITTEN) : use_of(problem, role);
        const uint64_t bytes =
            scratch ? workspace : elements_of(problem, role, extents) * element_size;
        if (use == CLNORM_UNUSED || (bytes == 0 && !buffer.memory))
            continue;
        const char *const name = scratch ? "workspace" : buffers[role].name;
        status = check_buffer(context, name, buffer, bytes, element_size);
        ranges[count] = (struct range){name,          buffer.memory,
                                       buffer.offset, buffer.offset + bytes,
                                       use,           buffers[role].extent == TENSOR};
        for (unsigned i = 0; i < count && status == CLNORM_OK; i++)
            status = check_overlap(context, &ranges[i], &ranges[count]);
        count++;
    }
    return status;
}

/* ---- Values ---- */

static void set_count(struct clnorm__values *values, unsigned role, uint64_t number)
{
    values->number[role].size = sizeof(cl_ulong);
    values->number[role].value.u = number;
}

static void set_real(struct clnorm__values *values, const struct clnorm_problem *p, unsigned role,
                     double number)
{
    if (p->dtype == CLNORM_F64) {
        values->number[role].size = sizeof(cl_double);
        values->number[role].value.d = number;
    } else {
        values->number[role].size = sizeof(cl_float);
        values->number[role].value.f = (cl_float)number;
    }
}

static double or_default(double value, double standard)
{
    return value == 0 ? standard : value;
}

static void set_optimiser(struct clnorm__values *values, const struct clnorm_problem *p,
                          const struct clnorm_optimiser *o)
{
    const double beta1 = or_default(o->beta1, 0.9), beta2 = or_default(o->beta2, 0.999);
    set_real(values, p, CLNORM__LEARNING_RATE, o->learning_rate);
    set_real(values, p, CLNORM__WEIGHT_DECAY, o->weight_decay);
    set_real(values, p, CLNORM__VELOCITY_DECAY, o->momentum);
    if (!(p->flags & CLNORM_ADAM))
        return;
    set_real(values, p, CLNORM__BETA1, beta1);
    set_real(values, p, CLNORM__BETA2, beta2);
    set_real(values, p, CLNORM__CORRECTION1, 1 / (1 - pow(beta1, (double)o->step)));
    set_real(values, p, CLNORM__CORRECTION2, 1 / (1 - pow(beta2, (double)o->step)));
    set_real(values, p, CLNORM__ADAM_EPSILON, or_default(o->epsilon, 1e-8));
}

void clnorm__arguments_values(const struct clnorm_problem *problem,
                              const struct clnorm_arguments *arguments,
                              const struct clnorm__extents *extents,
                              const struct clnorm_launches *launches,
                              struct clnorm_buffer workspace, struct clnorm__values *values)
{
    for (unsigned role = 0; role < CLNORM__CONSTANTS; role++) {
        const struct clnorm_buffer buffer = given(arguments, role);
        values->buffer[role].memory = buffer.memory;
        values->buffer[role].offset = buffer.offset / element_size_of(problem, role);
    }
    const cl_ulong scratch = workspace.offset / clnorm_dtype_parameter_size(problem->dtype);
    const int own_parts = use_of(problem, CLNORM__PARTS) == CLNORM_UNUSED;
    if (own_parts) {
        values->buffer[CLNORM__PARTS].memory = workspace.memory;
        values->buffer[CLNORM__PARTS].offset = scratch;
    }
    values->buffer[CLNORM__CONSTANTS].memory = workspace.memory;
    values->buffer[CLNORM__CONSTANTS].offset = scratch + launches->constants;
    set_count(values, CLNORM__BATCH, launches->batch);
    set_count(values, CLNORM__SPATIAL, launches->spatial);
    set_count(values, CLNORM__BATCH_STEP, launches->batch_step);
    set_count(values, CLNORM__SPATIAL_STEP, launches->spatial_step);
    set_count(values, CLNORM__SETS, own_parts ? launches->parts : extents->sets);
    set_real(values, problem, CLNORM__EPSILON, or_default(arguments->epsilon, 1e-5));
    set_real(values, problem, CLNORM__MOMENTUM, or_default(arguments->momentum, 0.1));
    const double count = (double)extents->batch * (double)extents->spatial;
    set_real(values, problem, CLNORM__COUNT,
             problem->operation == CLNORM_INPUT_GRADIENT ? or_default(arguments->count, count)
                                                         : count);
    set_optimiser(values, problem, &arguments->optimiser);
}

/* ---- Binding kernel arguments by name ---- */

static const struct {
    const char *name;
    enum clnorm__number_role role;
} numbers[] = {
    {"batch", CLNORM__BATCH},
    {"spatial", CLNORM__SPATIAL},
    {"rows", CLNORM__SPATIAL},
    {"batch_step", CLNORM__BATCH_STEP},
    {"spatial_step", CLNORM__SPATIAL_STEP},
    {"rows_step", CLNORM__SPATIAL_STEP},
    {"sets", CLNORM__SETS},
    {"epsilon", CLNORM__EPSILON},
    {"momentum", CLNORM__MOMENTUM},
    {"count", CLNORM__COUNT},
    {"learning_rate", CLNORM__LEARNING_RATE},
    {"weight_decay", CLNORM__WEIGHT_DECAY},
    {"velocity_decay", CLNORM__VELOCITY_DECAY},
    {"beta1", CLNORM__BETA1},
    {"beta2", CLNORM__BETA2},
    {"correction1", CLNORM__CORRECTION1},
    {"correction2", CLNORM__CORRECTION2},
    {"adam_epsilon", CLNORM__ADAM_EPSILON},
};

int clnorm__binding_of(const char *name, struct clnorm__binding *binding)
{
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(name, numbers[i].name) == 0) {
            *binding = (struct clnorm__binding){CLNORM__BIND_NUMBER, numbers[i].role};
            return 1;
        }
    for (unsigned role = 0; role < CLNORM__BUFFER_COUNT; role++) {
        const size_t length = strlen(buffers[role].name);
        if (strncmp(name, buffers[role].name, length) != 0)
            continue;
        const int is_offset = strcmp(name + length, "_offset") == 0;
        if (is_offset || name[length] == 0) {
            *binding = (struct clnorm__binding){
                is_offset ? CLNORM__BIND_OFFSET : CLNORM__BIND_MEMORY, role};
            return 1;
        }
    }
    return 0;
}

cl_int clnorm__kernel_bind(cl_kernel kernel, const struct clnorm__binding *bindings, unsigned count,
                           const struct clnorm__values *values)
{
    cl_int code = CL_SUCCESS;
    for (unsigned i = 0; i < count && code == CL_SUCCESS; i++) {
        const unsigned role = bindings[i].role;
        if (bindings[i].what == CLNORM__BIND_MEMORY)
            code = clSetKernelArg(kernel, i, sizeof(cl_mem), &values->buffer[role].memory);
        else if (bindings[i].what == CLNORM__BIND_OFFSET)
            code = clSetKernelArg(kernel, i, sizeof(cl_ulong), &values->buffer[role].offset);
        else
            code =
                clSetKernelArg(kernel, i, values->number[role].size, &values->number[role].value);
    }
    return code;
}
