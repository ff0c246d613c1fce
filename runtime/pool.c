#include <stdlib.h>

#include "context.h"

/* A buffer of the pool, in use or free. Free ones remember whom to wait for. */
struct clnorm__pooled {
    struct clnorm__pooled *next;
    cl_mem memory;
    size_t bytes;
    int in_use;
    cl_command_queue queue; /* retained: the in-order queue it was last used on, or NULL */
    cl_event last;          /* retained: the event after which it is free, or NULL */
};

/* Sizes in steps of at most 12.5 % waste: three leading bits below the highest. */
static size_t round_size(size_t bytes)
{
    size_t step = 256;
    while (step * 16 <= bytes)
        step *= 2;
    return bytes > SIZE_MAX - step ? bytes : (bytes + step - 1) / step * step;
}

static void forget_use(struct clnorm__pooled *p)
{
    if (p->queue)
        clReleaseCommandQueue(p->queue);
    if (p->last)
        clReleaseEvent(p->last);
    p->queue = NULL;
    p->last = NULL;
}

static int is_in_order(cl_command_queue queue)
{
    cl_command_queue_properties properties = CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
    clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof properties, &properties, NULL);
    return !(properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
}

/* A free buffer of this size: best one last used on the same queue, else one whose last event tells
 * when it is free. */
static struct clnorm__pooled *find_free(struct clnorm_context *context, size_t bytes,
                                        cl_command_queue queue)
{
    struct clnorm__pooled *other = NULL;
    for (struct clnorm__pooled *p = context->pool; p; p = p->next) {
        if (p->in_use || p->bytes != bytes)
            continue;
        if (p->queue == queue || (!p->queue && !p->last))
            return p;
        if (p->last)
            other = p;
    }
    return other;
}

/* Frees all unused buffers. Memory still read by enqueued kernels is the driver's to keep until
 * they end. */
static void trim(struct clnorm_context *context)
{
    for (struct clnorm__pooled **at = &context->pool; *at;) {
        struct clnorm__pooled *const p = *at;
        if (p->in_use) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        context->pool_bytes -= p->bytes;
        forget_use(p);
        clReleaseMemObject(p->memory);
        free(p);
    }
}

static enum clnorm_status allocate(struct clnorm_context *context, size_t bytes,
                                   struct clnorm__pooled **pooled)
{
    struct clnorm__pooled *const p = calloc(1, sizeof *p);
    if (!p)
        return clnorm__fail(context, CLNORM_OUT_OF_MEMORY, "out of memory");
    cl_int code;
    p->memory = clCreateBuffer(context->opencl, CL_MEM_READ_WRITE, bytes, NULL, &code);
    if (clnorm__status_of(code) == CLNORM_OUT_OF_MEMORY) {
        trim(context);
        p->memory = clCreateBuffer(context->opencl, CL_MEM_READ_WRITE, bytes, NULL, &code);
    }
    if (code != CL_SUCCESS) {
        free(p);
        return clnorm__fail(context, clnorm__status_of(code),
                            "allocating %zu bytes on %s failed with %s (%d)", bytes,
                            context->device.device_name, clnorm__code_name(code), (int)code);
    }
    p->bytes = bytes;
    p->next = context->pool;
    context->pool = p;
    context->pool_bytes += bytes;
    if (context->pool_bytes > context->pool_peak)
        context->pool_peak = context->pool_bytes;
    *pooled = p;
    return CLNORM_OK;
}

static enum clnorm_status acquire(struct clnorm_context *context, size_t bytes,
                                  cl_command_queue queue, cl_mem *memory, cl_event *wait)
{
    struct clnorm__pooled *p = find_free(context, bytes, queue);
    context->pool_hits += p != NULL;
    if (!p) {
        const enum clnorm_status status = allocate(context, bytes, &p);
        if (status != CLNORM_OK)
            return status;
    }
    *wait = NULL;
    if (p->last && p->queue != queue) {
        *wait = p->last; /* the reference goes to the caller */
        p->last = NULL;
    }
    forget_use(p);
    p->in_use = 1;
    *memory = p->memory;
    return CLNORM_OK;
}

enum clnorm_status clnorm_pool_acquire(struct clnorm_context *context, size_t bytes,
                                       cl_command_queue queue, cl_mem *memory, cl_event *wait)
{
    if (!context || !memory || !wait)
        return CLNORM_INVALID_ARGUMENT;
    enum clnorm_status status = clnorm__check_process(context);
    if (status != CLNORM_OK)
        return status;
    if (bytes == 0)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT, "a buffer of 0 bytes was asked for");
    pthread_mutex_lock(&context->pool_mutex);
    status = acquire(context, round_size(bytes), queue, memory, wait);
    pthread_mutex_unlock(&context->pool_mutex);
    return status;
}

enum clnorm_status clnorm_pool_release(struct clnorm_context *context, cl_mem memory,
                                       cl_command_queue queue, cl_event last)
{
    if (!context)
        return CLNORM_INVALID_ARGUMENT;
    const int in_order = queue && is_in_order(queue);
    pthread_mutex_lock(&context->pool_mutex);
    struct clnorm__pooled *p = context->pool;
    while (p && (p->memory != memory || !p->in_use))
        p = p->next;
    if (p) {
        p->in_use = 0;
        if (in_order && clRetainCommandQueue(queue) == CL_SUCCESS)
            p->queue = queue;
        if (last && clRetainEvent(last) == CL_SUCCESS)
            p->last = last;
    }
    pthread_mutex_unlock(&context->pool_mutex);
    if (p)
        return CLNORM_OK;
    return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                        "the memory given back is not a pool buffer in use");
}

void clnorm_pool_trim(struct clnorm_context *context)
{
    pthread_mutex_lock(&context->pool_mutex);
    trim(context);
    pthread_mutex_unlock(&context->pool_mutex);
}

void clnorm__pool_free(struct clnorm_context *context)
{
    for (struct clnorm__pooled *p = context->pool; p; p = p->next)
        p->in_use = 0;
    trim(context);
}
