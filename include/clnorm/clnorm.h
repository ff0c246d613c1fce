/*
 * clnorm/clnorm.h: batch normalization on OpenCL devices.
 *
 *     problem -> plan -> run on buffers, in a context (one device)
 *
 * The mathematics is that of Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network
 * Training by Reducing Internal Covariate Shift" (2015), algorithms 1 and 2. Per channel, over the
 * M = N*S values of the mini-batch:
 *
 *     mean = sum(x)/M    var = sum((x - mean)^2)/M    invstd = 1/sqrt(var + epsilon)
 *     xhat = (x - mean)*invstd    y = xhat*scale + shift [+ add] [relu]
 *     dshift = sum(dy)    dscale = sum(dy*xhat)    dx = scale*invstd*(dy - dshift/M -
 * xhat*dscale/M)
 *
 * With CLNORM_RENORM, forward is that of Ioffe, "Batch Renormalization: Towards Reducing Minibatch
 * Dependence in Batch-Normalized Models" (2017), algorithm 1: with the running statistics as they
 * are before the batch and sigma = sqrt(running_var + epsilon),
 *
 *     r = clip(1/(invstd*sigma), 1/r_max, r_max)    d = clip((mean - running_mean)/sigma, -d_max, d_max)
 *     y = (xhat*r + d)*scale + shift    dscale = sum(dy*(xhat*r + d))    dx: as above, times r
 *
 * r and d are constants to the gradient, and saved, since backward cannot make them again from
 * running statistics that have moved on. Where no limit is met, y is what infer gives with the
 * running statistics; with r_max = 1 and d_max = 0 it is plain batch normalization, bit for bit.
 * The paper begins there, and later lets them grow to 3 and 5. Without CLNORM_RUNNING the running
 * statistics are read only.
 *
 * With CLNORM_GHOST the batch is G sub-batches, `ghost` samples each in their order and the last
 * with what is left, that are normalised each by its own statistics: the ghost batches of Hoffer,
 * Hubara and Soudry, "Train longer, generalize better: closing the generalization gap in large
 * batch training of neural networks" (2017), algorithm 1. Running statistics take them one after
 * another, as if each were a batch; dscale and dshift are sums over all.
 *
 * With CLNORM_LENGTHS only the first lengths[n] of the S positions of sample n are valid, as in a
 * batch of sequences that are padded to the longest. All others are as if they were not there: they
 * are neither counted nor read, whatever they hold, and y, dx and dadd are written as 0 there. M is
 * the sum of the lengths. A length of 0 or S leaves out or takes in a whole sample.
 *
 * Conventions (other libraries differ; these are clnorm's):
 *   - momentum is the weight of the NEW value: running = (1 - momentum)*running + momentum*batch
 * (0.1 as in PyTorch and cuDNN; 1 minus the number in ONNX and Keras). Given at run time, so
 * 1/(k+1) makes a cumulative average.
 *   - The running variance is unbiased, M/(M-1), unless CLNORM_BIASED (ONNX, Keras) is set.
 *   - Saved statistics are mean and invstd, with the biased variance.
 *   - M = 1: variance 0, no unbiased correction. M = 0: success; running statistics unchanged;
 * moments, dscale, dshift and sums zero; mean zero, invstd 1/sqrt(epsilon), r one and d zero.
 *   - Statistics and parameters ("parameter type") are f32 for f16, bf16 and f32 tensors, f64 for
 * f64.
 *   - A NaN or infinity affects its own channel only.
 *   - The same input on the same device gives the same bits, every run.
 *
 * Threads: a context may be used by any number of threads at once. A plan is used by one thread at
 * a time; a second plan for the same problem is cheap. No function prints, aborts or keeps
 * process-wide state. After fork() in a process that made a context, the child's calls on it return
 * CLNORM_UNSUPPORTED (OpenCL does not survive fork); make contexts after forking.
 *
 * Errors: functions return enum clnorm_status. For those on a context, clnorm_context_error gives
 * the detail: what, where and what to do. Unless said otherwise, output arguments are untouched on
 * failure.
 */
