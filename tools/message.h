/* What the command says to people: one line on standard error, JSON lines on standard output, and
 * the exit status. */
#ifndef CLNORM_TOOLS_MESSAGE_H
#define CLNORM_TOOLS_MESSAGE_H

#include <cJSON.h>

enum exit_status { DONE = 0, WORK_FAILED = 1, WRONG_USAGE = 2 };

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
/*
 * Prints "clnorm: " and the text as exactly one line on standard error, whatever the arguments hold (file names
 * and build logs may hold line ends), and returns `status`, so that a caller can `return fail(...)`.
 */
int fail(enum exit_status status, const char *format, ...);

/*
 * Prints the object as one line on standard output and deletes it. NULL (out of memory) and write
 * errors: fail's line.
 */
int print_json(cJSON *object);

/* DONE, or fail's line when something written to standard output did not get through. */
int finish_output(void);

#endif
