/* What OpenCL implementations are known to get wrong, and what is done about it. */
#ifndef CLNORM_RUNTIME_QUIRK_H
#define CLNORM_RUNTIME_QUIRK_H

#include <clnorm/clnorm.h>

/*
 * A row of the table in quirk.c. tests/test_quirks.c has minimal reproductions of those faults that
 * are quick to show, and tells when a row is no longer needed.
 */
struct clnorm__quirk {
    const char *name;
    const char *platform, *device; /* what their names begin with; NULL: any */
    const char *options;           /* for the compiler, after the others; NULL: none */
    enum clnorm_kind kind;         /* schedules for this kind of device; AUTO: what it says it is */
    int last;                      /* 1: the choice only where there is no other device */
    int synchronous; /* 1: runs commands in the thread that enqueues or flushes them, and must not
                        wait for user events that another thread completes */
    int mute;        /* 1: callbacks for the end of a command are not called when it fails */
};

/* The next row for a device after `row` (NULL: the first one), or NULL. */
const struct clnorm__quirk *clnorm__quirk_next(const struct clnorm_device *device,
                                               const struct clnorm__quirk *row);

#endif
