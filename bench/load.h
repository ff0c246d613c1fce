/* What other processes did while a case was timed: a benchmark on a busy machine measures the
 * neighbours, and contestants whose threads wait for each other suffer from them most. */
#ifndef CLNORM_BENCH_LOAD_H
#define CLNORM_BENCH_LOAD_H

#include <sys/types.h>

struct bench_load {
    double all, own, when; /* processor seconds: of everybody, of the contest; the clock */
};

/* Cores' worth that others may take before a case counts as disturbed. */
#define BENCH_DISTURBED 0.05

/* The state now; `peer` is a process that belongs to the contest, 0: none. */
struct bench_load bench_load_now(pid_t peer);

/* How many cores' worth of time others took between the two; 0 where the system does not tell. */
double bench_load_others(struct bench_load before, struct bench_load after);

#endif
