/*
 * What to time: problems, each with the extents of every dimension. A line holds one problem, or
 * several: each of its first four words may name alternatives, parted by commas, and stands for all
 * their products: "forward,infer nchw,nhwc f32 32x64x56x56,8x3x224x224 +scale +shift".
 */
#ifndef CLNORM_BENCH_CASES_H
#define CLNORM_BENCH_CASES_H

#include <clnorm/codegen.h>

#define BENCH_RANK_MAX  8
#define BENCH_TEXT_SIZE 256

struct bench_case {
    struct clnorm_problem problem;
    char text[BENCH_TEXT_SIZE]; /* the problem with its dims as they were given */
    const char *dims;           /* in text */
    unsigned rank;
    int64_t dim[BENCH_RANK_MAX]; /* N, C, spatial */
};

struct bench_cases {
    struct bench_case *items;
    size_t count, capacity;
};

/* Append the problems of a line; `place` is where it stands, for messages. BENCH_DONE, or a line
 * and the exit status. Comments ('#' to the end) and blank lines have none. */
int bench_cases_add(struct bench_cases *cases, const char *line, const char *place);

/* The same for each line of a file. */
int bench_cases_read(struct bench_cases *cases, const char *path);

void bench_cases_free(struct bench_cases *cases);

/* Bytes of one tensor, and how many tensors the operation reads and writes at least. */
double bench_tensor_bytes(const struct bench_case *one);
unsigned bench_tensors_read(const struct clnorm_problem *problem);
unsigned bench_tensors_written(const struct clnorm_problem *problem);

#endif
