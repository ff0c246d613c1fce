#include "binding.h"

#include <math.h>
#include <string.h>

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
    set_real(values, p, CLNORM__WEIGHT1, 1 - beta1);
    set_real(values, p, CLNORM__WEIGHT2, 1 - beta2);
    set_real(values, p, CLNORM__CORRECTION1, 1 / (1 - pow(beta1, (double)o->step)));
    set_real(values, p, CLNORM__CORRECTION2, 1 / (1 - pow(beta2, (double)o->step)));
    set_real(values, p, CLNORM__ADAM_EPSILON, or_default(o->epsilon, 1e-8));
}

static void set_ghosts(struct clnorm__values *values, const struct clnorm_problem *p,
                       const struct clnorm__extents *extents,
                       const struct clnorm_launches *launches)
{
    const uint64_t samples = (uint64_t)p->ghost, batch = extents->batch;
    set_count(values, CLNORM__GHOSTS, launches->ghosts);
    set_count(values, CLNORM__GHOST_SETS, launches->ghost_sets);
    set_count(values, CLNORM__GHOST_POSITIONS,
              (samples < batch ? samples : batch) * extents->spatial);
    set_count(values, CLNORM__POSITIONS, batch * extents->spatial);
}

void clnorm__arguments_values(const struct clnorm_problem *problem,
                              const struct clnorm_arguments *arguments,
                              const struct clnorm__extents *extents,
                              const struct clnorm_launches *launches,
                              struct clnorm_buffer workspace, struct clnorm__values *values)
{
    for (unsigned role = 0; role < CLNORM__CONSTANTS; role++) {
        const struct clnorm_buffer buffer = clnorm__buffer_given(arguments, role);
        if (!buffer.memory)
            continue;
        values->buffer[role].memory = buffer.memory;
        values->buffer[role].offset = buffer.offset / clnorm__buffer_element_size(problem, role);
    }
    const cl_ulong scratch = workspace.offset / clnorm_dtype_parameter_size(problem->dtype);
    const int own_parts = clnorm__buffer_use(problem, CLNORM__PARTS) == CLNORM_UNUSED;
    if (own_parts) {
        values->buffer[CLNORM__PARTS].memory = workspace.memory;
        values->buffer[CLNORM__PARTS].offset = scratch;
    }
    values->buffer[CLNORM__CONSTANTS].memory = workspace.memory;
    values->buffer[CLNORM__CONSTANTS].offset = scratch + launches->constants;
    set_count(values, CLNORM__CHANNELS, (uint64_t)problem->channels);
    set_count(values, CLNORM__BATCH, launches->batch);
    set_count(values, CLNORM__SPATIAL, launches->spatial);
    set_count(values, CLNORM__PAST, launches->past);
    set_count(values, CLNORM__SETS, own_parts ? launches->parts : extents->sets);
    if (problem->flags & CLNORM_GHOST)
        set_ghosts(values, problem, extents, launches);
    set_real(values, problem, CLNORM__EPSILON, or_default(arguments->epsilon, 1e-5));
    set_real(values, problem, CLNORM__MOMENTUM, or_default(arguments->momentum, 0.1));
    set_real(values, problem, CLNORM__R_MAX, or_default(arguments->r_max, 1));
    set_real(values, problem, CLNORM__D_MAX, arguments->d_max);
    set_count(values, CLNORM__SAMPLES, extents->batch);
    set_count(values, CLNORM__SAMPLE_POSITIONS, extents->spatial);
    const double all = (double)extents->batch * (double)extents->spatial;
    const double count =
        problem->flags & CLNORM_LENGTHS ? 0 : all; /* 0: the kernel's to find out */
    set_real(values, problem, CLNORM__COUNT,
             problem->operation == CLNORM_INPUT_GRADIENT ? or_default(arguments->count, count)
                                                         : count);
    set_optimiser(values, problem, &arguments->optimiser);
}

void clnorm__launch_values(const struct clnorm_launch *launch, struct clnorm__values *values)
{
    set_count(values, CLNORM__TILE, launch->tile);
    set_count(values, CLNORM__BATCH_STEP, launch->batch_step);
    set_count(values, CLNORM__SPATIAL_STEP, launch->spatial_step);
}

/* ---- Binding kernel arguments by name ---- */

