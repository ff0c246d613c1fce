#include "checks.h"

#include <float.h>
#include <inttypes.h>

enum clnorm_status clnorm__schedule_taken(struct clnorm_context *context,
                                          const struct clnorm_problem *problem,
                                          const struct clnorm_schedule *schedule)
{
    char message[256];
    if (clnorm_schedule_check(schedule, problem, message, sizeof message) != CLNORM_OK)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT, "%s", message);
    if (schedule->walk == CLNORM_WALK_DATAFLOW)
        return clnorm__fail(context, CLNORM_UNSUPPORTED,
                            "schedule: plans do not run the dataflow walk, whose kernels wait for "
                            "each other; launch them yourself, each on a queue of its own");
    const struct clnorm_device *const device = &context->device;
    const struct clnorm_target *const target = &device->target;
    if (clnorm_schedule_fits(schedule, problem, target))
        return CLNORM_OK;
    if (schedule->fold == CLNORM_FOLD_SUBGROUP && target->sub_group == 0)
        return clnorm__fail(context, CLNORM_UNSUPPORTED,
                            "schedule: %s has no sub-groups with shuffles "
                            "(cl_khr_subgroup_shuffle): use fold=tree",
                            device->device_name);
    if (schedule->fold == CLNORM_FOLD_COLLECTIVE && !target->collectives)
        return clnorm__fail(context, CLNORM_UNSUPPORTED,
                            "schedule: %s has no work-group collective functions: use fold=tree",
                            device->device_name);
    return clnorm__fail(context, CLNORM_UNSUPPORTED,
                        "schedule: group %u is too large for %s: it takes %u work-items and has "
                        "%llu bytes of local memory",
                        (unsigned)schedule->group, device->device_name, (unsigned)target->max_group,
                        (unsigned long long)target->local_memory);
}

static int in_range(double value, double low, double high)
{
    return value >= low && value <= high; /* false for NaN */
}

static enum clnorm_status check_numbers(struct clnorm_context *context,
                                        const struct clnorm_problem *p,
                                        const struct clnorm_arguments *a)
{
    const struct clnorm_optimiser *const o = &a->optimiser;
    const double most = p->dtype == CLNORM_F64 ? DBL_MAX : (double)FLT_MAX;
    const struct {
        const char *name;
        double value, low, high;
        int used;
    } checks[] = {
        {"epsilon", a->epsilon, 0, most, 1},
        {"momentum", a->momentum, 0, 1, (p->flags & CLNORM_RUNNING) != 0},
        {"r_max", a->r_max == 0 ? 1 : a->r_max, 1, most, (p->flags & CLNORM_RENORM) != 0},
        {"d_max", a->d_max, 0, most, (p->flags & CLNORM_RENORM) != 0},
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

/* a*b < 2^60 for non-negative a, b: their bytes, 8 for each, are below 2^63. */
static int fits(uint64_t a, uint64_t b)
{
    return b == 0 || a < (UINT64_C(1) << 60) / b;
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
                            "the tensor is too large: N*C*S must be below 2^60");
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

/* A query on a buffer failed: it is none, or the device is at fault. */
static enum clnorm_status fail_query(struct clnorm_context *context, const char *name, cl_int code)
{
    if (code != CL_INVALID_MEM_OBJECT)
        return clnorm__fail_call(context, code, "clGetMemObjectInfo");
    return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                        "the buffer '%s' is not a valid cl_mem: clGetMemObjectInfo failed with %s "
                        "(%d)",
                        name, clnorm__code_name(code), (int)code);
}

/* The memory the range lies in: for a sub-buffer its parent, where it starts at the origin. */
static cl_int find_root(struct range *range)
{
    cl_mem parent = NULL;
    size_t origin = 0;
    cl_int code = clGetMemObjectInfo(range->memory, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof parent,
                                     &parent, NULL);
    if (code != CL_SUCCESS || !parent)
        return code;
    code = clGetMemObjectInfo(range->memory, CL_MEM_OFFSET, sizeof origin, &origin, NULL);
    range->memory = parent;
    range->first += origin;
    range->last += origin;
    return code;
}

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
        return fail_query(context, name, code);
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
        const struct clnorm_buffer buffer = clnorm__buffer_given(arguments, role);
        const enum clnorm_use use = !scratch                     ? clnorm__buffer_use(problem, role)
                                    : workspace && buffer.memory ? CLNORM_WRITTEN
                                                                 : CLNORM_UNUSED;
        if (use == CLNORM_UNUSED)
            continue;
        const uint64_t bytes = scratch ? workspace : clnorm__buffer_bytes(problem, role, extents);
        if (bytes == 0 && !buffer.memory)
            continue;
        const char *const name = scratch ? "workspace" : clnorm__buffer_name(role);
        const size_t element_size = clnorm__buffer_element_size(problem, role);
        status = check_buffer(context, name, buffer, bytes, element_size);
        if (status != CLNORM_OK)
            break;
        struct range *const range = &ranges[count];
        *range = (struct range){name,          buffer.memory,
                                buffer.offset, buffer.offset + bytes,
                                use,           clnorm__buffer_is_tensor(role)};
        const cl_int code = find_root(range);
        if (code != CL_SUCCESS)
            status = fail_query(context, name, code);
        for (unsigned i = 0; i < count && status == CLNORM_OK; i++)
            status = check_overlap(context, &ranges[i], range);
        count++;
    }
    return status;
}
