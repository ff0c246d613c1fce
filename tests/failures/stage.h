/*
 * The application that the failure sweep runs clnorm in: its own OpenCL objects, a cache directory,
 * a blob store, and problems with data and what is right for them. Its own OpenCL calls are not
 * watched by the layer. Everything here fails the test, by cmocka, when something other than the
 * library goes wrong.
 */
#ifndef CLNORM_FAILURES_STAGE_H
#define CLNORM_FAILURES_STAGE_H

#include "one_blob.h"
#include "testing.h"

/* The problems: a row of `rows` in stage.c each. */
enum work {
    WORK_FORWARD, /* one launch */
    WORK_SPLIT,   /* three launches */
    WORK_INFER,
    WORK_NOTHING, /* batch 0: no launch */
    WORK_MOMENTS,
    WORK_MERGE,
    WORK_NORMALISE,
    WORK_BACKWARD,
    WORK_BAKED,
    WORK_DOUBLE,
    WORK_COUNT
};

struct stage {
    struct clnorm_device *devices; /* all there are */
    size_t device_count;
    cl_uint platform_count;      /* some may have no devices */
    struct clnorm_device device; /* the one in use */
    cl_context opencl;
    cl_command_queue in_order, out_of_order;
    char directory[64]; /* of the disk cache: a tuning file, and programs of some works */
    char bundle[72];    /* the path of one with the program of WORK_INFER */
    cl_program image;   /* with the kernels of WORK_INFER, for plans to adopt */
    struct one_blob blob;
    struct clnorm_values inputs[WORK_COUNT], expected[WORK_COUNT];
    struct clnorm_schedule schedule[WORK_COUNT];
    struct clnorm_context *context; /* the one in use, or NULL */
    char text[1024];                /* what the library said to the last call that failed */
    char wrong[256];                /* what it did wrong though it said all is well; "": nothing */
};

struct stage *stage_open(void);
void stage_close(struct stage *stage);

/* Where programs come from. */
enum cache { CACHE_NONE, CACHE_DISK, CACHE_BLOBS, CACHE_BUNDLE };

struct clnorm_context_options stage_options(struct stage *stage, enum cache cache);

/* Files in the cache directory. */
unsigned stage_files(const struct stage *stage);

/* Makes a plan of a work in stage->context, unwatched: in memory already, it takes a moment. */
struct clnorm_plan *stage_plan(struct stage *stage, enum work work);

/* How a plan is run; 0: on the application's in-order queue, with a workspace. */
enum manner {
    MANNER_POOLED = 1,       /* the library takes the workspace */
    MANNER_OUT_OF_ORDER = 2, /* on the out-of-order queue */
    MANNER_EVENTS = 4,       /* waits for an event and gives one; always when out of order */
    MANNER_SUB_BUFFERS = 8,  /* x is a sub-buffer */
    MANNER_OVERLAP = 16,     /* y is a sub-buffer of x's memory, and overlaps x: to be refused */
    MANNER_UNWATCHED = 32,
    MANNER_ADOPTED = 64, /* the plan is made on the application's program */
    MANNER_SHARED = 128, /* tensors: devices work on the host view */
};

/*
 * Runs a plan of a work in stage->context, watched, on fresh data. Returns the library's status;
 * where that is CLNORM_OK but the results are not right, stage->wrong says so.
 */
enum clnorm_status stage_run(struct stage *stage, struct clnorm_plan *plan, enum work work,
                             unsigned manner);

/* Keeps the context's error text where the status is not CLNORM_OK; returns the status. */
enum clnorm_status stage_note(struct stage *stage, enum clnorm_status status);

#endif
