/* Tells the process that made something from its forked children, in a few nanoseconds. */
#ifndef CLNORM_RUNTIME_PROCESS_H
#define CLNORM_RUNTIME_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

struct clnorm__process {
    pid_t id;
    const volatile unsigned char *mark; /* a page of its own that forking wipes, or NULL */
    size_t size;                        /* of it */
};

/* The calling process. Cannot fail. */
struct clnorm__process clnorm__process_open(void);

/* 1 in that process, 0 in a child of it. */
int clnorm__process_is_own(const struct clnorm__process *process);

void clnorm__process_close(struct clnorm__process *process);

#endif
