#include "report.h"

#include "load.h"
#include "message.h"

#include <cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int flush_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return BENCH_DONE;
    return bench_fail(BENCH_FAILED, "standard output: %s", strerror(errno));
}

static void print_row(const struct bench_result *const row, const double clnorm)
{
    const double median = row->times.median;
    printf("  %-16s %10.1f %10.1f %5.0f%% %5u %7.2f", row->contestant, 1e6 * median,
           1e6 * row->times.least, 100 * row->times.spread, row->times.runs,
           1e-9 * row->bytes / median);
    if (row->limit > 0)
        printf(" %7.2f", median / row->limit);
    else
        printf(" %7s", "-");
    if (clnorm > 0)
        printf(" %8.2f", median / clnorm);
    else
        printf(" %8s", "-");
    printf(" %8.1e %7u %-7s %s%s%s\n", row->error, row->threads, row->buffers, row->schedule,
           row->schedule[0] && row->variant[0] ? " on " : "", row->variant);
}

int bench_report_text(const struct bench_results *const results, const struct bench_case *const one)
{
    const struct bench_result *const clnorm = bench_results_find(results, one, "clnorm");
    printf("%s  (tensor %.2f MiB)\n  %-16s %10s %10s %6s %5s %7s %7s %8s %8s %7s %s\n", one->text,
           bench_tensor_bytes(one) / 1048576, "", "median us", "min us", "spread", "runs", "GB/s",
           "x limit", "x clnorm", "error", "threads", "buffers");
    for (size_t i = 0; i < results->count; i++)
        if (results->items[i].one == one)
            print_row(&results->items[i], clnorm ? clnorm->times.median : 0);
    if (clnorm && clnorm->times.others > BENCH_DISTURBED)
        printf("  disturbed: other processes took %.2f of a core meanwhile\n",
               clnorm->times.others);
    printf("\n");
    return flush_output();
}

/* The keys others read first, ours behind. */
static cJSON *object_of(const struct bench_result *const row)
{
    cJSON *const o = cJSON_CreateObject();
    const struct clnorm_problem *const p = &row->one->problem;
    cJSON_AddStringToObject(o, "problem", row->one->text);
    cJSON_AddStringToObject(o, "contestant", row->contestant);
    cJSON_AddStringToObject(
        o, "layout",
        strcmp(row->contestant, "onednn-blocked") == 0 ? "nChw16c" : clnorm_layout_name(p->layout));
    cJSON_AddNumberToObject(o, "median_s", row->times.median);
    cJSON_AddNumberToObject(o, "min_s", row->times.least);
    cJSON_AddNumberToObject(o, "runs", row->times.runs);
    cJSON_AddNumberToObject(o, "bytes", row->bytes);
    cJSON_AddNumberToObject(o, "threads", row->threads);
    cJSON_AddNumberToObject(o, "spread", row->times.spread);
    cJSON_AddStringToObject(o, "buffers", row->buffers);
    cJSON_AddNumberToObject(o, "error", row->error);
    cJSON_AddNumberToObject(o, "others", row->times.others);
    if (row->limit > 0) {
        cJSON_AddNumberToObject(o, "limit_s", row->limit);
        cJSON_AddBoolToObject(o, "resident", row->resident);
    }
    if (row->schedule[0])
        cJSON_AddStringToObject(o, "schedule", row->schedule);
    if (row->variant[0])
        cJSON_AddStringToObject(o, "variant", row->variant);
    return o;
}

int bench_report_json(const struct bench_results *const results, const struct bench_case *const one)
{
    for (size_t i = 0; i < results->count; i++) {
        if (results->items[i].one != one)
            continue;
        cJSON *const object = object_of(&results->items[i]);
        char *const text = cJSON_PrintUnformatted(object);
        cJSON_Delete(object);
        if (!text)
            return bench_fail(BENCH_FAILED, "out of memory while writing JSON");
        puts(text);
        cJSON_free(text);
    }
    return flush_output();
}
