#include <stdlib.h>

#include "context.h"

/* A buffer of the pool, in use or not. When not, work on it may still run: it may be handed to the
 * same in-order queue at once, and to any other when `last` is complete. */
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

static int is_in_order(cl_command_queue queue)
{
    cl_command_queue_properties properties = CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
    clGetCommandQueueInfo(queue, CL_QUEUE_PROPERTIES, sizeof properties, &properties, NULL);
    return !(properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
}

static int is_complete(cl_event event)
{
    cl_int status = CL_QUEUED;
    clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL);
    return status <= CL_COMPLETE; /* errors are negative: they have ended, too */
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

static struct clnorm__pooled *find_free(struct clnorm_context *context, size_t bytes,
                                        cl_command_queue queue)
{
    for (struct clnorm__pooled *p = context->pool; p; p = p->next)
        if (!p->in_use && p->bytes == bytes &&
            (p->queue == queue || (p->last && is_complete(p->last))))
            return p;
    return NULL;
}

/* Takes a buffer out of the pool. Work that still runs on it keeps it alive in the driver. */
static void drop(struct clnorm_context *context, struct clnorm__pooled **at)
{
    struct clnorm__pooled *const p = *at;
    *at = p->next;
    context->pool_bytes -= p->bytes;
    forget_use(p);
    clReleaseMemObject(p->memory);
    free(p);
}

static void trim(struct clnorm_context *context)
{
    for (struct clnorm__pooled **at = &context->pool; *at;) {
        if ((*at)->in_use)
            at = &(*at)->next;
        else
            drop(context, at);
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
                            "allocating %zu bytes on %s: clCreateBuffer failed with %s (%d)", bytes,
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

enum clnorm_status clnorm_pool_acquire(struct clnorm_context *context, size_t bytes,
                                       cl_command_queue queue, cl_mem *memory)
{
    if (!context || !memory)
        return CLNORM_INVALID_ARGUMENT;
    enum clnorm_status status = clnorm__check_process(context);
    if (status != CLNORM_OK)
        return status;
    if (bytes == 0 || !queue)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                            "a pool buffer needs a size above 0 and the queue it is for");
    const size_t rounded = round_size(bytes);
    pthread_mutex_lock(&context->pool_mutex);
    struct clnorm__pooled *p = find_free(context, rounded, queue);
    context->pool_hits += p != NULL;
    if (!p)
        status = allocate(context, rounded, &p);
    if (status == CLNORM_OK) {
        forget_use(p);
        p->in_use = 1;
        *memory = p->memory;
    }
    pthread_mutex_unlock(&context->pool_mutex);
    return status;
}

/* Notes who still works on a buffer that is given back; when nothing can tell, it is dropped. */
static void give_back(struct clnorm_context *context, struct clnorm__pooled **at,
                      cl_command_queue in_order, cl_event last)
{
    struct clnorm__pooled *const p = *at;
    p->in_use = 0;
    if (in_order && clRetainCommandQueue(in_order) == CL_SUCCESS)
        p->queue = in_order;
    if (last && clRetainEvent(last) == CL_SUCCESS)
        p->last = last;
    if (!p->queue && !p->last)
        drop(context, at);
}

enum clnorm_status clnorm_pool_release(struct clnorm_context *context, cl_mem memory,
                                       cl_command_queue queue, cl_event last)
{
    if (!context)
        return CLNORM_INVALID_ARGUMENT;
    const enum clnorm_status status = clnorm__check_process(context);
    if (status != CLNORM_OK)
        return status;
    const cl_command_queue in_order = queue && is_in_order(queue) ? queue : NULL;
    pthread_mutex_lock(&context->pool_mutex);
    struct clnorm__pooled **at = &context->pool;
    while (*at && ((*at)->memory != memory || !(*at)->in_use))
        at = &(*at)->next;
    const int found = *at != NULL;
    if (found)
        give_back(context, at, in_order, last);
    pthread_mutex_unlock(&context->pool_mutex);
    if (found)
        return CLNORM_OK;
    return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                        "the memory given back is not a pool buffer in use");
}

void clnorm_pool_trim(struct clnorm_context *context)
{
    if (clnorm__check_process(context) != CLNORM_OK)
        return;
    pthread_mutex_lock(&context->pool_mutex);
    trim(context);
    pthread_mutex_unlock(&context->pool_mutex);
}

void clnorm__pool_free(struct clnorm_context *context)
{
    while (context->pool)
        drop(context, &context->pool);
}
