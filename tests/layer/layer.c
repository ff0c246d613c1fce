/* The loader's side of the layer, and an entry point for each row of entry_points.h. */
#include "layer.h"

#include <stdint.h>

/* What is behind the layer: the disguise, then the drivers or another layer. And its front. */
static cl_icd_dispatch behind, front;

/* ---- Whose an object is ---- */

#define CONTEXT_OF(type, query, what)                                                              \
    static cl_context context_of_##type(const void *object)                                        \
    {                                                                                              \
        cl_context context = NULL;                                                                 \
        behind.query((type)(uintptr_t)object, what, sizeof context, &context, NULL);               \
        return context;                                                                            \
    }

CONTEXT_OF(cl_command_queue, clGetCommandQueueInfo, CL_QUEUE_CONTEXT)
CONTEXT_OF(cl_mem, clGetMemObjectInfo, CL_MEM_CONTEXT)
CONTEXT_OF(cl_program, clGetProgramInfo, CL_PROGRAM_CONTEXT)
CONTEXT_OF(cl_kernel, clGetKernelInfo, CL_KERNEL_CONTEXT)
CONTEXT_OF(cl_event, clGetEventInfo, CL_EVENT_CONTEXT)

static cl_context context_of_cl_context(const void *object)
{
    return (cl_context)(uintptr_t)object;
}

static cl_context context_of_nothing(const void *object)
{
    (void)object;
    return NULL;
}

/* Enters an entry point whose arguments begin with one on which it works. */
#define FIRST(first, ...) first
#define FIRST_OF(...)     FIRST(__VA_ARGS__, 0)
#define ENTER(name, one)                                                                           \
    layer_enter(CLNORM_LAYER_##name,                                                               \
                _Generic((one), cl_context                                                         \
                         : context_of_cl_context, cl_command_queue                                 \
                         : context_of_cl_command_queue, cl_mem                                     \
                         : context_of_cl_mem, cl_program                                           \
                         : context_of_cl_program, cl_kernel                                        \
                         : context_of_cl_kernel, cl_event                                          \
                         : context_of_cl_event, default                                            \
                         : context_of_nothing),                                                    \
                (const void *)(uintptr_t)(one))

/* ---- Entry points ---- */

#define REFERENCE(name, type, object, step)                                                        \
    static cl_int CL_API_CALL front_##name(type one)                                               \
    {                                                                                              \
        const cl_int refused = ENTER(name, one);                                                   \
        if (refused != CL_SUCCESS && step > 0)                                                     \
            return refused;                                                                        \
        const cl_int code = behind.name(one);                                                      \
        if (code == CL_SUCCESS)                                                                    \
            layer_count(CLNORM_LAYER_##object, step);                                              \
        return refused != CL_SUCCESS ? refused : code;                                             \
    }

#define CREATOR(name, type, object, parameters, arguments)                                         \
    static type CL_API_CALL front_##name parameters                                                \
    {                                                                                              \
        const cl_int refused = ENTER(name, FIRST_OF arguments);                                    \
        if (refused != CL_SUCCESS) {                                                               \
            if (code)                                                                              \
                *code = refused;                                                                   \
            return NULL;                                                                           \
        }                                                                                          \
        const type made = behind.name arguments;                                                   \
        if (made)                                                                                  \
            layer_count(CLNORM_LAYER_##object, +1);                                                \
        return made;                                                                               \
    }

#define COMMAND(name, parameters, arguments)                                                       \
    static cl_int CL_API_CALL front_##name parameters                                              \
    {                                                                                              \
        const cl_int refused = ENTER(name, FIRST_OF arguments);                                    \
        if (refused != CL_SUCCESS)                                                                 \
            return refused;                                                                        \
        const cl_int code = behind.name arguments;                                                 \
        if (code == CL_SUCCESS && event)                                                           \
            layer_count(CLNORM_LAYER_EVENT, +1);                                                   \
        return code;                                                                               \
    }

#define CALL(name, parameters, arguments)                                                          \
    static cl_int CL_API_CALL front_##name parameters                                              \
    {                                                                                              \
        const cl_int refused = ENTER(name, FIRST_OF arguments);                                    \
        return refused != CL_SUCCESS ? refused : behind.name arguments;                            \
    }

CLNORM_LAYER_REFERENCES(REFERENCE)
CLNORM_LAYER_CREATORS(CREATOR)
CLNORM_LAYER_COMMANDS(COMMAND)
CLNORM_LAYER_CALLS(CALL)

static void *CL_API_CALL front_clEnqueueMapBuffer(cl_command_queue queue, cl_mem memory,
                                                  cl_bool blocking, cl_map_flags flags,
                                                  size_t offset, size_t size, cl_uint waits,
                                                  const cl_event *wait, cl_event *event,
                                                  cl_int *code)
{
    const cl_int refused = ENTER(clEnqueueMapBuffer, queue);
    if (refused != CL_SUCCESS) {
        if (code)
            *code = refused;
        return NULL;
    }
    void *const mapped = behind.clEnqueueMapBuffer(queue, memory, blocking, flags, offset, size,
                                                   waits, wait, event, code);
    if (mapped && event)
        layer_count(CLNORM_LAYER_EVENT, +1);
    return mapped;
}

static cl_int CL_API_CALL front_clWaitForEvents(cl_uint count, const cl_event *events)
{
    const cl_event first = count > 0 && events ? events[0] : NULL;
    const cl_int refused = ENTER(clWaitForEvents, first);
    return refused != CL_SUCCESS ? refused : behind.clWaitForEvents(count, events);
}

/* ---- The loader's interface: cl_loader_layers, CL/cl_layer.h ---- */

CLNORM_LAYER_PUBLIC cl_int CL_API_CALL clGetLayerInfo(cl_layer_info what, size_t room, void *value,
                                                      size_t *size)
{
    static const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    static const char name[] = "clnorm_test_layer";
    switch (what) {
    case CL_LAYER_API_VERSION: return layer_answer(&version, sizeof version, room, value, size);
    case CL_LAYER_NAME: return layer_answer(name, sizeof name, room, value, size);
    default: return CL_INVALID_VALUE;
    }
}

CLNORM_LAYER_PUBLIC cl_int CL_API_CALL clInitLayer(cl_uint count, const cl_icd_dispatch *target,
                                                   cl_uint *own_count, const cl_icd_dispatch **own)
{
    static const cl_uint all = sizeof front / sizeof(void (*)(void));
    if (!target || !own_count || !own || count < all)
        return CL_INVALID_VALUE;
    behind = front = *target;
    layer_disguise(&behind);
#define FRONT(name, ...) front.name = front_##name;
    CLNORM_LAYER_ENTRY_POINTS(FRONT)
#undef FRONT
    *own_count = all;
    *own = &front;
    return CL_SUCCESS;
}
