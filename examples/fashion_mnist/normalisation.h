/* normalisation.h: one batch normalization layer with relu: clnorm's plans and the buffers they work on. */
#ifndef NORMALISATION_H
#define NORMALISATION_H

#include "batch.h"

/* Whose mean and variance inference uses. */
enum statistics {
    RUNNING, /* the running averages of the batches trained on */
    POPULATION, /* exact, over the whole training set, gathered by normalisation_count and normalisation_merge */
};

struct normalisation {
    struct pass *forward, *backward;
    struct clnorm_plan *infer, *moments, *merge;
    struct clnorm_plan *update; /* NULL: the optimiser's step is fused into backward */
    cl_mem scale, shift, dscale, dshift, state, mean, invstd, running_mean, running_var;
    cl_mem parts;                      /* a set of moments for each batch of the training set */
    cl_mem population, population_var; /* merged moments, and the variance that follows from them */
    cl_mem
        workspace; /* large enough for all plans: clnorm allocates nothing while the network trains */
    size_t channels;
};

/* For batches of at most `batch` rows, at most `sets` of them in the training set. fused: see `update`. */
struct normalisation normalisation_create(const struct device *device, size_t channels,
                                          size_t batch, size_t sets, int fused);
void normalisation_release(struct normalisation *layer);

/* Training: y = relu(scale*xhat + shift) for `rows` rows; saves what backward needs, updates running statistics. */
void normalisation_forward(const struct normalisation *layer, const struct device *device,
                           size_t rows, cl_mem x, cl_mem y);

/* gradient: of y on entry, of x on return. Scale and shift take a step of gradient descent. */
void normalisation_backward(const struct normalisation *layer, const struct device *device,
                            size_t rows, cl_mem x, cl_mem y, cl_mem gradient, double rate);

/* Inference on the rows of x that start at byte `offset`. */
void normalisation_infer(const struct normalisation *layer, const struct device *device,
                         enum statistics statistics, size_t rows, cl_mem x, size_t offset,
                         cl_mem y);

/* The moments of batch number `set`, the rows of x that start at byte `offset`. */
void normalisation_count(const struct normalisation *layer, const struct device *device, size_t set,
                         size_t rows, cl_mem x, size_t offset);

/* Makes population statistics of the moments of all `sets` batches. */
void normalisation_merge(const struct normalisation *layer, const struct device *device,
                         size_t sets);

#endif
