/*
 * The .npy files of one invocation, which appear together or not at all: each is written to a
 * temporary file beside its target, and renamed only after everything has succeeded.
 */
#ifndef CLNORM_TOOLS_OUTPUTS_H
#define CLNORM_TOOLS_OUTPUTS_H

#include "npy.h"

#define OUTPUTS_MAX 8

struct output {
    const char *option; /* that named it, for messages */
    const char *path;   /* as given */
    char *target;       /* the path without links; NULL for standard output */
    char *temporary;    /* beside target; NULL when there is none */
    char *previous; /* a second name of the file that target replaced; NULL when there is none */
    int direct;     /* written in place: standard output, a pipe, a device */
    struct npy_array array; /* what to write; freed by outputs_free */
};

struct outputs {
    struct output items[OUTPUTS_MAX];
    size_t count;
};

/*
 * Takes the next item and finds out where it goes, before any work is done: refuses a folder, a
 * folder that is not there, a file that may not be written, and a target named twice. Returns the
 * exit status.
 */
int outputs_add(struct outputs *outputs, const char *option, const char *path);

/* Writes all of them. Returns the exit status; after a failure, no target has changed. */
int outputs_commit(struct outputs *outputs);

/* Frees everything; temporary files that are left are removed. */
void outputs_free(struct outputs *outputs);

#endif
