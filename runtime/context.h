/* The context, as the runtime's files share it. */
#ifndef CLNORM_RUNTIME_CONTEXT_H
#define CLNORM_RUNTIME_CONTEXT_H

#include <clnorm/clnorm.h>
#include <pthread.h>

#include "bundle.h"
#include "process.h"
#include "quirk.h"
#include "store.h"
#include "tuning.h"

struct clnorm__attempt;
struct clnorm__facts;
struct clnorm__program;
struct clnorm__pooled;

struct clnorm_context {
    struct clnorm_device device;
    char device_vendor_id[16], opencl_c_version[128], address_bits[8];
    char build_options[128];
    char newer_options[128]; /* of texts that need more than OpenCL C 1.2 */
    cl_context opencl;
    cl_command_queue queue;      /* the caller's to use */
    cl_command_queue warm_queue; /* for first runs of kernels only */
    struct clnorm__process process;
    struct clnorm__store *store;
    struct clnorm__bundle *bundle; /* NULL: none */
    int bundle_only;
    struct clnorm__tuning *tuning; /* NULL when schedules are for another kind of device */

    pthread_mutex_t error_mutex;
    char *error; /* malloc'd, or NULL */
    struct clnorm__attempt *attempts;

    pthread_mutex_t program_mutex;
    pthread_cond_t program_ready;
    struct clnorm__program *programs;
    uint64_t memory_hits, builds, bundle_hits;

    pthread_mutex_t pool_mutex;
    struct clnorm__pooled *pool;
    uint64_t pool_bytes, pool_peak, pool_hits;
};

/* ---- error.c ---- */

/* Keeps a printf'd detail as the context's last error and returns status. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
enum clnorm_status
clnorm__fail(struct clnorm_context *context, enum clnorm_status status, const char *format, ...);

/* The same for an OpenCL call that returned code: out of memory or device failure, by code. */
enum clnorm_status clnorm__fail_call(struct clnorm_context *context, cl_int code, const char *call);

/*
 * What a thread attempts and may get over: the details of its failures from open to close are not
 * the context's last error, unless it closes with `failed`. Not nested.
 */
struct clnorm__attempt {
    struct clnorm__attempt *next;
    pthread_t thread;
    char *error;
};
void clnorm__attempt_open(struct clnorm_context *context, struct clnorm__attempt *attempt);
void clnorm__attempt_close(struct clnorm_context *context, struct clnorm__attempt *attempt,
                           int failed);

enum clnorm_status clnorm__status_of(cl_int code);

/* "CL_INVALID_VALUE"; "an unknown code" for others. */
const char *clnorm__code_name(cl_int code);

/* CLNORM_OK, or CLNORM_UNSUPPORTED in a child of the process that made the context. */
enum clnorm_status clnorm__check_process(struct clnorm_context *context);

/* ---- context.c ---- */

/* What the compiler is told for a program under the schedule. */
const char *clnorm__context_options(const struct clnorm_context *context,
                                    const struct clnorm_schedule *schedule);

/* What programs depend on, as fields of a key; PROBLEM and SOURCE are left alone. OPTIONS are those
 * of texts in OpenCL C 1.2. */
void clnorm__context_facts(const struct clnorm_context *context,
                           const char *field[CLNORM__KEY_FIELD_COUNT]);

/* ---- device.c ---- */

/* Describes the device that the facts are of; whole only when they have no failure then. */
void clnorm__device_describe(struct clnorm__facts *facts, struct clnorm_device *device);

/* Picks a device by selector (index, part of a name, or NULL for the best). */
enum clnorm_status clnorm__device_select(const char *selector, struct clnorm_device *device,
                                         char *message, size_t size);

/* ---- pool.c ---- */

void clnorm__pool_free(struct clnorm_context *context);

/* ---- program.c ---- */

/* Who made the cl_program. */
enum clnorm__origin {
    CLNORM__BUILT,   /* clnorm, from the source or from its own store */
    CLNORM__BUNDLED, /* it came in the context's bundle */
    CLNORM__ADOPTED, /* the application handed it over */
    CLNORM__ORIGIN_COUNT
};

/* A compiled problem, immutable once ready: owned by the context, or by its plan when adopted. */
struct clnorm__program {
    struct clnorm__program *next;
    struct clnorm_problem problem;
    struct clnorm_schedule schedule;
    enum { CLNORM__BUILDING, CLNORM__READY, CLNORM__FAILED } state;
    enum clnorm__origin origin;
    size_t image; /* of the bundle it came in */
    struct clnorm_source source;
    char kernel[CLNORM_STEP_COUNT][CLNORM_KERNEL_NAME_SIZE]; /* names in the cl_program */
    cl_program opencl;
};

/*
 * The program of a checked problem and schedule: from memory, the store or the compiler, warmed up.
 * Waits when another thread is building it. A build that failed is tried anew by the next call.
 */
enum clnorm_status clnorm__program_get(struct clnorm_context *context,
                                       const struct clnorm_problem *problem,
                                       const struct clnorm_schedule *schedule,
                                       const struct clnorm__program **program);

/*
 * A program for a checked problem and schedule on the kernels of the application's cl_program,
 * which is retained. Errors: CLNORM_INVALID_ARGUMENT (it is of another context or device, not
 * built, or lacks a kernel), and those of warming up.
 */
enum clnorm_status clnorm__program_adopt(struct clnorm_context *context,
                                         const struct clnorm_problem *problem,
                                         const struct clnorm_schedule *schedule, cl_program opencl,
                                         struct clnorm__program **program);

/* For those that are adopted. */
void clnorm__program_free(struct clnorm__program *program);

void clnorm__programs_free(struct clnorm_context *context);

/* ---- warm.c ---- */

/* Runs each kernel of a program once on scratch memory, so that what the driver compiles late is
 * compiled now. */
enum clnorm_status clnorm__program_warm(struct clnorm_context *context,
                                        const struct clnorm__program *program);

#endif
