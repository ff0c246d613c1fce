/* Another device than the one that is there, as the variables in control.h say. */
#include "layer.h"

#include <stdlib.h>
#include <string.h>

static cl_icd_dispatch real;

static const struct {
    const char *name;
    cl_device_type type;
} types[] = {
    {"accelerator", CL_DEVICE_TYPE_ACCELERATOR},
    {"cpu", CL_DEVICE_TYPE_CPU},
    {"gpu", CL_DEVICE_TYPE_GPU},
};

/* 0: as it is. */
static cl_device_type disguised_type(void)
{
    const char *const wanted = getenv("CLNORM_LAYER_DEVICE_TYPE");
    for (size_t i = 0; wanted && i < sizeof types / sizeof *types; i++)
        if (strcmp(wanted, types[i].name) == 0)
            return types[i].type;
    return 0;
}

static int has_no_compiler(void)
{
    const char *const wanted = getenv("CLNORM_LAYER_NO_COMPILER");
    return wanted && *wanted;
}

cl_int layer_answer(const void *from, size_t bytes, size_t room, void *value, size_t *size)
{
    if (value && room < bytes)
        return CL_INVALID_VALUE;
    if (value)
        memcpy(value, from, bytes);
    if (size)
        *size = bytes;
    return CL_SUCCESS;
}

static cl_int CL_API_CALL get_device_info(cl_device_id id, cl_device_info what, size_t room,
                                          void *value, size_t *size)
{
    static const cl_bool no = CL_FALSE;
    const cl_device_type type = disguised_type();
    const char *const driver = getenv("CLNORM_LAYER_DRIVER_VERSION");
    if (what == CL_DEVICE_TYPE && type)
        return layer_answer(&type, sizeof type, room, value, size);
    if (what == CL_DRIVER_VERSION && driver)
        return layer_answer(driver, strlen(driver) + 1, room, value, size);
    if ((what == CL_DEVICE_COMPILER_AVAILABLE || what == CL_DEVICE_LINKER_AVAILABLE) &&
        has_no_compiler())
        return layer_answer(&no, sizeof no, room, value, size);
    return real.clGetDeviceInfo(id, what, room, value, size);
}

/* All devices have the disguise's type: asked for that one, all are there, and for others none. */
static cl_int CL_API_CALL get_device_ids(cl_platform_id platform, cl_device_type type, cl_uint room,
                                         cl_device_id *ids, cl_uint *count)
{
    const cl_device_type all = CL_DEVICE_TYPE_ALL, any = CL_DEVICE_TYPE_DEFAULT;
    const cl_device_type disguise = disguised_type();
    if (!disguise || type == all || type == any)
        return real.clGetDeviceIDs(platform, type, room, ids, count);
    return type & disguise ? real.clGetDeviceIDs(platform, all, room, ids, count)
                           : CL_DEVICE_NOT_FOUND;
}

/* Programs from binaries have no source, or an empty one. */
static int is_from_source(cl_program program)
{
    size_t size = 0;
    return real.clGetProgramInfo(program, CL_PROGRAM_SOURCE, 0, NULL, &size) == CL_SUCCESS &&
           size > 1;
}

static cl_int CL_API_CALL build_program(cl_program program, cl_uint count,
                                        const cl_device_id *devices, const char *options,
                                        void(CL_CALLBACK *notify)(cl_program, void *), void *user)
{
    if (has_no_compiler() && is_from_source(program))
        return CL_COMPILER_NOT_AVAILABLE;
    return real.clBuildProgram(program, count, devices, options, notify, user);
}

static cl_int CL_API_CALL compile_program(cl_program program, cl_uint count,
                                          const cl_device_id *devices, const char *options,
                                          cl_uint headers, const cl_program *header,
                                          const char **names,
                                          void(CL_CALLBACK *notify)(cl_program, void *), void *user)
{
    if (has_no_compiler())
        return CL_COMPILER_NOT_AVAILABLE;
    return real.clCompileProgram(program, count, devices, options, headers, header, names, notify,
                                 user);
}

static cl_program CL_API_CALL link_program(cl_context context, cl_uint count,
                                           const cl_device_id *devices, const char *options,
                                           cl_uint inputs, const cl_program *input,
                                           void(CL_CALLBACK *notify)(cl_program, void *),
                                           void *user, cl_int *code)
{
    if (!has_no_compiler())
        return real.clLinkProgram(context, count, devices, options, inputs, input, notify, user,
                                  code);
    if (code)
        *code = CL_LINKER_NOT_AVAILABLE;
    return NULL;
}

void layer_disguise(cl_icd_dispatch *dispatch)
{
    real = *dispatch;
    dispatch->clGetDeviceInfo = get_device_info;
    dispatch->clGetDeviceIDs = get_device_ids;
    dispatch->clBuildProgram = build_program;
    dispatch->clCompileProgram = compile_program;
    dispatch->clLinkProgram = link_program;
}
