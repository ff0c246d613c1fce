#include "results.h"

#include "message.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The limit of an operation: passes that only read, then one that reads and writes. A pass less
 * where what a channel reads stays in the cache between the two.
 */
struct limit {
    unsigned reads;             /* tensors read before the last pass */
    enum bench_pattern pattern; /* of the last pass */
    double scale;               /* tensors of the last pass over those of its pattern */
};

static int fits_cache(const struct bench *const bench, const struct bench_case *const one)
{
    const struct clnorm_target *const target =
        &clnorm_context_device(bench->device[0].context)->target;
    const unsigned tensors =
        one->problem.operation == CLNORM_BACKWARD ? bench_tensors_read(&one->problem) : 1;
    const double whole = tensors * bench_tensor_bytes(one), cache = (double)target->cache;
    const int slab = one->problem.layout == CLNORM_NCHW;
    return whole <= cache * target->compute_units ||
           (slab && whole / (double)one->problem.channels <= cache);
}

static struct limit limit_of(const struct clnorm_problem *const problem, const int resident)
{
    const unsigned reads = bench_tensors_read(problem), written = bench_tensors_written(problem);
    const int backward = problem->operation == CLNORM_BACKWARD;
    return (struct limit){
        .reads = resident || problem->operation == CLNORM_INFER ? 0
                 : backward                                     ? reads
                                                                : 1,
        .pattern = backward ? BENCH_TRIAD : BENCH_COPY,
        .scale = (reads + written) / (backward ? 3.0 : 2.0),
    };
}

static int append(struct bench_results *const results, const struct bench_result *const one)
{
    if (results->count == results->capacity) {
        const size_t capacity = results->capacity ? 2 * results->capacity : 256;
        struct bench_result *const items = realloc(results->items, capacity * sizeof *items);
        if (!items)
            return bench_fail(BENCH_FAILED, "out of memory for the results");
        results->items = items;
        results->capacity = capacity;
    }
    results->items[results->count++] = *one;
    return BENCH_DONE;
}

/* The fastest of a name and pattern; NULL when there is none. */
static const struct bench_contestant *fastest(const struct bench_roster *const roster,
                                              const struct bench_times *const times,
                                              const char *const name,
                                              const enum bench_pattern pattern,
                                              const struct bench_times **const best)
{
    const struct bench_contestant *found = NULL;
    for (unsigned i = 0; i < roster->count; i++) {
        const struct bench_contestant *const it = &roster->item[i];
        if (strcmp(it->name, name) == 0 && it->pattern == pattern &&
            (!found || times[i].median < (*best)->median)) {
            found = it;
            *best = &times[i];
        }
    }
    return found;
}

/* The limit's row, of up to two patterns; 0 when the limit is not among the contestants. */
static int add_limit(struct bench_result *const row, const struct bench_roster *const roster,
                     const struct bench_times *const times)
{
    const struct limit limit = limit_of(&row->one->problem, row->resident);
    const struct bench_times *last = times, *read = NULL;
    const struct bench_contestant *const it = fastest(roster, times, "limit", limit.pattern, &last);
    if (!it || (limit.reads && !fastest(roster, times, "limit", BENCH_READ, &read)))
        return 0;
    row->times = *last;
    row->times.median = limit.scale * last->median + (read ? limit.reads * read->median : 0);
    row->times.least = limit.scale * last->least + (read ? limit.reads * read->least : 0);
    row->buffers = it->buffers;
    row->threads = it->threads;
    snprintf(row->contestant, sizeof row->contestant, "limit");
    if (read)
        snprintf(row->variant, sizeof row->variant, "%u read%s + %s", limit.reads,
                 limit.reads > 1 ? "s" : "", it->variant);
    else
        snprintf(row->variant, sizeof row->variant, "%s", it->variant);
    return 1;
}

static int is_first_of_name(const struct bench_roster *const roster, const unsigned index)
{
    unsigned i = 0;
    while (strcmp(roster->item[i].name, roster->item[index].name) != 0)
        i++;
    return i == index;
}

static int add_contestant(struct bench_results *const results, struct bench_result row,
                          const struct bench_roster *const roster,
                          const struct bench_times *const times, const char *const name)
{
    const struct bench_times *best = times;
    const struct bench_contestant *const it = fastest(roster, times, name, BENCH_NOT_LIMIT, &best);
    row.times = *best;
    row.buffers = it->buffers;
    row.threads = it->threads;
    row.error = it->error;
    memcpy(row.contestant, it->name, sizeof it->name);
    memcpy(row.variant, it->variant, sizeof it->variant);
    memcpy(row.schedule, it->schedule, sizeof it->schedule);
    return append(results, &row);
}

int bench_results_add(struct bench_results *const results, const struct bench *const bench,
                      const struct bench_case *const one, const struct bench_roster *const roster,
                      const struct bench_times *const times)
{
    const unsigned tensors =
        bench_tensors_read(&one->problem) + bench_tensors_written(&one->problem);
    const struct bench_result empty = {
        .one = one,
        .bytes = tensors * bench_tensor_bytes(one),
        .resident = fits_cache(bench, one),
    };
    struct bench_result limit = empty;
    const int limited = add_limit(&limit, roster, times);
    limit.limit = limited ? limit.times.median : 0;
    int status = limited ? append(results, &limit) : BENCH_DONE;
    for (unsigned i = 0; status == BENCH_DONE && i < roster->count; i++) {
        struct bench_result row = empty;
        row.limit = limit.limit;
        if (roster->item[i].pattern == BENCH_NOT_LIMIT && is_first_of_name(roster, i))
            status = add_contestant(results, row, roster, times, roster->item[i].name);
    }
    return status;
}

const struct bench_result *bench_results_find(const struct bench_results *const results,
                                              const struct bench_case *const one,
                                              const char *const contestant)
{
    for (size_t i = 0; i < results->count; i++)
        if (results->items[i].one == one && strcmp(results->items[i].contestant, contestant) == 0)
            return &results->items[i];
    return NULL;
}

const struct bench_result *bench_results_peer(const struct bench_results *const results,
                                              const struct bench_case *const one)
{
    const struct bench_result *const a = bench_results_find(results, one, "onednn");
    const struct bench_result *const b = bench_results_find(results, one, "pytorch");
    return !a || (b && b->times.median < a->times.median) ? b : a;
}

void bench_results_free(struct bench_results *const results)
{
    free(results->items);
    *results = (struct bench_results){.count = 0};
}
