#include "tensor.h"
#include "options.h"
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What devices that share the host's memory ask of a view: where it begins, and what its size is a
 * multiple of. */
enum { SHARED_ALIGNMENT = 4096, SHARED_UNIT = 64 };

#define TENSOR_LIMIT (UINT64_C(1) << 60)

/* ---- Errors ---- */

enum clnorm_status clnorm__tensor_fail(struct clnorm_tensor *tensor, enum clnorm_status status,
                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&tensor->error_mutex);
    vsnprintf(tensor->error, sizeof tensor->error, format, arguments);
    pthread_mutex_unlock(&tensor->error_mutex);
    va_end(arguments);
    return status;
}

enum clnorm_status clnorm__tensor_fail_call(struct clnorm_tensor *tensor,
                                            const struct clnorm__place *place, cl_int code,
                                            const char *call)
{
    return clnorm__tensor_fail(tensor, clnorm__status_of(code), "%s failed with %s (%d) on %s",
                               call, clnorm__code_name(code), (int)code, clnorm__place_name(place));
}

enum clnorm_status clnorm__tensor_fail_context(struct clnorm_tensor *tensor,
                                               const struct clnorm__place *place,
                                               enum clnorm_status status)
{
    char text[sizeof tensor->error];
    clnorm_context_error(place->context, text, sizeof text);
    return clnorm__tensor_fail(tensor, status, "%s", text);
}

size_t clnorm_tensor_error(const struct clnorm_tensor *tensor, char *text, size_t size)
{
    struct clnorm_tensor *const t = (struct clnorm_tensor *)tensor;
    pthread_mutex_lock(&t->error_mutex);
    const size_t length = clnorm__text_copy(t->error, text, size);
    pthread_mutex_unlock(&t->error_mutex);
    return length;
}

const char *clnorm__place_name(const struct clnorm__place *place)
{
    return place->context ? place->context->device.device_name : "the host";
}

struct clnorm__place *clnorm__place_find(struct clnorm_tensor *tensor,
                                         const struct clnorm_context *context)
{
    if (!context)
        return &tensor->host_place;
    struct clnorm__place *place = tensor->places;
    while (place && place->context != context)
        place = place->next;
    return place;
}

/* ---- Making ---- */

/* The extents that a problem and the options give. */
static enum clnorm_status read_problem(const struct clnorm_tensor_options *options,
                                       uint64_t *samples, uint64_t *sample_bytes,
                                       struct clnorm__report report)
{
    struct clnorm_problem problem = *options->problem;
    char why[256];
    if (problem.batch == CLNORM_ANY)
        problem.batch = options->batch;
    if (problem.spatial == CLNORM_ANY)
        problem.spatial = options->spatial;
    if (problem.batch < 0 || problem.spatial < 0)
        return clnorm__refuse(report, CLNORM_INVALID_ARGUMENT,
                              "options.batch and options.spatial must be 0 or more");
    const enum clnorm_status status = clnorm_problem_check(&problem, why, sizeof why);
    if (status != CLNORM_OK)
        return clnorm__refuse(report, status, "options.problem: %s", why);
    *samples = (uint64_t)problem.batch;
    *sample_bytes =
        (uint64_t)problem.channels * (uint64_t)problem.spatial * clnorm_dtype_size(problem.dtype);
    return CLNORM_OK;
}

static enum clnorm_status read_options(const struct clnorm_tensor_options *options,
                                       struct clnorm_tensor *tensor, struct clnorm__report report)
{
    tensor->samples = options->samples;
    tensor->sample_bytes = options->sample_bytes;
    enum clnorm_status status = CLNORM_OK;
    if (options->problem)
        status = read_problem(options, &tensor->samples, &tensor->sample_bytes, report);
    if (status != CLNORM_OK)
        return status;
    const uint64_t limit = TENSOR_LIMIT < SIZE_MAX ? TENSOR_LIMIT : SIZE_MAX - SHARED_ALIGNMENT;
    if (tensor->samples > 0 && tensor->sample_bytes > limit / tensor->samples)
        return clnorm__refuse(report, CLNORM_INVALID_ARGUMENT,
                              "%llu samples of %llu bytes are more than a tensor may have",
                              (unsigned long long)tensor->samples,
                              (unsigned long long)tensor->sample_bytes);
    return CLNORM_OK;
}