static const struct {
    const char *name;
    enum clnorm__number_role role;
} numbers[] = {
    {"batch", CLNORM__BATCH},
    {"spatial", CLNORM__SPATIAL},
    {"rows", CLNORM__SPATIAL},
    {"channels", CLNORM__CHANNELS},
    {"batch_step", CLNORM__BATCH_STEP},
    {"spatial_step", CLNORM__SPATIAL_STEP},
    {"rows_step", CLNORM__SPATIAL_STEP},
    {"tile", CLNORM__TILE},
    {"past", CLNORM__PAST},
    {"sets", CLNORM__SETS},
    {"ghosts", CLNORM__GHOSTS},
    {"ghost_sets", CLNORM__GHOST_SETS},
    {"ghost_positions", CLNORM__GHOST_POSITIONS},
    {"ghost_rows", CLNORM__GHOST_POSITIONS},
    {"positions", CLNORM__POSITIONS},
    {"samples", CLNORM__SAMPLES},
    {"sample_positions", CLNORM__SAMPLE_POSITIONS},
    {"sample_rows", CLNORM__SAMPLE_POSITIONS},
    {"epsilon", CLNORM__EPSILON},
    {"momentum", CLNORM__MOMENTUM},
    {"count", CLNORM__COUNT},
    {"r_max", CLNORM__R_MAX},
    {"d_max", CLNORM__D_MAX},
    {"learning_rate", CLNORM__LEARNING_RATE},
    {"weight_decay", CLNORM__WEIGHT_DECAY},
    {"velocity_decay", CLNORM__VELOCITY_DECAY},
    {"weight1", CLNORM__WEIGHT1},
    {"weight2", CLNORM__WEIGHT2},
    {"correction1", CLNORM__CORRECTION1},
    {"correction2", CLNORM__CORRECTION2},
    {"adam_epsilon", CLNORM__ADAM_EPSILON},
};

/* 0 when no such name is known: an error of clnorm itself. */
static int find_binding(const char *name, struct clnorm__binding *binding)
{
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(name, numbers[i].name) == 0) {
            *binding = (struct clnorm__binding){CLNORM__BIND_NUMBER, numbers[i].role};
            return 1;
        }
    for (unsigned role = 0; role < CLNORM__BUFFER_COUNT; role++) {
        const size_t length = strlen(clnorm__buffer_name(role));
        if (strncmp(name, clnorm__buffer_name(role), length) != 0)
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

/* ---- Kernels of a program ---- */

/* A program that is not what the source says, by where it came from. */
static enum clnorm_status refuse_kernel(struct clnorm_context *context,
                                        const struct clnorm__program *program, const char *kernel,
                                        const char *wrong)
{
    static const struct {
        enum clnorm_status status;
        const char *advice;
    } origins[CLNORM__ORIGIN_COUNT] = {
        [CLNORM__BUILT] = {CLNORM_DEVICE_FAILED, "an error of the driver, or of clnorm"},
        [CLNORM__BUNDLED] = {CLNORM_DEVICE_FAILED, "make the bundle again for this driver"},
        [CLNORM__ADOPTED] = {CLNORM_INVALID_ARGUMENT,
                             "options.program must be made from the image (clnorm_image_join, "
                             "'clnorm emit --image') that this version gives for this problem and "
                             "schedule"},
    };
    char problem[CLNORM_PROBLEM_TEXT_SIZE], schedule[CLNORM_SCHEDULE_TEXT_SIZE];
    clnorm_problem_format(&program->problem, problem);
    clnorm_schedule_format(&program->schedule, schedule);
    return clnorm__fail(context, origins[program->origin].status,
                        "the kernel '%s' of '%s', schedule '%s', %s: %s", kernel, problem, schedule,
                        wrong, origins[program->origin].advice);
}

static enum clnorm_status create_kernel(struct clnorm_context *context,
                                        const struct clnorm__program *program,
                                        const struct clnorm_kernel *source,
                                        struct clnorm__step_kernel *kernel)
{
    cl_int code;
    for (unsigned i = 0; i < source->arguments; i++)
        if (!find_binding(source->argument[i], &kernel->binding[i]))
            return clnorm__fail(context, CLNORM_DEVICE_FAILED,
                                "internal error: the kernel '%s' has an argument '%s' that "
                                "the runtime does not know",
                                source->name, source->argument[i]);
    const char *const name = program->kernel[source->step];
    cl_uint taken = 0;
    kernel->arguments = source->arguments;
    kernel->kernel = clCreateKernel(program->opencl, name, &code);
    if (code == CL_INVALID_KERNEL_NAME)
        return refuse_kernel(context, program, name, "is not in the program");
    if (code != CL_SUCCESS)
        return clnorm__fail_call(context, code, "clCreateKernel");
    code = clGetKernelInfo(kernel->kernel, CL_KERNEL_NUM_ARGS, sizeof taken, &taken, NULL);
    if (code != CL_SUCCESS)
        return clnorm__fail_call(context, code, "clGetKernelInfo");
    return taken == source->arguments
               ? CLNORM_OK
               : refuse_kernel(context, program, name, "takes another number of arguments");
}

enum clnorm_status clnorm__kernels_create(struct clnorm_context *context,
                                          const struct clnorm__program *program,
                                          struct clnorm__step_kernels *kernels)
{
    *kernels = (struct clnorm__step_kernels){0};
    enum clnorm_status status = CLNORM_OK;
    for (unsigned i = 0; i < CLNORM_STEP_COUNT && status == CLNORM_OK; i++)
        if (program->source.kernels[i].arguments > 0)
            status =
                create_kernel(context, program, &program->source.kernels[i], &kernels->step[i]);
    if (status != CLNORM_OK)
        clnorm__kernels_release(kernels);
    return status;
}

void clnorm__kernels_release(struct clnorm__step_kernels *kernels)
{
    for (unsigned i = 0; i < CLNORM_STEP_COUNT; i++) {
        if (kernels->step[i].kernel)
            clReleaseKernel(kernels->step[i].kernel);
        kernels->step[i].kernel = NULL;
    }
}
