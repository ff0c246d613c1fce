/*
 * One plan and a device buffer for everything it reads and writes. Functions that return int print
 * fail's line and return the exit status.
 */
#ifndef CLNORM_TOOLS_DEVICE_RUN_H
#define CLNORM_TOOLS_DEVICE_RUN_H

#include <clnorm/clnorm.h>

#define DEVICE_BUFFERS 22

/* The buffers of struct clnorm_arguments, but for workspace, by name. */
extern const struct device_buffer {
    const char *name;
    size_t offset; /* of its struct clnorm_buffer */
} device_buffers[DEVICE_BUFFERS];

struct device_run {
    struct clnorm_context *context; /* not owned */
    struct clnorm_plan *plan;
    struct clnorm_arguments
        arguments; /* extents, epsilon, momentum and the like are set by the caller */
    struct clnorm_buffer_size {
        enum clnorm_use use;
        uint64_t elements;
        size_t element_size;
        size_t bytes;
    } sizes[DEVICE_BUFFERS]; /* as clnorm_problem_buffer says */
};

/* Makes a context on the device that `selector` names (NULL: the best). cache_directory as in the
 * context's options. */
int context_open(const char *selector, enum clnorm_kind kind, const char *cache_directory,
                 struct clnorm_context **context);

/* The same by options of all kinds. */
int context_open_with(const struct clnorm_context_options *options,
                      struct clnorm_context **context);

/* fail's line when the machine has no device at all: what to install. */
int no_driver_fail(void);

/* fail's line for a call on the context that did not return CLNORM_OK. */
int context_fail(const struct clnorm_context *context, enum clnorm_status status, const char *what);

/* Makes the plan and the buffers. *run is valid for device_run_close whatever is returned. */
int device_run_open(struct device_run *run, struct clnorm_context *context,
                    const struct clnorm_problem *problem, int64_t batch, int64_t spatial);

/* The row of device_buffers with this name. */
size_t device_buffer_index(const char *name);

/* Copies sizes[index].bytes to or from the device, and waits. */
int device_run_write(struct device_run *run, size_t index, const void *data);
int device_run_read(struct device_run *run, size_t index, void *data);

/* Runs the plan and waits for it. */
int device_run_execute(struct device_run *run);

void device_run_close(struct device_run *run);

#endif
