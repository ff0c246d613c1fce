/*
 * clnorm/tensor.h: data that is wherever it is needed, on the host and on several devices.
 *
 *     tensor -> acquire a range of its samples in a context -> use the cl_mem -> release
 *
 * A tensor is `samples` samples of `sample_bytes` bytes, one after the other: the batch dimension
 * outermost, as in nchw and in nhwc. It has one view on the host and a copy in each context that
 * ever asked for one. For each sample a copy is
 *
 *     invalid    its bytes mean nothing
 *     shared     it has the newest values, and so have others
 *     owner      it alone has the newest values
 *
 * which is the MSI protocol (modified, shared, invalid) in the form of StarPU (Augonnet et al.,
 * "StarPU: a unified platform for task scheduling on heterogeneous multicore architectures", 2011,
 * section 3): reading makes a copy shared, writing makes it the owner and the others invalid.
 * States are kept for ranges of samples, not for the tensor as a whole: contexts can own disjoint
 * parts of one batch, with no sub-buffers, and a copy takes device memory for the ranges asked for
 * only. Bytes move when an access needs them, or before, when clnorm_tensor_prefetch says so.
 *
 * Where bytes go. Between two contexts, of one platform or of two, they go through the host view,
 * which has them too then. A device that shares the host's memory (CL_DEVICE_HOST_UNIFIED_MEMORY)
 * works on the host view itself, when that lies at a multiple of 4096 and has a multiple of 64
 * bytes, as a view made by the library always has: nothing is copied then, mapping and unmapping
 * hands it over. clnorm_tensor_statistics counts the bytes that did move.
 *
 * Order. Nothing but acquiring for the host, releasing a tensor, and running out of device memory
 * waits (and a moment, the first time a context is found to share memory). Transfers are enqueued
 * on a queue of their own, so that they overlap with kernels, and wait for the commands they depend
 * on by events; across contexts, where OpenCL knows no common events,
 * by a callback of the one that completes a user event of the other. One host thread that acquires,
 * enqueues and releases keeps any number of devices busy. (Devices that run commands in the thread
 * that enqueues them, as Oclgrind and PoCL's `basic` do, wait there for those of others, too.)
 *
 * Threads: every function may be called from any thread at any time, but for the release of a
 * tensor. An access belongs to one thread at a time. No function waits for another thread: a range
 * that cannot be had is an error.
 *
 * Errors: clnorm_tensor_error has the detail of the last failed call on a tensor. A call that fails
 * changes no values: what was newest still is, wherever it is.
 */
#ifndef CLNORM_TENSOR_H
#define CLNORM_TENSOR_H

#include <clnorm/clnorm.h>

