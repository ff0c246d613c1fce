/*
 * Times the contestants of a case in turn: a block of runs of each, and again, A B C A B C, so that
 * what disturbs the machine disturbs all of them alike.
 */
#ifndef CLNORM_BENCH_MEASURE_H
#define CLNORM_BENCH_MEASURE_H

#include "contestant.h"

struct bench_times {
    unsigned runs;
    double median, least, spread; /* seconds; spread: interquartile range over median */
    double others;                /* cores' worth of time that other processes took meanwhile */
};

/* `seconds`: to be spent on each contestant, at least; times[i] is that of roster->item[i]. `title`
 * begins the progress lines. BENCH_DONE, or BENCH_FAILED after a line. */
int bench_measure(struct bench_roster *roster, double seconds, const char *title,
                  struct bench_times *times);

#endif
