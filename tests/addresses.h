/*
 * Emitted kernels as host functions, to run single work-groups of them by hand: no device is needed
 * to see where in a tensor of more than 2^32 elements a kernel reads and writes.
 */
#ifndef CLNORM_TESTS_ADDRESSES_H
#define CLNORM_TESTS_ADDRESSES_H

#include <clnorm/codegen.h>

/* The schedule of a walk, "serial", "tile" (serial, with tiles of several channels), "group" or
 * "pipeline": 0 and a line on stderr if the problem has none. */
int address_schedule(const char *text, const char *walk, struct clnorm_problem *problem,
                     struct clnorm_schedule *schedule);

/* One work-group's launch. All buffers have one offset in elements; out is y, or dx. */
struct host_run {
    uint64_t group[3];  /* its tile and part */
    uint64_t groups[3]; /* how many there are */
    uint64_t batch, spatial, batch_step, spatial_step;
    uint64_t tile; /* channels of a tile */
    const float *x, *dy;
    float *out;
    uint64_t offset;
    float *parts;
    uint64_t first_set, sets; /* those finish merges */
    float *mean, *invstd;     /* written forward, read backward */
    float epsilon, count;     /* forward, backward */
    float *constants;
};

/* Emitted kernels. Finish does channel group[0]; with the pipeline walk each does all there is. */
void host_reduce(const struct host_run *run);
void host_finish(const struct host_run *run);
void host_map(const struct host_run *run);

#endif
