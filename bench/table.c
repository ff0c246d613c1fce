/* table.c: the results as a Markdown table, a row a case. */
#include "message.h"
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A contestant's time in microseconds, and how many times clnorm's it is. */
static void print_time(const struct bench_results *const results,
                       const struct bench_case *const one, const char *const name, FILE *const out)
{
    const struct bench_result *const row = bench_results_find(results, one, name);
    const struct bench_result *const clnorm = bench_results_find(results, one, "clnorm");
    if (!row)
        fprintf(out, " |");
    else if (clnorm)
        fprintf(out, " %.0f (%.2f) |", 1e6 * row->times.median,
                row->times.median / clnorm->times.median);
    else
        fprintf(out, " %.0f |", 1e6 * row->times.median);
}

static void print_case(const struct bench_results *const results,
                       const struct bench_case *const one, FILE *const out)
{
    static const char *const others[] = {"limit", "onednn", "onednn-blocked", "pytorch"};
    const struct bench_result *const clnorm = bench_results_find(results, one, "clnorm");
    const struct clnorm_problem *const p = &one->problem;
    const size_t dims = strcspn(one->dims, " ");
    fprintf(out, "| %s | %s | %s | %.*s | %.2f |", clnorm_operation_name(p->operation),
            clnorm_layout_name(p->layout), clnorm_dtype_name(p->dtype), (int)dims, one->dims,
            bench_tensor_bytes(one) / 1048576);
    if (clnorm)
        fprintf(out, " %.0f | %.1f |", 1e6 * clnorm->times.median,
                1e-9 * clnorm->bytes / clnorm->times.median);
    else
        fprintf(out, " | |");
    for (size_t i = 0; i < ROWS(others); i++)
        print_time(results, one, others[i], out);
    fprintf(out, "\n");
}

int bench_table_write(const struct bench_results *const results,
                      const struct bench_cases *const cases, const char *const path)
{
    FILE *const out = fopen(path, "w");
    if (!out)
        return bench_fail(BENCH_FAILED, "--table: %s: %s", path, strerror(errno));
    fprintf(out, "Median microseconds; in brackets, times clnorm's.\n\n"
                 "| operation | layout | type | N x C x spatial | MiB | clnorm | GB/s | limit | "
                 "oneDNN | oneDNN nChw16c | PyTorch |\n"
                 "|---|---|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < cases->count; i++)
        print_case(results, &cases->items[i], out);
    fprintf(out, "\n```\n");
    bench_summarise(results, cases, out);
    fprintf(out, "```\n");
    const int failed = ferror(out);
    if (fclose(out) != 0 || failed)
        return bench_fail(BENCH_FAILED, "--table: %s: %s", path, strerror(errno));
    return BENCH_DONE;
}
