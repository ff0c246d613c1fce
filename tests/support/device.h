/*
 * Runs values through a plan by the public API, as a careful caller would and a careless one might:
 * every buffer stands at an odd element offset inside a larger one, and all that is not input is
 * filled with 0xFF, a NaN in every dtype.
 */
#ifndef CLNORM_VERIFY_DEVICE_H
#define CLNORM_VERIFY_DEVICE_H

#include "values.h"

/* Which output shares memory with which input. */
enum clnorm_sharing {
    CLNORM_SHARE_NONE,
    CLNORM_SHARE_Y_X,
    CLNORM_SHARE_Y_ADD,
    CLNORM_SHARE_DX_DY,
    CLNORM_SHARE_DX_X,
    CLNORM_SHARE_DADD_DY,
    CLNORM_SHARE_COUNT
};

struct clnorm_device_options {
    enum clnorm_sharing sharing; /* ignored where the problem does not use both */
    int pooled_workspace;        /* 1: no workspace given, the library takes its own */
    unsigned place;              /* varies the offsets */
    /*
     * Runs the plan, and returns when its work has finished; user is handed on. NULL: on the
     * context's queue.
     */
    enum clnorm_status (*run)(void *user, struct clnorm_plan *plan,
                              const struct clnorm_arguments *arguments);
    void *user;
};

/*
 * Runs plan on the inputs in `values` and overwrites the output slots with what the device wrote,
 * exact doubles of the stored values. Returns the library's status (CLNORM_DEVICE_FAILED also for
 * OpenCL calls made here), with a line in detail[size]. When bytes outside the outputs changed, the
 * status is CLNORM_OK and *trespass is 1, with a line as well.
 */
enum clnorm_status clnorm_device_run(struct clnorm_context *context, struct clnorm_plan *plan,
                                     struct clnorm_values *values,
                                     const struct clnorm_device_options *options, int *trespass,
                                     char *detail, size_t size);

#endif
