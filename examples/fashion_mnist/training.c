#define _POSIX_C_SOURCE 200809L

#include "training.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* How often the queue is drained to say how far the work is. */
enum { STEPS_BETWEEN_REPORTS = 20 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double mean(const cl_float *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)values[i];
    return count ? sum / (double)count : 0;
}

/* A line that overwrites itself on a terminal; elsewhere only its last state is worth a line. */
static void report(const char *title, size_t done, size_t all)
{
    if (!title)
        return;
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%s: %zu of %zu images%s", title, done, all,
                done == all ? "\r\033[K" : "");
    else if (done == all)
        fprintf(stderr, "%s: %zu images done\n", title, all);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

void training_steps(struct network *network, const struct dataset *dataset, double rate,
                    const char *title)
{
    size_t steps = 0;
    device_clear(network->device, network->losses, network->images);
    for (size_t first = 0; first < dataset->count; first += network->batch) {
        network_train(network, dataset, first, least(network->batch, dataset->count - first), rate);
        if (++steps % STEPS_BETWEEN_REPORTS == 0 && first + network->batch < dataset->count) {
            device_finish(network->device);
            report(title, first + network->batch, dataset->count);
        }
    }
    device_finish(network->device);
    report(title, dataset->count, dataset->count);
}

double training_accuracy(struct network *network, const struct dataset *dataset,
                         enum statistics statistics)
{
    for (size_t first = 0; first < dataset->count; first += network->batch)
        network_test(network, dataset, first, least(network->batch, dataset->count - first),
                     statistics);
    cl_float *const hits = allocate(dataset->count * sizeof *hits);
    device_read(network->device, network->hits, dataset->count * sizeof *hits, hits);
    const double accuracy = mean(hits, dataset->count);
    free(hits);
    return accuracy;
}

void training_losses(const struct network *network, size_t count, struct epoch *epoch)
{
    cl_float *const losses = allocate(count * sizeof *losses);
    device_read(network->device, network->losses, count * sizeof *losses, losses);
    batch_sum(network->device, losses, count);
    epoch->loss = mean(losses, count);
    for (size_t i = 0; i < POINTS; i++) {
        const size_t first = i * count / POINTS, end = (i + 1) * count / POINTS;
        epoch->points[i] = mean(losses + first, end - first);
    }
    free(losses);
}

struct epoch training_epoch(struct network *network, const struct dataset *train_set,
                            const struct dataset *test_set, double rate, const char *title)
{
    struct epoch epoch = {.loss = 0};
    const double start = now();
    training_steps(network, train_set, rate, title);
    epoch.seconds = now() - start;
    training_losses(network, train_set->count, &epoch);
    epoch.accuracy[RUNNING] = epoch.accuracy[POPULATION] =
        training_accuracy(network, test_set, RUNNING);
    if (network->normalised) {
        network_gather_statistics(network, train_set);
        epoch.accuracy[POPULATION] = training_accuracy(network, test_set, POPULATION);
    }
    return epoch;
}
