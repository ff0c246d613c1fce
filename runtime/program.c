#include <stdlib.h>
#include <string.h>

#include "context.h"

/* ---- From source or binary to a built cl_program ---- */

/* The compiler's log, malloc'd; NULL when there is none. */
static char *read_log(struct clnorm_context *context, cl_program program)
{
    size_t size = 0;
    if (clGetProgramBuildInfo(program, context->device.device, CL_PROGRAM_BUILD_LOG, 0, NULL,
                              &size) != CL_SUCCESS)
        return NULL;
    char *const log = calloc(1, size + 1);
    if (log)
        clGetProgramBuildInfo(program, context->device.device, CL_PROGRAM_BUILD_LOG, size, log,
                              NULL);
    return log;
}

static enum clnorm_status fail_build(struct clnorm_context *context,
                                     const struct clnorm__program *p, cl_int code)
{
    char problem[CLNORM_PROBLEM_TEXT_SIZE];
    clnorm_problem_format(&p->problem, problem);
    char *const log = p->opencl ? read_log(context, p->opencl) : NULL;
    const int memory =
        clnorm__status_of(code) == CLNORM_OUT_OF_MEMORY && code != CL_INVALID_BUFFER_SIZE;
    const enum clnorm_status status =
        clnorm__fail(context, memory ? CLNORM_OUT_OF_MEMORY : CLNORM_BUILD_FAILED,
                     "building the program of '%s' on %s failed with %s (%d); lines count from the "
                     "top of clnorm_source_emit's text. "
                     "The compiler says:\n%s",
                     problem, context->device.device_name, clnorm__code_name(code), (int)code,
                     log ? log : "(nothing)");
    free(log);
    return status;
}

static void release_program(struct clnorm__program *p)
{
    if (p->opencl)
        clReleaseProgram(p->opencl);
    p->opencl = NULL;
}

static enum clnorm_status build_from_source(struct clnorm_context *context,
                                            struct clnorm__program *p)
{
    if (!context->device.compiler)
        return clnorm__fail(context, CLNORM_UNSUPPORTED,
                            "%s has no compiler: its programs must be made ahead of time",
                            context->device.device_name);
    const char *const text = p->source.text;
    cl_int code;
    p->opencl = clCreateProgramWithSource(context->opencl, 1, (const char *[]){text},
                                          &p->source.length, &code);
    if (code != CL_SUCCESS)
        return clnorm__fail_call(context, code, "clCreateProgramWithSource");
    code =
        clBuildProgram(p->opencl, 1, &context->device.device, context->build_options, NULL, NULL);
    return code == CL_SUCCESS ? CLNORM_OK : fail_build(context, p, code);
}

/* 1 when the driver took the binary. */
static int build_from_binary(struct clnorm_context *context, struct clnorm__program *p,
                             const void *binary, size_t size)
{
    const unsigned char *const bytes = binary;
    cl_int taken = CL_SUCCESS, code;
    p->opencl = clCreateProgramWithBinary(context->opencl, 1, &context->device.device, &size,
                                          (const unsigned char *[]){bytes}, &taken, &code);
    if (code == CL_SUCCESS && taken == CL_SUCCESS &&
        clBuildProgram(p->opencl, 1, &context->device.device, context->build_options, NULL, NULL) ==
            CL_SUCCESS)
        return 1;
    if (code == CL_SUCCESS)
        release_program(p);
    p->opencl = NULL;
    return 0;
}

/* ---- The store ---- */

