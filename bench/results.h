/* What was measured: a row for each case and contestant, its fastest variant's, the limit's put
 * together from its patterns. */
#ifndef CLNORM_BENCH_RESULTS_H
#define CLNORM_BENCH_RESULTS_H

#include "contestant.h"
#include "measure.h"

struct bench_result {
    const struct bench_case *one;
    char contestant[BENCH_NAME_SIZE];
    char variant[2 * BENCH_NAME_SIZE]; /* the fastest, or what the limit is made of */
    char schedule[CLNORM_SCHEDULE_TEXT_SIZE];
    const char *buffers;
    unsigned threads;
    double error;
    double bytes; /* that must move at least */
    double limit; /* seconds; 0: not measured */
    int resident; /* what a channel needs twice fits the cache, so one pass over memory will do */
    struct bench_times times;
};

struct bench_results {
    struct bench_result *items;
    size_t count, capacity;
};

/* Adds the rows of one case, those of a name together. BENCH_DONE, or BENCH_FAILED after a line. */
int bench_results_add(struct bench_results *results, const struct bench *bench,
                      const struct bench_case *one, const struct bench_roster *roster,
                      const struct bench_times *times);

/* The row of a case, or NULL. Cases are told apart by their address. */
const struct bench_result *bench_results_find(const struct bench_results *results,
                                              const struct bench_case *one, const char *contestant);

/* The faster of the peers with the case's own layout, or NULL. */
const struct bench_result *bench_results_peer(const struct bench_results *results,
                                              const struct bench_case *one);

void bench_results_free(struct bench_results *results);

#endif
