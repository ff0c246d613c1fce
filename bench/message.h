/* What the benchmark says to people on standard error, a line at a time, and the exit status. */
#ifndef CLNORM_BENCH_MESSAGE_H
#define CLNORM_BENCH_MESSAGE_H

#include <stddef.h>

enum bench_status { BENCH_DONE = 0, BENCH_FAILED = 1, BENCH_USAGE = 2 };

#if defined(__GNUC__)
#define BENCH_PRINTF(text, rest) __attribute__((format(printf, text, rest)))
#else
#define BENCH_PRINTF(text, rest)
#endif

#define ROWS(table) (sizeof(table) / sizeof *(table))

/* Prints "clnorm-bench: " and the text as one line, and returns `status`. */
BENCH_PRINTF(2, 3) int bench_fail(enum bench_status status, const char *format, ...);

/* The same for something that is merely left out. */
BENCH_PRINTF(1, 2) void bench_note(const char *format, ...);

/* Where a long run is: lines that the next one replaces where standard error is a terminal.
 * Elsewhere steps stay, a line each, and what is between two of them is not shown. */
BENCH_PRINTF(1, 2) void bench_step(const char *format, ...);
BENCH_PRINTF(1, 2) void bench_progress(const char *format, ...);

#endif
