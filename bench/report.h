/* What is printed: a case when it is done, as text or as JSON lines; in the end what all cases say
 * together. */
#ifndef CLNORM_BENCH_REPORT_H
#define CLNORM_BENCH_REPORT_H

#include "results.h"

#include <stdio.h>

/* The rows of one case, on standard output. BENCH_DONE, or BENCH_FAILED after a line. */
int bench_report_text(const struct bench_results *results, const struct bench_case *one);
int bench_report_json(const struct bench_results *results, const struct bench_case *one);

/* Geometric means, worst cases, and what they come to beside what was asked (summary.c). */
void bench_summarise(const struct bench_results *results, const struct bench_cases *cases,
                     FILE *out);

/* The table as Markdown (table.c), and the picture as PNG (plot.c), into a file. BENCH_DONE, or
 * BENCH_FAILED after a line. */
int bench_table_write(const struct bench_results *results, const struct bench_cases *cases,
                      const char *path);
int bench_plot_write(const struct bench_results *results, const struct bench_cases *cases,
                     const char *axis, const char *path);

/* Host costs (latency.c), printed on standard output. BENCH_DONE, or BENCH_FAILED after a line. */
int bench_latency(const char *device, const struct bench_cases *cases, int json);

#endif