static int make_key(struct clnorm_context *context, const struct clnorm__program *p,
                    struct clnorm__key *key)
{
    char problem[CLNORM_PROBLEM_TEXT_SIZE];
    clnorm_problem_format(&p->problem, problem);
    const struct clnorm_device *const d = &context->device;
    const char *field[CLNORM__KEY_FIELD_COUNT] = {
        [CLNORM__KEY_FORMAT] = "",
        [CLNORM__KEY_LIBRARY] = "",
        [CLNORM__KEY_PROBLEM] = problem,
        [CLNORM__KEY_SOURCE] = p->source.text,
        [CLNORM__KEY_OPTIONS] = context->build_options,
        [CLNORM__KEY_PLATFORM_NAME] = d->platform_name,
        [CLNORM__KEY_PLATFORM_VERSION] = d->platform_version,
        [CLNORM__KEY_DEVICE_NAME] = d->device_name,
        [CLNORM__KEY_DEVICE_VENDOR] = d->vendor,
        [CLNORM__KEY_DEVICE_VENDOR_ID] = context->device_vendor_id,
        [CLNORM__KEY_DEVICE_VERSION] = d->version,
        [CLNORM__KEY_DRIVER_VERSION] = d->driver,
        [CLNORM__KEY_OPENCL_C_VERSION] = context->opencl_c_version,
        [CLNORM__KEY_ADDRESS_BITS] = context->address_bits,
    };
    return clnorm__key_build(field, key);
}

/*
 * Loads the stored program, warm, when there is one: p->opencl is NULL afterwards when there is
 * not. What the driver refuses is removed; when the device is out of memory, it is not the entry's
 * fault.
 */
static enum clnorm_status load_stored(struct clnorm_context *context, struct clnorm__program *p,
                                      const struct clnorm__key *key)
{
    void *payload;
    size_t size;
    if (!clnorm__store_load(context->store, key, &payload, &size))
        return CLNORM_OK;
    const int taken = build_from_binary(context, p, payload, size);
    free(payload);
    const enum clnorm_status status = taken ? clnorm__program_warm(context, p) : CLNORM_OK;
    if (status == CLNORM_OK && taken)
        return CLNORM_OK;
    release_program(p);
    if (status == CLNORM_OUT_OF_MEMORY)
        return status;
    clnorm__store_reject(context->store, key);
    return CLNORM_OK;
}

/* Failing to store is harmless: the next process compiles again. */
static void save_binary(struct clnorm_context *context, const struct clnorm__program *p,
                        const struct clnorm__key *key)
{
    cl_uint devices = 0;
    size_t size = 0;
    if (clGetProgramInfo(p->opencl, CL_PROGRAM_NUM_DEVICES, sizeof devices, &devices, NULL) !=
            CL_SUCCESS ||
        devices == 0)
        return;
    cl_device_id *const ids = calloc(devices, sizeof *ids);
    size_t *const sizes = calloc(devices, sizeof *sizes);
    unsigned char **const binaries = calloc(devices, sizeof *binaries);
    cl_uint mine = 0;
    if (ids && sizes && binaries &&
        clGetProgramInfo(p->opencl, CL_PROGRAM_DEVICES, devices * sizeof *ids, ids, NULL) ==
            CL_SUCCESS &&
        clGetProgramInfo(p->opencl, CL_PROGRAM_BINARY_SIZES, devices * sizeof *sizes, sizes,
                         NULL) == CL_SUCCESS) {
        while (mine < devices && ids[mine] != context->device.device)
            mine++;
        size = mine < devices ? sizes[mine] : 0;
    }
    unsigned char *const binary = size ? malloc(size) : NULL;
    if (binary) {
        binaries[mine] = binary; /* NULL for the others: not wanted */
        if (clGetProgramInfo(p->opencl, CL_PROGRAM_BINARIES, devices * sizeof *binaries, binaries,
                             NULL) == CL_SUCCESS)
            clnorm__store_save(context->store, key, binary, size);
    }
    free(binary);
    free(binaries);
    free(sizes);
    free(ids);
}

/* ---- Building: emit, load or compile, warm up, store ---- */

