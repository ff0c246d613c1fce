#include "layer.h"

#include <pthread.h>

/* The process has one layer, as it has one loader. */
static struct {
    pthread_mutex_t mutex;
    int watching;
    struct clnorm_layer_failure failure; /* call 0: none is armed */
    unsigned calls[CLNORM_LAYER_ENTRY_COUNT + 1], failed[CLNORM_LAYER_ENTRY_COUNT + 1];
    struct clnorm_layer_references references;
    unsigned buffers; /* the limit */
} layer = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static const char *const names[CLNORM_LAYER_ENTRY_COUNT] = {
#define NAME(name, ...) [CLNORM_LAYER_##name] = #name,
    CLNORM_LAYER_ENTRY_POINTS(NAME)
#undef NAME
};

static const char *const objects[CLNORM_LAYER_OBJECT_COUNT] = {
    [CLNORM_LAYER_CONTEXT] = "context", [CLNORM_LAYER_QUEUE] = "queue",
    [CLNORM_LAYER_MEMORY] = "memory",   [CLNORM_LAYER_PROGRAM] = "program",
    [CLNORM_LAYER_KERNEL] = "kernel",   [CLNORM_LAYER_EVENT] = "event",
};

const char *clnorm_layer_name(unsigned entry)
{
    return names[entry];
}

const char *clnorm_layer_object_name(unsigned object)
{
    return objects[object];
}

void clnorm_layer_watch(void)
{
    pthread_mutex_lock(&layer.mutex);
    layer.watching = 1;
    pthread_mutex_unlock(&layer.mutex);
}

int clnorm_layer_unwatch(int result)
{
    pthread_mutex_lock(&layer.mutex);
    layer.watching = 0;
    pthread_mutex_unlock(&layer.mutex);
    return result;
}

void clnorm_layer_arm(const struct clnorm_layer_failure *failure)
{
    static const struct clnorm_layer_failure none = {0};
    pthread_mutex_lock(&layer.mutex);
    layer.failure = failure ? *failure : none;
    for (unsigned i = 0; i <= CLNORM_LAYER_ENTRY_COUNT; i++)
        layer.calls[i] = layer.failed[i] = 0;
    pthread_mutex_unlock(&layer.mutex);
}

unsigned clnorm_layer_calls(unsigned entry)
{
    pthread_mutex_lock(&layer.mutex);
    const unsigned calls = layer.calls[entry];
    pthread_mutex_unlock(&layer.mutex);
    return calls;
}

unsigned clnorm_layer_failed(unsigned entry)
{
    pthread_mutex_lock(&layer.mutex);
    const unsigned failed = layer.failed[entry];
    pthread_mutex_unlock(&layer.mutex);
    return failed;
}

void clnorm_layer_limit_buffers(unsigned buffers)
{
    pthread_mutex_lock(&layer.mutex);
    layer.buffers = buffers;
    pthread_mutex_unlock(&layer.mutex);
}

struct clnorm_layer_references clnorm_layer_references(void)
{
    pthread_mutex_lock(&layer.mutex);
    const struct clnorm_layer_references references = layer.references;
    pthread_mutex_unlock(&layer.mutex);
    return references;
}

/* ---- For the entry points ---- */

/* 1 when the failure is for this call: the calls-th of entry. */
static int strikes(const struct clnorm_layer_failure *failure, unsigned entry, unsigned calls)
{
    if (failure->call == 0 || failure->entry != entry)
        return 0;
    return failure->for_good ? calls >= failure->call : calls == failure->call;
}

cl_int layer_enter(enum clnorm_layer_entry entry, cl_context (*context_of)(const void *object),
                   const void *object)
{
    static const unsigned any = CLNORM_LAYER_ENTRY_COUNT;
    cl_int code = CL_SUCCESS;
    pthread_mutex_lock(&layer.mutex);
    if (layer.watching) {
        const unsigned calls = ++layer.calls[entry], all = ++layer.calls[any];
        const cl_context only = layer.failure.only;
        if ((strikes(&layer.failure, entry, calls) || strikes(&layer.failure, any, all)) &&
            (!only || context_of(object) == only)) {
            layer.failed[entry]++;
            layer.failed[any]++;
            code = layer.failure.code;
        }
    }
    if (entry == CLNORM_LAYER_clCreateBuffer && layer.buffers > 0 &&
        layer.references.count[CLNORM_LAYER_MEMORY] >= (long)layer.buffers)
        code = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    pthread_mutex_unlock(&layer.mutex);
    return code;
}

void layer_count(enum clnorm_layer_object object, int step)
{
    pthread_mutex_lock(&layer.mutex);
    layer.references.count[object] += step;
    pthread_mutex_unlock(&layer.mutex);
}
