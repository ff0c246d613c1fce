#include "normalisation.h"

#include <stdio.h>
#include <string.h>

struct problem {
    char text[CLNORM_PROBLEM_TEXT_SIZE];
};

static struct problem problem_of(const char *operation, size_t channels, const char *flags)
{
    struct problem problem;
    snprintf(problem.text, sizeof problem.text, "%s nchw f32 ?x%zu%s", operation, channels, flags);
    return problem;
}

static struct clnorm_plan *plan_for(const struct device *device, const char *operation,
                                    size_t channels, const char *flags)
{
    return device_plan(device, problem_of(operation, channels, flags).text);
}

static struct pass *pass_for(const struct device *device, const char *operation, size_t channels,
                             const char *flags)
{
    return batch_pass(device, problem_of(operation, channels, flags).text);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* One workspace serves all plans, since they run one after the other. Zero bytes: no buffer. */
static cl_mem make_workspace(const struct device *device, const struct normalisation *layer,
                             size_t batch)
{
    const struct clnorm_plan *const plans[] = {layer->infer, layer->moments, layer->merge,
                                               layer->update};
    /* It never falls with the rows. */
    size_t most = larger(batch_pass_workspace(layer->forward, batch),
                         batch_pass_workspace(layer->backward, batch));
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++)
        if (plans[i])
            most = larger(most, clnorm_plan_workspace_size(plans[i], (int64_t)batch, 1));
    return most ? device_buffer(device, most, NULL) : NULL;
}

static cl_mem make_ones(const struct device *device, size_t count)
{
    const cl_mem memory = device_zeros(device, count);
    const cl_float one = 1;
    require_cl(clEnqueueFillBuffer(device->queue, memory, &one, sizeof one, 0, count * sizeof one,
                                   0, NULL, NULL),
               "clEnqueueFillBuffer");
    return memory;
}

struct normalisation normalisation_create(const struct device *device, size_t channels,
                                          size_t batch, size_t sets, int fused)
{
    struct normalisation layer = {
        .channels = channels,
        .forward = pass_for(device, "forward", channels, " +scale +shift +relu +running"),
        .infer = plan_for(device, "infer", channels, " +scale +shift +relu"),
        .backward = pass_for(device, "backward", channels,
                             fused ? " +scale +shift +relu +sgd" : " +scale +shift +relu"),
        .update = fused ? NULL : plan_for(device, "update", channels, " +scale +shift +sgd"),
        .moments = plan_for(device, "moments", channels, ""),
        .merge = plan_for(device, "merge", channels, ""),
        .scale = make_ones(device, channels),
        .shift = device_zeros(device, channels),
        .dscale = device_zeros(device, channels),
        .dshift = device_zeros(device, channels),
        .state = device_zeros(device, 2 * channels),
        .mean = device_zeros(device, channels),
        .invstd = device_zeros(device, channels),
        .running_mean = device_zeros(device, channels),
        .running_var = make_ones(device, channels),
        .parts = device_zeros(device, sets * 4 * channels),
        .population = device_zeros(device, 4 * channels),
        .population_var = make_ones(device, channels),
    };
    layer.workspace = make_workspace(device, &layer, batch);
    return layer;
}

static void release_buffers(const cl_mem *buffers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (buffers[i])
            clReleaseMemObject(buffers[i]);
    }
}

void normalisation_release(struct normalisation *layer)
{
    struct clnorm_plan *const plans[] = {layer->infer, layer->moments, layer->merge, layer->update};
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++)
        clnorm_plan_release(plans[i]);
    batch_pass_release(layer->forward);
    batch_pass_release(layer->backward);
    const cl_mem buffers[] = {layer->scale,    layer->shift,        layer->dscale,
                              layer->dshift,   layer->state,        layer->mean,
                              layer->invstd,   layer->running_mean, layer->running_var,
                              layer->parts,    layer->population,   layer->population_var,
                              layer->workspace};
    release_buffers(buffers, sizeof buffers / sizeof buffers[0]);
}

/* The arguments that every operation of the layer shares; the rest is ignored where it is not used. */
static struct clnorm_arguments common_arguments(const struct normalisation *layer, size_t rows)
{
    return (struct clnorm_arguments){
        .size = sizeof(struct clnorm_arguments),
        .batch = (int64_t)rows,
        .scale = {layer->scale, 0},
        .shift = {layer->shift, 0},
        .mean = {layer->mean, 0},
        .invstd = {layer->invstd, 0},
        .workspace = {layer->workspace, 0},
    };
}

void normalisation_forward(const struct normalisation *layer, const struct device *device,
                           size_t rows, cl_mem x, cl_mem y)
{
    struct clnorm_arguments arguments = common_arguments(layer, rows);
    arguments.x.memory = x;
    arguments.y.memory = y;
    arguments.running_mean.memory = layer->running_mean;
    arguments.running_var.memory = layer->running_var;
    batch_pass_run(device, layer->forward, &arguments);
}

void normalisation_backward(const struct normalisation *layer, const struct device *device,
                            size_t rows, cl_mem x, cl_mem y, cl_mem gradient, double rate)
{
    struct clnorm_arguments arguments = common_arguments(layer, rows);
    arguments.x.memory = x;
    arguments.y.memory = y;
    arguments.dy.memory = gradient;
    arguments.dx.memory = gradient; /* in place */
    arguments.dscale.memory = layer->dscale;
    arguments.dshift.memory = layer->dshift;
    arguments.state.memory = layer->state;
    arguments.optimiser.learning_rate = rate;
    batch_pass_run(device, layer->backward, &arguments);
    if (layer->update)
        device_run_plan(device, layer->update, &arguments);
}

void normalisation_infer(const struct normalisation *layer, const struct device *device,
                         enum statistics statistics, size_t rows, cl_mem x, size_t offset, cl_mem y)
{
    struct clnorm_arguments arguments = common_arguments(layer, rows);
    arguments.x = (struct clnorm_buffer){x, offset};
    arguments.y.memory = y;
    if (statistics == RUNNING) {
        arguments.mean.memory = layer->running_mean;
        arguments.var.memory = layer->running_var;
    } else { /* moments are count, mean, rest, m2 */
        arguments.mean =
            (struct clnorm_buffer){layer->population, layer->channels * sizeof(cl_float)};
        arguments.var.memory = layer->population_var;
    }
    device_run_plan(device, layer->infer, &arguments);
}

void normalisation_count(const struct normalisation *layer, const struct device *device, size_t set,
                         size_t rows, cl_mem x, size_t offset)
{
    struct clnorm_arguments arguments = common_arguments(layer, rows);
    arguments.x = (struct clnorm_buffer){x, offset};
    arguments.moments =
        (struct clnorm_buffer){layer->parts, set * 4 * layer->channels * sizeof(cl_float)};
    device_run_plan(device, layer->moments, &arguments);
}

void normalisation_merge(const struct normalisation *layer, const struct device *device,
                         size_t sets)
{
    struct clnorm_arguments arguments = common_arguments(layer, 0);
    arguments.parts.memory = layer->parts;
    arguments.sets = (int64_t)sets;
    arguments.moments.memory = layer->population;
    device_run_plan(device, layer->merge, &arguments);
    const struct argument variance[] = {{sizeof(cl_mem), &layer->population},
                                        {sizeof(cl_mem), &layer->population_var}};
    device_run(device, VARIANCE, layer->channels, 1, variance, 2);
}
