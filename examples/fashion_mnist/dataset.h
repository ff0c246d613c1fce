/* dataset.h: images and labels in the IDX format of MNIST, read through gzip, kept on the device. */
#ifndef DATASET_H
#define DATASET_H

#include "device.h"

enum { PIXELS = 28 * 28, CLASSES = 10 };

struct dataset {
    size_t count;
    cl_mem images; /* count x PIXELS bytes */
    cl_mem labels; /* count bytes */
    cl_mem order;  /* count row numbers (uint): the order in which batches take the images */
};

/* Reads `stem`-images-idx3-ubyte.gz and `stem`-labels-idx1-ubyte.gz in the directory; at most `limit` images, 0: all. */
struct dataset dataset_load(const struct device *device, const char *directory, const char *stem,
                            size_t limit);

/* A new order, the same for the same state of the generator. */
void dataset_shuffle(const struct device *device, const struct dataset *dataset, uint64_t *random);

void dataset_release(struct dataset *dataset);

#endif
