#define _POSIX_C_SOURCE 200809L
#include "tune.h"

#include <stdlib.h>
#include <time.h>

enum { ROUNDS_MAX = 500, ROUNDS_MIN = 7, ROUNDS_FIRST = 3 };

double tune_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Seconds from enqueue until finished; below 0 when it failed. */
static double time_run(struct device_run *run, struct clnorm_plan *plan)
{
    cl_command_queue const queue = clnorm_context_queue(run->context);
    cl_event done = NULL;
    const double start = tune_now();
    if (clnorm_plan_run(plan, queue, &run->arguments, 0, NULL, &done) != CLNORM_OK)
        return -1;
    const cl_int code = clWaitForEvents(1, &done); /* clFinish does not wait on rusticl 22.3 */
    const double seconds = tune_now() - start;
    clReleaseEvent(done);
    return code == CL_SUCCESS ? seconds : -1;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *times, unsigned count)
{
    qsort(times, count, sizeof *times, by_value);
    return count % 2 ? times[count / 2] : 0.5 * (times[count / 2 - 1] + times[count / 2]);
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/*
 * In turn, so that what slows the machine down for a while slows both. After some rounds the least
 * times, which noise only adds to, tell whether the second is hopeless.
 */
int duel_run(struct duel *duel, struct device_run *run, struct clnorm_plan *first,
             struct clnorm_plan *second)
{
    double a[ROUNDS_MAX], b[ROUNDS_MAX], least_a = 1e30, least_b = 1e30;
    unsigned rounds = 0;
    int go_on = time_run(run, first) >= 0 && time_run(run, second) >= 0; /* warm up */
    const double end = tune_now() + duel->seconds;
    if (!go_on)
        return 0;
    for (; go_on; rounds++) {
        a[rounds] = time_run(run, first);
        b[rounds] = time_run(run, second);
        if (a[rounds] < 0 || b[rounds] < 0)
            return 0;
        least_a = least(least_a, a[rounds]);
        least_b = least(least_b, b[rounds]);
        const int hopeless = rounds + 1 >= ROUNDS_FIRST && least_b > duel->hopeless * least_a;
        go_on =
            !hopeless && rounds + 1 < ROUNDS_MAX && (rounds + 1 < ROUNDS_MIN || tune_now() < end);
    }
    duel->first = median(a, rounds);
    duel->second = median(b, rounds);
    return 1;
}
