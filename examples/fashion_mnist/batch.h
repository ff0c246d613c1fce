/*
 * batch.h: what is different when the rows of a batch are spread over processes. batch.c is for one process that has them
 * all; ../fashion_mnist_mpi/batch.c is for the ranks of an MPI program.
 */
#ifndef BATCH_H
#define BATCH_H

#include "device.h"

/* A forward or backward pass of batch normalization over all rows of the batch, wherever they are. */
struct pass;
struct pass *batch_pass(const struct device *device, const char *problem);
void batch_pass_run(const struct device *device, struct pass *pass,
                    const struct clnorm_arguments *arguments);
void batch_pass_release(struct pass *pass);

/* Workspace a pass takes from its arguments for this many rows, in bytes. */
size_t batch_pass_workspace(const struct pass *pass, size_t rows);

/* This process's part of a batch of so many rows. */
struct part {
    size_t first, rows; /* the first is counted from that of the batch */
};
struct part batch_part(const struct device *device, size_t rows);

/* Adds up the values of all processes, number by number. */
void batch_sum(const struct device *device, cl_float *values, size_t count);

/*
 * A step of `count` parameters against their gradient, to which each process adds what its rows contribute: it adds
 * `factor` times that to `target` between begin and end.
 */
struct step {
    cl_mem target;
    float factor;
};
struct step batch_step_begin(const struct device *device, cl_mem parameters, size_t count,
                             double rate);
void batch_step_end(const struct device *device, struct step step, cl_mem parameters, size_t count,
                    double rate);

#endif
