/* ranks.h: the processes of an MPI program that share every batch. */
#ifndef RANKS_H
#define RANKS_H

#include "device.h"

struct ranks {
    struct clnorm_mpi *mpi;
    int rank, count;
    size_t first_share, shares, all_shares; /* of this rank, and of all */
    cl_mem scratch;                         /* a gradient on its way, of so many floats */
    cl_float *gradient;
    size_t room;
};

/* Cuts every batch into `shares`, as many on each rank as on any other or one more. All ranks must call these two. */
struct ranks ranks_open(size_t shares);
void ranks_close(struct ranks *ranks);

#endif