/* Takes the caller's view, or makes one of whole pages. */
static enum clnorm_status open_view(struct clnorm_tensor *tensor, void *given,
                                    struct clnorm__report report)
{
    const size_t bytes = (size_t)(tensor->samples * tensor->sample_bytes);
    if (given) {
        tensor->host = given;
        if ((uintptr_t)given % SHARED_ALIGNMENT == 0 && bytes % SHARED_UNIT == 0)
            tensor->shared_bytes = bytes;
        return CLNORM_OK;
    }
    const size_t pages = bytes / SHARED_ALIGNMENT + (bytes % SHARED_ALIGNMENT > 0 || bytes == 0);
    tensor->own = aligned_alloc(SHARED_ALIGNMENT, pages * SHARED_ALIGNMENT);
    if (!tensor->own)
        return clnorm__refuse(report, CLNORM_OUT_OF_MEMORY,
                              "out of memory: no %zu bytes for the host view", bytes);
    memset(tensor->own, 0, pages * SHARED_ALIGNMENT);
    tensor->host = tensor->own;
    tensor->shared_bytes = bytes > 0 ? pages * SHARED_ALIGNMENT : 0;
    return CLNORM_OK;
}

enum clnorm_status clnorm_tensor_create(const struct clnorm_tensor_options *options,
                                        struct clnorm_tensor **tensor, char *message, size_t size)
{
    static const size_t sizes[] = {0};
    struct clnorm_tensor_options all = {.size = sizeof all};
    const struct clnorm__report report = {.message = message, .size = size};
    if (!tensor)
        return clnorm__refuse(report, CLNORM_INVALID_ARGUMENT,
                              "no place for the tensor given (NULL)");
    *tensor = NULL;
    if (!options || !clnorm__options_copy(&all, sizeof all, options, sizes))
        return clnorm__refuse(report, CLNORM_INVALID_ARGUMENT,
                              "options.size must be sizeof(struct clnorm_tensor_options)");
    struct clnorm_tensor *const made = calloc(1, sizeof *made);
    if (!made)
        return clnorm__refuse(report, CLNORM_OUT_OF_MEMORY, "out of memory");
    pthread_mutex_init(&made->mutex, NULL);
    pthread_mutex_init(&made->error_mutex, NULL);
    clnorm__bridges_open(&made->bridges);
    made->process = clnorm__process_open();
    enum clnorm_status status = read_options(&all, made, report);
    if (status == CLNORM_OK)
        status = open_view(made, all.host, report);
    if (status == CLNORM_OK) {
        status = clnorm__pieces_open(made);
        if (status != CLNORM_OK)
            clnorm__refuse(report, status, "out of memory");
    }
    if (status == CLNORM_OK)
        *tensor = made;
    else
        clnorm_tensor_release(made);
    return status;
}

/* ---- Releasing ---- */

static void wait_for_all(struct clnorm_tensor *tensor)
{
    for (struct clnorm__piece *p = tensor->pieces; p; p = p->next)
        for (unsigned i = 0; i < tensor->place_count; i++) {
            const struct clnorm__copy *const copy = &p->copies[i];
            for (size_t user = 0; user < copy->users.count; user++)
                clnorm__stamp_wait(copy->users.at[user]);
            if (copy->ready)
                clnorm__stamp_wait(copy->ready);
        }
}

/* All that OpenCL has to do with. */
static void close_places(struct clnorm_tensor *tensor)
{
    clnorm__bridges_reap(&tensor->bridges);
    wait_for_all(tensor);
    for (struct clnorm__place *p = tensor->places; p; p = p->next) {
        for (struct clnorm__piece *piece = tensor->pieces; piece; piece = piece->next)
            clnorm__piece_set_invalid(piece, p);
        if (p->context) {
            clnorm__place_shrink(tensor, p, 0, tensor->samples);
            clnorm__place_forget(tensor, p);
        }
        clnorm__place_close(p);
    }
    clnorm__pieces_close(tensor);
    clnorm__bridges_close(&tensor->bridges);
}

void clnorm_tensor_release(struct clnorm_tensor *tensor)
{
    if (!tensor)
        return;
    while (tensor->holds) {
        struct clnorm__hold *const hold = tensor->holds;
        tensor->holds = hold->next;
        free(hold);
    }
    if (clnorm__process_is_own(&tensor->process)) /* a forked child must not call into OpenCL */
        close_places(tensor);
    while (tensor->places) {
        struct clnorm__place *const place = tensor->places;
        tensor->places = place->next;
        free(place);
    }
    clnorm__process_close(&tensor->process);
    pthread_mutex_destroy(&tensor->mutex);
    pthread_mutex_destroy(&tensor->error_mutex);
    free(tensor->own);
    free(tensor);
}

uint64_t clnorm_tensor_samples(const struct clnorm_tensor *tensor)
{
    return tensor->samples;
}

uint64_t clnorm_tensor_sample_bytes(const struct clnorm_tensor *tensor)
{
    return tensor->sample_bytes;
}
