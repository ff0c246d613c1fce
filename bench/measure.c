#define _POSIX_C_SOURCE 200809L
#include "measure.h"

#include "message.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * A block's first runs find the caches as another contestant left them and threads asleep: they are
 * dropped. After a parallel region OpenMP's threads spin for some milliseconds before they sleep;
 * without the pause they would take a core from the next contestant.
 */
#define DROPPED        2
#define KEPT_LEAST     4
#define KEPT_MOST      50
#define BLOCK_SECONDS  0.01
#define PAUSE          0.010
#define RUNS_LEAST     12
#define RUNS_MOST      2000
#define VARIANT_MARGIN 1.25 /* after two rounds: slower than the best variant by this, and out */

struct sample {
    double seconds[RUNS_MOST];
    unsigned count, kept; /* so far; in each block */
    double spent;
    int out;
};

double bench_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void pause_for(const double seconds)
{
    const struct timespec time = {.tv_nsec = (long)(1e9 * seconds)};
    nanosleep(&time, NULL);
}

static int by_value(const void *const a, const void *const b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of sorted values; between neighbours on a straight line. */
static double quantile(const double *const sorted, const unsigned count, const double q)
{
    const double at = q * (count - 1);
    const unsigned below = (unsigned)at, above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

static struct bench_times summarise(const struct sample *const sample)
{
    double sorted[RUNS_MOST];
    if (sample->count == 0)
        return (struct bench_times){.median = INFINITY, .least = INFINITY};
    memcpy(sorted, sample->seconds, sample->count * sizeof *sorted);
    qsort(sorted, sample->count, sizeof *sorted, by_value);
    const double median = quantile(sorted, sample->count, 0.5);
    return (struct bench_times){
        .runs = sample->count,
        .median = median,
        .least = sorted[0],
        .spread = (quantile(sorted, sample->count, 0.75) - quantile(sorted, sample->count, 0.25)) /
                  median,
    };
}

/* Long enough to be worth switching, short enough that a round of all contestants is one moment. */
static unsigned kept_in_block(const double seconds)
{
    const double runs = BLOCK_SECONDS / fmax(seconds, 1e-9);
    return runs < KEPT_LEAST ? KEPT_LEAST : runs > KEPT_MOST ? KEPT_MOST : (unsigned)runs;
}

/* The first block: nothing of it is kept but its length. */
static int warm_up(struct bench_contestant *const it, struct sample *const sample)
{
    double seconds[DROPPED + 1];
    pause_for(PAUSE);
    const int status = it->run(it, DROPPED + 1, seconds);
    sample->kept = kept_in_block(seconds[DROPPED]);
    return status;
}

static int time_block(struct bench_contestant *const it, struct sample *const sample)
{
    double seconds[DROPPED + KEPT_MOST];
    const unsigned room = RUNS_MOST - sample->count;
    const unsigned kept = sample->kept < room ? sample->kept : room;
    pause_for(PAUSE);
    const int status = it->run(it, DROPPED + kept, seconds);
    if (status != BENCH_DONE)
        return status;
    memcpy(sample->seconds + sample->count, seconds + DROPPED, kept * sizeof *seconds);
    sample->count += kept;
    for (unsigned i = 0; i < DROPPED + kept; i++)
        sample->spent += seconds[i];
    return BENCH_DONE;
}

static int is_variant_of(const struct bench_contestant *const a,
                         const struct bench_contestant *const b)
{
    return strcmp(a->name, b->name) == 0 && a->pattern == b->pattern;
}

/* Of several variants the fastest counts; one that is clearly behind need not go on. */
static void retire(const struct bench_roster *const roster, struct sample *const samples)
{
    double least[BENCH_ROSTER_MAX]; /* two rounds are soon disturbed; the fastest run is not */
    for (unsigned i = 0; i < roster->count; i++)
        least[i] = summarise(&samples[i]).least;
    for (unsigned i = 0; i < roster->count; i++)
        for (unsigned j = 0; j < roster->count; j++)
            if (is_variant_of(&roster->item[i], &roster->item[j]) &&
                least[i] > VARIANT_MARGIN * least[j])
                samples[i].out = 1;
}

static int is_done(const struct sample *const sample, const double seconds)
{
    return sample->out || sample->count == RUNS_MOST ||
           (sample->count >= RUNS_LEAST && sample->spent >= seconds);
}

/* A block of each contestant that wants more; *wanting counts those that still do. */
static int time_round(struct bench_roster *const roster, struct sample *const samples,
                      const double seconds, unsigned *const wanting)
{
    *wanting = 0;
    for (unsigned i = 0; i < roster->count; i++) {
        if (is_done(&samples[i], seconds))
            continue;
        const int status = time_block(&roster->item[i], &samples[i]);
        if (status != BENCH_DONE)
            return status;
        *wanting += !is_done(&samples[i], seconds);
    }
    return BENCH_DONE;
}

int bench_measure(struct bench_roster *const roster, const double seconds, const char *const title,
                  struct bench_times *const times)
{
    struct sample *const samples = calloc(roster->count + 1, sizeof *samples);
    unsigned wanting = 1;
    int status = samples ? BENCH_DONE : bench_fail(BENCH_FAILED, "out of memory for the times");
    for (unsigned i = 0; status == BENCH_DONE && i < roster->count; i++)
        status = warm_up(&roster->item[i], &samples[i]);
    for (unsigned round = 1; status == BENCH_DONE && wanting; round++) {
        bench_progress("%s: round %u", title, round);
        status = time_round(roster, samples, seconds, &wanting);
        if (round == 2 && status == BENCH_DONE)
            retire(roster, samples);
    }
    for (unsigned i = 0; status == BENCH_DONE && i < roster->count; i++) {
        times[i] = summarise(&samples[i]);
        if (samples[i].out)
            times[i].median = INFINITY; /* it has too few runs to be the fastest after all */
    }
    free(samples);
    return status;
}
