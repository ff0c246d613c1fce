/*
 * Threads that wait for work: what a memcpy by all cores needs. For a moment after its work a
 * thread waits awake, so that the next run of a block does not pay for waking it; then it sleeps
 * and leaves the core to the next contestant.
 */
#ifndef CLNORM_BENCH_CREW_H
#define CLNORM_BENCH_CREW_H

struct bench_crew;

/* `threads` counts the caller. NULL: no threads to be had. */
struct bench_crew *bench_crew_open(unsigned threads);
void bench_crew_close(struct bench_crew *crew);

/* Calls work(user, index, threads) on every thread, index 0 on the caller's, and waits for all. */
void bench_crew_run(struct bench_crew *crew,
                    void (*work)(void *user, unsigned index, unsigned threads), void *user);

#endif
