#include <stdlib.h>
#include <string.h>

#include "binary.h"

/* ---- From source or binary to a built cl_program ---- */

/* The compiler's log, malloc'd; NULL when there is none. */
static char *read_log(struct clnorm_context *context, cl_program program)
{
    size_t size = 0;
    if (clGetProgramBuildInfo(program, context->device.device, CL_PROGRAM_BUILD_LOG, 0, NULL,
                              &size) != CL_SUCCESS)
        return NULL;
    char *const log = calloc(1, size + 1);
    if (log && clGetProgramBuildInfo(program, context->device.device, CL_PROGRAM_BUILD_LOG, size,
                                     log, NULL) == CL_SUCCESS)
        return log;
    free(log);
    return NULL;
}

static enum clnorm_status fail_build(struct clnorm_context *context,
                                     const struct clnorm__program *p, cl_int code)
{
    char problem[CLNORM_PROBLEM_TEXT_SIZE];
    clnorm_problem_format(&p->problem, problem);
    char *const log = p->opencl ? read_log(context, p->opencl) : NULL;
    const enum clnorm_status kind = clnorm__status_of(code);
    const enum clnorm_status status =
        clnorm__fail(context, kind == CLNORM_DEVICE_FAILED ? CLNORM_BUILD_FAILED : kind,
                     "building the program of '%s' on %s: clBuildProgram failed with %s (%d); "
                     "lines count from the top of clnorm_source_emit's text. "
                     "The compiler says:\n%s",
                     problem, context->device.device_name, clnorm__code_name(code), (int)code,
                     log && *log ? log : "(nothing)");
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
        return clnorm__bundle_lacks(context, &p->problem, &p->schedule);
    const char *const text = p->source.text;
    const char *const options = clnorm__context_options(context, &p->schedule);
    cl_int code;
    p->opencl = clCreateProgramWithSource(context->opencl, 1, (const char *[]){text},
                                          &p->source.length, &code);
    if (code != CL_SUCCESS)
        return clnorm__fail_call(context, code, "clCreateProgramWithSource");
    code = clBuildProgram(p->opencl, 1, &context->device.device, options, NULL, NULL);
    return code == CL_SUCCESS ? CLNORM_OK : fail_build(context, p, code);
}

/* ---- The store ---- */

static int make_key(struct clnorm_context *context, const struct clnorm__program *p,
                    struct clnorm__key *key)
{
    char problem[CLNORM_PROBLEM_TEXT_SIZE];
    clnorm_problem_format(&p->problem, problem);
    const char *field[CLNORM__KEY_FIELD_COUNT] = {
        [CLNORM__KEY_PROBLEM] = problem,
        [CLNORM__KEY_SOURCE] = p->source.text,
    };
    clnorm__context_facts(context, field);
    field[CLNORM__KEY_OPTIONS] = clnorm__context_options(context, &p->schedule);
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
    const char *call;
    const char *const options = clnorm__context_options(context, &p->schedule);
    const int taken =
        clnorm__binary_load(context, payload, size, options, &p->opencl, &call) == CL_SUCCESS;
    free(payload);
    struct clnorm__attempt attempt;
    clnorm__attempt_open(context, &attempt);
    const enum clnorm_status status = taken ? clnorm__program_warm(context, p) : CLNORM_OK;
    clnorm__attempt_close(context, &attempt, status == CLNORM_OUT_OF_MEMORY);
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
    void *binary;
    size_t size;
    const char *call;
    if (clnorm__binary_take(context, p->opencl, &binary, &size, &call) != CL_SUCCESS)
        return;
    clnorm__store_save(context->store, key, binary, size);
    free(binary);
}

/* ---- The bundle ---- */

/* The kernels of the source under the names that a manifest has for them, in order. 0: it has more
 * or fewer. */
static int name_kernels(struct clnorm__program *p, const char *names)
{
    for (unsigned i = 0; i < CLNORM_STEP_COUNT; i++) {
        if (p->source.kernels[i].arguments == 0)
            continue;
        const size_t length = strcspn(names, " ");
        if (length == 0 || length >= sizeof p->kernel[i])
            return 0;
        memcpy(p->kernel[i], names, length);
        p->kernel[i][length] = 0;
        names += length + (names[length] == ' ');
    }
    return *names == 0;
}

static enum clnorm_status take_from_bundle(struct clnorm_context *context,
                                           struct clnorm__program *p,
                                           const struct clnorm__manifest_program *held)
{
    char digest[CLNORM__DIGEST_TEXT_SIZE], problem[CLNORM_PROBLEM_TEXT_SIZE];
    clnorm__digest_text(p->source.text, p->source.length, digest);
    p->origin = CLNORM__BUNDLED;
    p->image = held->image;
    if (strcmp(digest, held->text) != 0 || !name_kernels(p, held->kernels)) {
        clnorm_problem_format(&p->problem, problem);
        return clnorm__fail(context, CLNORM_UNSUPPORTED,
                            "%s has '%s' made from another text than this clnorm emits: make the "
                            "bundle again with this very library",
                            context->bundle->name, problem);
    }
    enum clnorm_status status = clnorm__bundle_load(context, held->image, &p->opencl);
    if (status == CLNORM_OK)
        status = clnorm__program_warm(context, p);
    pthread_mutex_lock(&context->program_mutex);
    context->bundle_hits += status == CLNORM_OK;
    pthread_mutex_unlock(&context->program_mutex);
    return status;
}

/* ---- Building: emit; then the bundle, the store or the compiler; warm up, store ---- */

/* From the store or the compiler. */
static enum clnorm_status make(struct clnorm_context *context, struct clnorm__program *p)
{
    struct clnorm__key key;
    for (unsigned i = 0; i < CLNORM_STEP_COUNT; i++)
        memcpy(p->kernel[i], p->source.kernels[i].name, sizeof p->kernel[i]);
    p->origin = CLNORM__BUILT;
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
    const struct clnorm__manifest_program *const held =
        clnorm__bundle_find(context->bundle, &p->problem, &p->schedule);
    if (held)
        status = take_from_bundle(context, p, held);
    else if (context->bundle_only)
        status = clnorm__bundle_lacks(context, &p->problem, &p->schedule);
    else
        status = make(context, p);
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

void clnorm__program_free(struct clnorm__program *p)
{
    release_program(p);
    clnorm_source_free(&p->source);
    free(p);
}

void clnorm__programs_free(struct clnorm_context *context)
{
    while (context->programs) {
        struct clnorm__program *const p = context->programs;
        context->programs = p->next;
        clnorm__program_free(p);
    }
}
