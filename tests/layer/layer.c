/* The loader's side of the layer, and an entry point for each row of entry_points.h. */
#include "layer.h"

/* What is behind the layer: the disguise, then the drivers or another layer. And its front. */
static cl_icd_dispatch behind, front;

#define REFERENCE(name, type, object, step)                                                        \
    static cl_int CL_API_CALL front_##name(type one)                                               \
    {                                                                                              \
        const cl_int refused = layer_enter(CLNORM_LAYER_##name);                                   \
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
        const cl_int refused = layer_enter(CLNORM_LAYER_##name);                                   \
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
        const cl_int refused = layer_enter(CLNORM_LAYER_##name);                                   \
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
        const cl_int refused = layer_enter(CLNORM_LAYER_##name);                                   \
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
    const cl_int refused = layer_enter(CLNORM_LAYER_clEnqueueMapBuffer);
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