#ifdef __cplusplus
extern "C" {
#endif

struct clnorm_tensor;

/* ---- Making ---- */

struct clnorm_tensor_options {
    size_t size; /* sizeof(struct clnorm_tensor_options); required */
    /*
     * What a sample is. Either a problem, whose tensors x, y, dy, dx, add and dadd it fits: the
     * channels times `spatial` elements of its dtype, and `batch` of them; each is used where the
     * problem has CLNORM_ANY, and the problem's own number else. Or NULL and plain bytes.
     */
    const struct clnorm_problem *problem;
    int64_t batch;         /* with problem; >= 0 */
    int64_t spatial;       /* with problem; >= 0 */
    uint64_t samples;      /* without problem; may be 0 */
    uint64_t sample_bytes; /* without problem; may be 0. A multiple of the element size, so that
                              offsets are */
    /*
     * The host view: samples * sample_bytes bytes of the caller's, with the first values of the
     * tensor, left alone by the caller but through an access until the tensor is released. They
     * have the newest values only while they are acquired. NULL: the library's own, at a multiple
     * of 4096, all zero.
     */
    void *host;
};

/*
 * Makes a tensor; nothing is in any device yet. Release with clnorm_tensor_release. On failure
 * *tensor is NULL and message[size] (may be NULL with size 0) says why. Errors:
 * CLNORM_INVALID_ARGUMENT (also: more than 2^60 bytes), CLNORM_OUT_OF_MEMORY.
 */
CLNORM_API enum clnorm_status clnorm_tensor_create(const struct clnorm_tensor_options *options,
                                                   struct clnorm_tensor **tensor, char *message,
                                                   size_t size);

/*
 * Waits for all work on the tensor and frees it, its copies included; accesses that were not
 * released end. The caller's host view then has the newest values only where it had them: acquire
 * it for reading first. Before the contexts it was used in are released. Nobody else may use the
 * tensor any more. Where OpenCL fails to wait, as for a lost device, all is freed none the less.
 * NULL: no-op.
 */
CLNORM_API void clnorm_tensor_release(struct clnorm_tensor *tensor);

CLNORM_API uint64_t clnorm_tensor_samples(const struct clnorm_tensor *tensor);
CLNORM_API uint64_t clnorm_tensor_sample_bytes(const struct clnorm_tensor *tensor);

/* Detail of the last failed call on this tensor by any thread, "" when there was none. Copies and
 * returns as clnorm_context_error does. */
CLNORM_API size_t clnorm_tensor_error(const struct clnorm_tensor *tensor, char *text, size_t size);

/* ---- Access ---- */

enum clnorm_access_mode {
    CLNORM_ACCESS_READ = 1,
    CLNORM_ACCESS_WRITE = 2, /* every byte of the range will be written: old values are not moved */
    CLNORM_ACCESS_READ_WRITE = 3
};

/*
 * A range of samples in one place, from clnorm_tensor_acquire to clnorm_access_release or
 * clnorm_access_abandon. All zero: no access, which both take and leave alone. To be read only; it
 * may be copied as long as one copy is released.
 */
struct clnorm_access {
    struct clnorm_buffer
        buffer; /* in a context: the first sample of the range; the others follow */
    void *host; /* on the host: likewise */
    /*
     * In a context: the commands that use the buffer must wait for it; of the context's cl_context;
     * NULL: nothing to wait for. Released with the access.
     */
    cl_event ready;
    uint64_t first, count;        /* the range */
    struct clnorm_tensor *tensor; /* NULL: no access */
    uint64_t hold;                /* the library's */
};

/*
 * Acquires samples first to first + count - 1 in a context, or on the host (context NULL).
 *
 * In a context: *access has the cl_mem and the byte offset, and the event to wait for; transfers
 * that are needed have been enqueued and flushed, and nothing is waited for. On the host: returns
 * when the pointer may be used (prefetching to the host first gives other work the time meanwhile).
 * Outside the range, the memory is not to be touched.
 *
 * Any number of accesses may read the same samples at once, anywhere; one that writes has its
 * samples to itself, and for reading and writing them in one kernel (in place) it takes one access
 * of CLNORM_ACCESS_READ_WRITE. Disjoint ranges have nothing to do with each other, with one
 * exception: a context that has parts of a range in several pieces of memory joins them, and can do
 * that only while none of them is acquired there. Acquire or prefetch the whole before the parts.
 *
 * Values change, for everybody else, when an access that writes is released. count 0 is fine: no
 * memory, no event, nothing to wait for.
 *
 * Out of device memory: the context's pool is trimmed, then copies of this tensor that are not in
 * use leave the context (those that are owners go to the host first, which is waited for), and the
 * allocation is tried again.
 *
 * Errors, *access then being all zero: CLNORM_INVALID_ARGUMENT (a range outside the tensor, a mode
 * that is none, samples that another access excludes: the detail says which and where),
 * CLNORM_OUT_OF_MEMORY, CLNORM_DEVICE_FAILED (an OpenCL call; or the samples are lost, because the
 * command that wrote them has failed: acquire them for writing, to give new values),
 * CLNORM_UNSUPPORTED (after fork).
 */
CLNORM_API enum clnorm_status clnorm_tensor_acquire(struct clnorm_tensor *tensor,
                                                    struct clnorm_context *context, uint64_t first,
                                                    uint64_t count, enum clnorm_access_mode mode,
                                                    struct clnorm_access *access);

/*
 * Ends an access. In a context `last` is an event of the context's cl_context after which all
 * commands that use the buffer are done (retained; its queue is flushed); NULL: they are done
 * already, or there are none. On the host it is NULL. The samples an access was to write have the
 * new values from here on: later accesses wait for `last`. Should the command of `last` fail, the
 * samples it was to write are lost, and every attempt to read them an error; who must be able to
 * fall back on the old values waits for `last` before, and abandons the access. *access becomes all
 * zero. Errors: CLNORM_INVALID_ARGUMENT (`last` is of another cl_context, or given on the host: the
 * access goes on), CLNORM_DEVICE_FAILED (the command of `last` has failed already, or it cannot be
 * told when it is done: the access has been abandoned, as started).
 */
CLNORM_API enum clnorm_status clnorm_access_release(struct clnorm_access *access, cl_event last);

/*
 * Ends an access whose commands failed or were never enqueued: an access that writes has not
 * happened then. Its samples have the values they had before where another place still has them; if
 * none has, they keep the values the memory has when nothing was enqueued (started 0), and are lost
 * otherwise. Commands that did start must be done. *access becomes all zero.
 */
CLNORM_API void clnorm_access_abandon(struct clnorm_access *access, int started);

/* ---- Placement ---- */

/*
 * Starts to move the samples to a context, or to the host (context NULL), so that an access for
 * reading finds them there; nothing is waited for. Samples that an access is writing: an error.
 * Errors as for acquiring.
 */
CLNORM_API enum clnorm_status clnorm_tensor_prefetch(struct clnorm_tensor *tensor,
                                                     struct clnorm_context *context, uint64_t first,
                                                     uint64_t count);

/*
 * Makes the samples invalid in a context; those that are only there go to the host first, and are
 * lost if that transfer fails later: acquire them on the host to be sure of it. Device memory with no valid samples left goes back to the context's pool, from which
 * clnorm_pool_trim(context) frees it. Samples that are acquired there: CLNORM_INVALID_ARGUMENT. A
 * context that never had the tensor: nothing to do. The host view cannot be evicted (context NULL:
 * CLNORM_INVALID_ARGUMENT). Errors otherwise as for acquiring.
 */
CLNORM_API enum clnorm_status clnorm_tensor_evict(struct clnorm_tensor *tensor,
                                                  struct clnorm_context *context, uint64_t first,
                                                  uint64_t count);

/*
 * Forgets a context, as when its device has failed: its accesses end, its copies go without being
 * moved or waited for, and *lost (may be NULL) is how many samples only it had. They are lost. The
 * context may be used again later, as if it were new, or be released; its cl_context is kept until
 * the tensor is released. Commands that use its copies must not be running, unless its device is
 * gone. Errors: CLNORM_INVALID_ARGUMENT (NULL), CLNORM_UNSUPPORTED (after fork).
 */
CLNORM_API enum clnorm_status clnorm_tensor_forget(struct clnorm_tensor *tensor,
                                                   struct clnorm_context *context, uint64_t *lost);

/* ---- What is where ---- */

enum clnorm_copy_state { CLNORM_COPY_INVALID, CLNORM_COPY_SHARED, CLNORM_COPY_OWNER };

/* The state of one sample in a context or, NULL, on the host. A sample that does not exist is
 * invalid. Transfers may still be on their way. */
CLNORM_API enum clnorm_copy_state clnorm_tensor_state(struct clnorm_tensor *tensor,
                                                      const struct clnorm_context *context,
                                                      uint64_t sample);

/* Counters since the tensor was made. Handing over shared memory moves no bytes. */
struct clnorm_tensor_statistics {
    uint64_t bytes_to_device; /* copied from the host view to device memory */
    uint64_t bytes_to_host;   /* copied from device memory to the host view */
    uint64_t bytes_on_device; /* copied within a device, when pieces of memory were joined */
    uint64_t copies;          /* transfers that these bytes took */
    uint64_t handovers;       /* ranges of shared memory mapped and unmapped instead */
    uint64_t hits;            /* accesses and prefetches that needed neither */
    uint64_t misses;          /* those that did */
    uint64_t evictions;       /* pieces of device memory given up, by clnorm_tensor_evict or for
                                 want of memory */
    uint64_t device_bytes;    /* device memory held now, as asked from the pool; shared: none */
    uint64_t device_peak;     /* the most it was */
};

/* Those of a context since it was last forgotten; NULL: of all places together (hits and misses: the host's included;
 * device_peak: the sum over contexts of each one's). */
CLNORM_API struct clnorm_tensor_statistics
clnorm_tensor_statistics(struct clnorm_tensor *tensor, const struct clnorm_context *context);

#ifdef __cplusplus
}
#endif

#endif