#ifndef CLNORM_CLNORM_H
#define CLNORM_CLNORM_H

#include <clnorm/codegen.h>

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

#ifdef __cplusplus
extern "C" {
#endif

struct clnorm_context;
struct clnorm_plan;

/* ---- Devices ---- */

struct clnorm_device {
    cl_platform_id platform;
    cl_device_id device;
    char platform_name[128];
    char platform_version[128];
    char device_name[128];
    char vendor[128];
    char version[128];       /* CL_DEVICE_VERSION */
    char driver[128];        /* CL_DRIVER_VERSION */
    uint64_t memory;         /* CL_DEVICE_GLOBAL_MEM_SIZE, bytes */
    uint64_t max_allocation; /* CL_DEVICE_MAX_MEM_ALLOC_SIZE, bytes */
    uint32_t compiler;       /* 1 when it compiles source */
    uint32_t host_memory;    /* 1 when it shares the host's memory */
    struct clnorm_target target;
};

/*
 * All devices of all platforms, in platform order: the index used by device selectors. A platform
 * or device that cannot be asked what it is does not stand in the way of others: it is left out,
 * and its failure returned only when none is left. *devices is one malloc'd array that the caller
 * frees; NULL when *count is 0. Errors: CLNORM_NO_DEVICE (no platform or no device),
 * CLNORM_OUT_OF_MEMORY, CLNORM_DEVICE_FAILED.
 */
CLNORM_API enum clnorm_status clnorm_devices_list(struct clnorm_device **devices, size_t *count);

/* ---- Context: one device, its programs, pooled buffers and last error ---- */

/*
 * A store of compiled programs that the application keeps itself; called from any thread, never
 * concurrently for one context. get: returns 1 and a malloc'd blob the library frees, or 0. set:
 * returns 1 when stored; failing is harmless. Neither may make plans on the same context.
 */
struct clnorm_blob_store {
    int (*get)(void *user, const void *key, size_t key_size, void **blob, size_t *blob_size);
    int (*set)(void *user, const void *key, size_t key_size, const void *blob, size_t blob_size);
    void *user;
};

struct clnorm_context_options {
    size_t size;        /* sizeof(struct clnorm_context_options); required */
    cl_context context; /* the caller's; retained. NULL: the library makes one */
    cl_device_id
        device; /* a device of that context; NULL: its first, or, without context, the best */
    const char *device_selector; /* without device: index in clnorm_devices_list, or part of
                                    "platform device" name */
    /*
     * NULL: CLNORM_CACHE_DIR (set but empty: no disk cache), else XDG_CACHE_HOME/clnorm, else
     * HOME/.cache/clnorm, else none; relative ones are passed over. "": no disk cache.
     */
    const char *cache_directory;
    uint64_t cache_limit; /* bytes on disk before the least recently used go; 0: 256 MiB */
    struct clnorm_blob_store store; /* used instead of the disk when get or set is not NULL */
    enum clnorm_kind kind;          /* schedules for this kind of device; 0: what the device is */
    /*
     * A bundle of programs made ahead of time (clnorm_bundle_write, `clnorm compile`): the path of
     * its file, or the bytes themselves, which must stay as they are until the context is released.
     * Plans take their programs from it where it has them, and else from cache and compiler. A
     * bundle is code that will run: give only one you trust. Without device, device_selector and
     * context, the device it was made for is chosen where this machine has it.
     */
    const char *bundle;
    const void *bundle_bytes; /* used when bundle is NULL */
    size_t bundle_size;
    uint32_t bundle_only; /* 1: plans whose program the bundle lacks fail, even where cache or
                             compiler would do: how to test on any machine what is shipped */
};

/*
 * Makes a context. options NULL: the best device (one with a compiler first; GPU before CPU before
 * accelerator; of a platform's alike, the one with most compute units), default cache. Release with
 * clnorm_context_release. On failure *context is NULL and message[size] (may be NULL with size 0)
 * says why. Errors: CLNORM_INVALID_ARGUMENT, CLNORM_NO_DEVICE, CLNORM_OUT_OF_MEMORY,
 * CLNORM_DEVICE_FAILED; about the bundle CLNORM_IO_FAILED (it cannot be read, is damaged or is none)
 * and CLNORM_UNSUPPORTED (it was made for another device, driver, platform or version of clnorm:
 * all must be the same).
 */
CLNORM_API enum clnorm_status clnorm_context_create(const struct clnorm_context_options *options,
                                                    struct clnorm_context **context, char *message,
                                                    size_t size);

/* Frees everything the context owns. Plans must have been released, and work that uses its buffers
 * finished. NULL: no-op. */
CLNORM_API void clnorm_context_release(struct clnorm_context *context);

/* The OpenCL objects in use; the context keeps its reference. The queue is in-order, made by the
 * library, free to use. */
CLNORM_API cl_context clnorm_context_opencl(const struct clnorm_context *context);
CLNORM_API cl_command_queue clnorm_context_queue(const struct clnorm_context *context);
CLNORM_API const struct clnorm_device *clnorm_context_device(const struct clnorm_context *context);

/*
 * Detail of the last failed call on this context or one of its plans by any thread, "" when there
 * was none. What a call got over, such as a cached program that the driver refuses, leaves none.
 * Copies at most size bytes, zero included, and returns the full length without the zero.
 */
CLNORM_API size_t clnorm_context_error(const struct clnorm_context *context, char *text,
                                       size_t size);

/* Counters since the context was made. */
struct clnorm_statistics {
    uint64_t memory_hits;    /* programs found in memory */
    uint64_t disk_hits;      /* programs loaded from disk or the blob store */
    uint64_t builds;         /* programs compiled from source */
    uint64_t disk_rejects;   /* cache entries found damaged, foreign or refused by the driver, and
                                replaced */
    uint64_t disk_failures;  /* entries that could not be written */
    uint64_t disk_evictions; /* entries removed to keep within cache_limit */
    uint64_t pool_bytes;     /* device memory the pool holds now, in use or not */
    uint64_t pool_peak;      /* the most it held */
    uint64_t pool_hits;      /* buffers handed out again */
    uint64_t tuning_hits;    /* schedules taken from tuning */
    uint64_t tuning_ignored; /* lines of the tuning file (or the whole of it) that could not be
                                used, and schedules there that a problem could not take */
    uint64_t bundle_hits;    /* programs taken from the bundle */
};
CLNORM_API struct clnorm_statistics clnorm_context_statistics(const struct clnorm_context *context);

/* ---- Plan: a problem bound to a context ---- */

struct clnorm_plan_options {
    size_t size;                            /* sizeof(struct clnorm_plan_options); required */
    const struct clnorm_schedule *schedule; /* NULL: the bundle's, else from tuning, else the
                                               library's choice; copied */
    /*
     * A program of yours, built for the context's device in its cl_context, that has the kernels of
     * the problem among others: made from the text of clnorm_image_join, or from a binary of such a
     * text, as an FPGA's image is. Retained. NULL: clnorm gets its own. Kernels are found by the
     * names that clnorm_image_kernel gives, so that kernels of another problem, schedule or version
     * are never run for these. `schedule` is the one the text was emitted under; NULL: the
     * library's choice for this device, whatever tuning says.
     */
    cl_program program;
};

/*
 * Makes a plan: emits source, gets the program from memory, the bundle, disk or the compiler, and
 * warms it up, so that the first run is as fast as any other. May compile for a second. A program
 * of the bundle serves when its problem is this one, or has `?` where this one has a number; the
 * one with the fewest `?` does. Given a schedule, it must be of this very problem and schedule.
 * options may be NULL. Release with clnorm_plan_release, before the context. Errors:
 * CLNORM_INVALID_ARGUMENT, CLNORM_UNSUPPORTED (f64 without cl_khr_fp64; no compiler, or only the
 * bundle to be used, and the bundle lacks it: the detail has the command that adds it),
 * CLNORM_OUT_OF_MEMORY, CLNORM_BUILD_FAILED, CLNORM_DEVICE_FAILED (also: the driver refuses what
 * the bundle has).
 */
CLNORM_API enum clnorm_status clnorm_plan_create(struct clnorm_context *context,
                                                 const struct clnorm_problem *problem,
                                                 const struct clnorm_plan_options *options,
                                                 struct clnorm_plan **plan);

/* Work that was enqueued with the plan may still be running. NULL: no-op. */
CLNORM_API void clnorm_plan_release(struct clnorm_plan *plan);

CLNORM_API const struct clnorm_problem *clnorm_plan_problem(const struct clnorm_plan *plan);
CLNORM_API const struct clnorm_schedule *clnorm_plan_schedule(const struct clnorm_plan *plan);
CLNORM_API const struct clnorm_source *clnorm_plan_source(const struct clnorm_plan *plan);

/* Bytes of workspace a run with these extents needs; for extents the problem fixes, any value is
 * ignored. It never falls as an extent grows: what is enough for the largest batch is enough. */
CLNORM_API size_t clnorm_plan_workspace_size(const struct clnorm_plan *plan, int64_t batch,
                                             int64_t spatial);

/* A place in device memory: a buffer and a byte offset, a multiple of the element size. memory
 * NULL: not given. */
struct clnorm_buffer {
    cl_mem memory;
    size_t offset;
};

/* Hyper-parameters of one optimiser step (flags CLNORM_SGD, CLNORM_ADAM). */
struct clnorm_optimiser {
    double learning_rate; /* >= 0 */
    double weight_decay; /* >= 0; added to the gradient times the parameter, as L2 regularisation */
    /* SGD: velocity = momentum*velocity + gradient; parameter -= learning_rate*velocity */
    double momentum;
    double beta1;   /* Adam (Kingma and Ba 2014, algorithm 1); 0: 0.9 */
    double beta2;   /* 0: 0.999 */
    double epsilon; /* added to sqrt(second moment); 0: 1e-8 */
    uint64_t step;  /* Adam: 1 for the first step, counted by the caller */
};

/*
 * What a run reads and writes. Give what the operation and flags name (clnorm_problem_buffer
 * tells); the rest is ignored. T: N*C*S elements in the problem's dtype and layout. P: C parameters.
 * Buffers may share one cl_mem. A tensor that is written may be the very same memory as a tensor
 * that is read (in place); any other overlap of something written with anything else is refused.
 */
struct clnorm_arguments {
    size_t size;                         /* sizeof(struct clnorm_arguments); required */
    int64_t batch;                       /* N, where the problem says CLNORM_ANY; >= 0 */
    int64_t spatial;                     /* S, likewise */
    struct clnorm_buffer x;              /* T in */
    struct clnorm_buffer y;              /* T out; backward with relu: in, what forward wrote */
    struct clnorm_buffer add;            /* T in */
    struct clnorm_buffer dy;             /* T in */
    struct clnorm_buffer dx;             /* T out */
    struct clnorm_buffer dadd;           /* T out: dy after relu */
    struct clnorm_buffer scale, shift;   /* P in; in and out with an optimiser */
    struct clnorm_buffer dscale, dshift; /* P out; in for update */
    /* P: out of forward and normalise, in of infer and backward (mean), of backward (invstd); with
     * ghost G*P, those of the first sub-batch first */
    struct clnorm_buffer mean, invstd;
    struct clnorm_buffer var; /* P in: biased or unbiased as the caller keeps it (infer) */
    struct clnorm_buffer running_mean, running_var; /* P in and out; with renorm alone P in */
    /* Renorm, P: out of forward and normalise, in of backward and input-gradient (renorm_d for
     * dscale only) */
    struct clnorm_buffer renorm_r, renorm_d;
    /*
     * Moments, 4*P out: count[C], mean[C], rest[C], m2[C]. The mean is the sum mean + rest, the
     * nearest float and what it lacks; m2 is the sum of squared deviations from it. The count is
     * exact up to 2^24 in f32 (2^53 in f64), and beyond rounded to nearest by every merge.
     */
    struct clnorm_buffer moments;
    struct clnorm_buffer sums; /* 2*P out: sum of dy [C], sum of dy*xhat [C] */
    /* `sets` moments or sums in, one after the other, merged in this order */
    struct clnorm_buffer parts;
    /*
     * Optimiser state in and out, zero before the first step. SGD: velocity. Adam: first, then
     * second moment. P each; those of scale first, then those of shift.
     */
    struct clnorm_buffer state;
    /* Lengths, N in, uint32_t each: how many of the S positions of a sample are valid; more than S
     * are S */
    struct clnorm_buffer lengths;
    /*
     * Scratch of clnorm_plan_workspace_size bytes for this run alone. Not given: taken from the
     * context's pool, which may allocate and takes a lock.
     */
    struct clnorm_buffer workspace;
    int64_t sets;    /* how many sets `parts` holds; 0: 1 */
    double epsilon;  /* added to the variance; 0: 1e-5. For none at all give 1e-300 */
    double momentum; /* weight of the new value in running statistics, 0 < momentum <= 1; 0: 0.1 */
    double count;    /* input-gradient: M of the whole batch the sums are of; 0: N*S, or with
                        lengths the sum of these */
    double r_max;    /* renorm: limit of r and of 1/r, 1 or more; 0: 1 */
    double d_max;    /* renorm: limit of |d|, 0 or more */
    struct clnorm_optimiser optimiser;
};

/* What one of the buffers of struct clnorm_arguments is to a plan. */
enum clnorm_use { CLNORM_UNUSED, CLNORM_READ, CLNORM_WRITTEN, CLNORM_READ_WRITTEN };

/*
 * How a problem uses the buffer called `name` ("x", "running_mean", ...), and with *elements not
 * NULL how many elements of *element_size bytes it must hold, for N = batch, S = spatial and `sets`
 * parts. Unknown names are unused.
 */
CLNORM_API enum clnorm_use clnorm_problem_buffer(const struct clnorm_problem *problem,
                                                 const char *name, int64_t batch, int64_t spatial,
                                                 int64_t sets, uint64_t *elements,
                                                 size_t *element_size);

/*
 * Enqueues the plan's kernels on a queue of the context's cl_context and device, in-order or
 * out-of-order, after the `waits` events of wait[]; *event (unless event is NULL) is the caller's
 * to release and completes with the last kernel. The queue is flushed once; nothing is waited for.
 * Given a workspace, nothing is allocated and no lock is taken. Buffers must stay as they are until
 * the work has finished. When OpenCL fails, some of the work may be enqueued all the same: what
 * the plan writes is undefined then. Errors: CLNORM_INVALID_ARGUMENT (the detail names the
 * argument), CLNORM_OUT_OF_MEMORY, CLNORM_DEVICE_FAILED.
 */
CLNORM_API enum clnorm_status clnorm_plan_run(struct clnorm_plan *plan, cl_command_queue queue,
                                              const struct clnorm_arguments *arguments,
                                              cl_uint waits, const cl_event *wait, cl_event *event);

/* ---- Buffers: the context's pool ---- */

/*
 * A buffer of at least `bytes` bytes for work on `queue`, new or used before: handed out again at
 * once to the in-order queue it was last used on, and to any queue once the event it was given back
 * with is complete; nothing ever has to be waited for. Out of device memory: unused pool buffers
 * are freed and the allocation tried once more. Give back with clnorm_pool_release. Errors:
 * CLNORM_INVALID_ARGUMENT (0 bytes, no queue), CLNORM_OUT_OF_MEMORY, CLNORM_DEVICE_FAILED.
 */
CLNORM_API enum clnorm_status clnorm_pool_acquire(struct clnorm_context *context, size_t bytes,
                                                  cl_command_queue queue, cl_mem *memory);

/*
 * Gives a buffer back while work on it may still run on `queue`; `last` is the event after which
 * that is done (retained; NULL: not known). Without an event it serves the same in-order queue
 * only; without either it is freed. Memory that is not of the pool: CLNORM_INVALID_ARGUMENT.
 */
CLNORM_API enum clnorm_status clnorm_pool_release(struct clnorm_context *context, cl_mem memory,
                                                  cl_command_queue queue, cl_event last);

/* Frees all pooled buffers that are not in use. */
CLNORM_API void clnorm_pool_trim(struct clnorm_context *context);

/* ---- The disk cache, for tools ---- */

struct clnorm_cache_entry {
    const char *path;    /* of the file */
    const char *problem; /* canonical problem text, "" when damaged */
    const char *device;  /* device name, "" when damaged */
    uint64_t bytes;
    int64_t used; /* when it was last used, seconds since 1970 */
    int valid;    /* 0: damaged, or of another version */
};

/*
 * The directory a context with `directory` as cache_directory uses, into path[size].
 * CLNORM_IO_FAILED when there is none, CLNORM_INVALID_ARGUMENT when path is too small,
 * CLNORM_OUT_OF_MEMORY.
 */
CLNORM_API enum clnorm_status clnorm_cache_directory(const char *directory, char *path,
                                                     size_t size);

/*
 * Calls visit for each entry in the directory (absolute path), checked byte for byte; a visit that
 * returns other than 0 ends it; least recently used first. Nothing is changed or removed. A missing
 * directory has no entries. Errors: CLNORM_INVALID_ARGUMENT (a relative directory, NULL),
 * CLNORM_IO_FAILED, CLNORM_OUT_OF_MEMORY.
 */
CLNORM_API enum clnorm_status
clnorm_cache_visit(const char *directory,
                   int (*visit)(void *user, const struct clnorm_cache_entry *entry), void *user);

/*
 * Removes all entries and what killed writers left, but no file the cache did not make; *removed
 * (NULL is fine) counts the entries. Errors: CLNORM_INVALID_ARGUMENT (a relative directory, NULL),
 * CLNORM_IO_FAILED, CLNORM_OUT_OF_MEMORY.
 */
CLNORM_API enum clnorm_status clnorm_cache_clear(const char *directory, size_t *removed);

/* ---- Tuning: schedules found to be faster than the default ones ---- */

/*
 * Plans made without a schedule take the one that tuning has for the problem's class
 * (clnorm_problem_class) on this device, driver and platform, where it is legal for the problem and
 * fits the device. A context reads the file `tuning.txt` in its cache directory once, when it first
 * needs it; without a disk cache, tuning lives as long as the context. The file is text, an entry a
 * line, for people to read, edit, carry and delete; lines that make no sense are passed over and
 * counted (struct clnorm_statistics), and a file that others can write to is not read at all.
 * Contexts made with options.kind, for another kind of device, have no tuning.
 */

/*
 * Stores a schedule that runs the problem in so many seconds, in place of what there is for the
 * problem's class, in the context and in the file; lines of other devices and of other classes stay
 * as they are. Of two processes that write at the same moment the last one wins. Errors:
 * CLNORM_INVALID_ARGUMENT, CLNORM_UNSUPPORTED (the device does not take the schedule),
 * CLNORM_IO_FAILED (the detail says why), CLNORM_OUT_OF_MEMORY; nothing was changed then.
 */
CLNORM_API enum clnorm_status clnorm_tuning_set(struct clnorm_context *context,
                                                const struct clnorm_problem *problem,
                                                const struct clnorm_schedule *schedule,
                                                double seconds);

/* Removes what there is for the problem's class. Errors as above; nothing to remove is none. */
CLNORM_API enum clnorm_status clnorm_tuning_remove(struct clnorm_context *context,
                                                   const struct clnorm_problem *problem);

/* 1 and the schedule a plan of the problem would take from tuning, or 0. seconds may be NULL. */
CLNORM_API int clnorm_tuning_get(struct clnorm_context *context,
                                 const struct clnorm_problem *problem,
                                 struct clnorm_schedule *schedule, double *seconds);

struct clnorm_tuning_entry {
    unsigned line;       /* its number in the file, from 1; 0: the file as a whole */
    const char *ignored; /* why the line, or the file, is passed over; NULL for an entry */
    const char *device, *driver, *platform;
    const char *problem;                    /* canonical text of the class */
    const struct clnorm_schedule *schedule; /* NULL when ignored */
    double seconds;
};

/*
 * Calls visit for each entry and each damaged line of the tuning file in the directory (absolute
 * path), in order; a visit that returns other than 0 ends it. A missing file has none. Errors:
 * CLNORM_INVALID_ARGUMENT (a relative directory, NULL).
 */
CLNORM_API enum clnorm_status
clnorm_tuning_visit(const char *directory,
                    int (*visit)(void *user, const struct clnorm_tuning_entry *entry), void *user);

/*
 * Removes the tuning file; *removed (NULL is fine) counts its entries. Errors:
 * CLNORM_INVALID_ARGUMENT (a relative directory, NULL), CLNORM_IO_FAILED.
 */
CLNORM_API enum clnorm_status clnorm_tuning_clear(const char *directory, size_t *removed);

/* ---- Bundles: programs made ahead of time, in one file ---- */

/*
 * Writes the programs of plans of this context into a bundle, which context options can name later,
 * on this device or one that is the same in all its strings, its driver's and its platform's. A
 * plan's program is the one that serves it, which may have `?` where the problem has numbers. Plans
 * on one cl_program (options.program) share one binary there. The file is complete or as it was
 * before. Errors: CLNORM_INVALID_ARGUMENT, CLNORM_IO_FAILED, CLNORM_OUT_OF_MEMORY,
 * CLNORM_UNSUPPORTED (more than 1 GiB), CLNORM_DEVICE_FAILED (the driver gives no binary).
 */
CLNORM_API enum clnorm_status clnorm_bundle_write(struct clnorm_context *context,
                                                  struct clnorm_plan *const *plans, size_t count,
                                                  const char *path);

/* A program in a bundle. */
struct clnorm_bundle_entry {
    const char *library; /* clnorm_version() of the library that wrote the bundle */
    const char *platform, *device, *driver;
    const struct clnorm_problem *problem; /* serves every extent where it has `?` */
    const struct clnorm_schedule *schedule;
    const char *kernels;  /* their names, a blank between them, in the order of enum clnorm_step */
    size_t image;         /* number of the binary it is in, from 0 */
    uint64_t image_bytes; /* size of that binary */
    const char *image_digest; /* its XXH3-128, in hexadecimal */
    int valid;                /* 0: this library emits another text for it, and would not use it */
};

/*
 * Calls visit for each program of the bundle in a file, which is checked byte for byte first; a
 * visit that returns other than 0 ends it. Errors, with one line in message[size]:
 * CLNORM_INVALID_ARGUMENT (NULL), CLNORM_IO_FAILED and CLNORM_UNSUPPORTED as for a context given
 * the bundle, but for its device, CLNORM_OUT_OF_MEMORY.
 */
CLNORM_API enum clnorm_status
clnorm_bundle_visit(const char *path,
                    int (*visit)(void *user, const struct clnorm_bundle_entry *entry), void *user,
                    char *message, size_t size);

#ifdef __cplusplus
}
#endif

#endif
