/*
 * A run of neighbouring shares, reduced as far as its place in the tree of all shares allows.
 *
 * The tree is binary and over the numbers of the shares: a node at level l covers 2^l shares from a
 * multiple of 2^l on, and merges its left half with its right. Shares beyond the last have no
 * values and change nothing. A run is kept as the fewest nodes that cover it, and those depend on
 * nothing but its ends. So joining neighbouring runs is associative to the last bit, though merging
 * is not.
 */
#ifndef CLNORM_MPI_RUN_H
#define CLNORM_MPI_RUN_H

#include <clnorm/moments.h>

/* Nodes of a run at most: two of each level, and one more while it grows. */
#define CLNORM__NODES_MAX 128

/* What a record is, and how two merge. */
struct clnorm__record {
    enum clnorm_operation operation; /* CLNORM_MOMENTS or CLNORM_BACKWARD_SUMS */
    enum clnorm_dtype dtype;
    int64_t channels;
    size_t bytes;
    struct clnorm_moments left, right; /* scratch */
};

struct clnorm__run {
    struct clnorm__record *record;
    int64_t shares; /* of the whole batch */
    size_t count;   /* of nodes */
    struct clnorm__node {
        int64_t first;
        int level;
    } nodes[CLNORM__NODES_MAX];
    unsigned char *records; /* of the nodes, in order; room for clnorm__run_room of them */
};

/* How many nodes the run first <= share < end is kept as. */
size_t clnorm__run_nodes(int64_t shares, int64_t first, int64_t end);

/* Records that a run of up to all the shares needs room for. */
size_t clnorm__run_room(int64_t shares);

/* Appends the run first <= share < end, whose nodes have these records, to one that ends there. */
void clnorm__run_append(struct clnorm__run *run, int64_t first, int64_t end, const void *records);

#endif
