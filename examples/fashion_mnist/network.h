/* network.h: a perceptron 784-256-256-10 with relu, its hidden layers batch-normalised or not. */
#ifndef NETWORK_H
#define NETWORK_H

#include "dataset.h"
#include "normalisation.h"

enum { LAYERS = 3, HIDDEN = LAYERS - 1 };

struct layer {
    size_t inputs, outputs;
    cl_mem weights;  /* outputs x inputs */
    cl_mem bias;     /* outputs; not for a normalised layer, whose shift does its work */
    cl_mem product;  /* batch x outputs: input times transposed weights */
    cl_mem output;   /* batch x outputs: what the next layer reads; may be `product` itself */
    cl_mem gradient; /* batch x outputs: of the loss by `product` */
};

struct network {
    const struct device *device;
    int normalised;
    size_t batch; /* rows that the buffers hold */
    struct layer layers[LAYERS];
    struct normalisation normalisations[HIDDEN]; /* unset without batch normalization */
    cl_mem input;                                /* batch x PIXELS */
    cl_mem losses, hits; /* a number for each image of a data set, in the order of its batches */
    size_t images;       /* the length of these two */
};

/* Weights are drawn from the seed (He et al. 2015), the same with and without normalisation. */
struct network network_create(const struct device *device, int normalised, size_t batch,
                              size_t images, uint64_t seed);
void network_release(struct network *network);

/* One step of gradient descent on `rows` images from number `first`; fills losses and hits of this process's part of
 * them. */
void network_train(struct network *network, const struct dataset *dataset, size_t first,
                   size_t rows, double rate);

/* Losses and hits of the images, without learning. */
void network_test(struct network *network, const struct dataset *dataset, size_t first, size_t rows,
                  enum statistics statistics);

/* The population statistics of all normalisations, layer by layer, weights frozen. */
void network_gather_statistics(struct network *network, const struct dataset *dataset);

#endif