static enum clnorm_status obtain(struct clnorm_context *context, struct clnorm__program *p)
{
    struct clnorm__key key;
    if (!make_key(context, p, &key))
        return clnorm__fail(context, CLNORM_OUT_OF_MEMORY, "out of memory");
    enum clnorm_status status = load_stored(context, p, &key);
    if (status == CLNORM_OK && !p->opencl) {
        status = build_from_source(context, p);
        if (status == CLNORM_OK)
            status = clnorm__program_warm(context, p);
        if (status == CLNORM_OK)
            save_binary(context, p, &key);
        pthread_mutex_lock(&context->program_mutex);
        context->builds += status == CLNORM_OK;
        pthread_mutex_unlock(&context->program_mutex);
    }
    clnorm__key_free(&key);
    return status;
}

static enum clnorm_status build(struct clnorm_context *context, struct clnorm__program *p)
{
    char message[256];
    enum clnorm_status status =
        clnorm_source_emit(&p->problem, &p->schedule, &p->source, message, sizeof message);
    if (status != CLNORM_OK)
        return clnorm__fail(context, status, "%s", message);
    status = obtain(context, p);
    if (status != CLNORM_OK) {
        release_program(p);
        clnorm_source_free(&p->source);
    }
    return status;
}

/* ---- The memory cache: building -> ready | failed ---- */

static int same_problem(const struct clnorm_problem *a, const struct clnorm_problem *b)
{
    return a->operation == b->operation && a->layout == b->layout && a->dtype == b->dtype &&
           a->batch == b->batch && a->channels == b->channels && a->spatial == b->spatial &&
           a->flags == b->flags;
}

static struct clnorm__program *find(struct clnorm_context *context,
                                    const struct clnorm_problem *problem,
                                    const struct clnorm_schedule *schedule)
{
    struct clnorm__program *p = context->programs;
    while (p &&
           !(same_problem(&p->problem, problem) && clnorm_schedule_same(&p->schedule, schedule)))
        p = p->next;
    return p;
}

/* The entry to use: ready, or to be built by this thread (*mine = 1). NULL when out of memory.
 * Called with the lock. */
static struct clnorm__program *claim(struct clnorm_context *context,
                                     const struct clnorm_problem *problem,
                                     const struct clnorm_schedule *schedule, int *mine)
{
    struct clnorm__program *p = find(context, problem, schedule);
    while (p && p->state == CLNORM__BUILDING)
        pthread_cond_wait(&context->program_ready, &context->program_mutex);
    *mine = !p || p->state == CLNORM__FAILED;
    if (!p) {
        p = calloc(1, sizeof *p);
        if (!p)
            return NULL;
        p->problem = *problem;
        p->schedule = *schedule;
        p->next = context->programs;
        context->programs = p;
    }
    if (*mine)
        p->state = CLNORM__BUILDING;
    else
        context->memory_hits++;
    return p;
}

enum clnorm_status clnorm__program_get(struct clnorm_context *context,
                                       const struct clnorm_problem *problem,
                                       const struct clnorm_schedule *schedule,
                                       const struct clnorm__program **program)
{
    int mine;
    pthread_mutex_lock(&context->program_mutex);
    struct clnorm__program *const p = claim(context, problem, schedule, &mine);
    pthread_mutex_unlock(&context->program_mutex);
    if (!p)
        return clnorm__fail(context, CLNORM_OUT_OF_MEMORY, "out of memory");
    enum clnorm_status status = CLNORM_OK;
    if (mine) {
        status = build(context, p); /* no lock is held: others wait for the state */
        pthread_mutex_lock(&context->program_mutex);
        p->state = status == CLNORM_OK ? CLNORM__READY : CLNORM__FAILED;
        pthread_cond_broadcast(&context->program_ready);
        pthread_mutex_unlock(&context->program_mutex);
    }
    *program = p;
    return status;
}

void clnorm__programs_free(struct clnorm_context *context)
{
    while (context->programs) {
        struct clnorm__program *const p = context->programs;
        context->programs = p->next;
        release_program(p);
        clnorm_source_free(&p->source);
        free(p);
    }
}
