#include <stdlib.h>

#include "context.h"

static enum clnorm_status check_program(struct clnorm_context *context, cl_program opencl)
{
    const char *const device = context->device.device_name;
    cl_context owner = NULL;
    cl_build_status built = CL_BUILD_NONE;
    cl_int code = clGetProgramInfo(opencl, CL_PROGRAM_CONTEXT, sizeof owner, &owner, NULL);
    if (code == CL_INVALID_PROGRAM)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                            "options.program is not valid: clGetProgramInfo failed with %s (%d)",
                            clnorm__code_name(code), (int)code);
    if (code != CL_SUCCESS)
        return clnorm__fail_call(context, code, "clGetProgramInfo");
    if (owner != context->opencl)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                            "options.program belongs to another cl_context: make it in the one "
                            "that clnorm_context_opencl gives");
    code = clGetProgramBuildInfo(opencl, context->device.device, CL_PROGRAM_BUILD_STATUS,
                                 sizeof built, &built, NULL);
    if (code == CL_INVALID_DEVICE)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                            "options.program is not for %s: it is of another device", device);
    if (code != CL_SUCCESS)
        return clnorm__fail_call(context, code, "clGetProgramBuildInfo");
    if (built != CL_BUILD_SUCCESS)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                            "options.program is not built for %s: call clBuildProgram first, also "
                            "for one made from a binary",
                            device);
    return CLNORM_OK;
}

static enum clnorm_status fill(struct clnorm_context *context, struct clnorm__program *p,
                               cl_program opencl)
{
    char message[256];
    const enum clnorm_status status =
        clnorm_source_emit(&p->problem, &p->schedule, &p->source, message, sizeof message);
    if (status != CLNORM_OK)
        return clnorm__fail(context, status, "%s", message);
    for (unsigned i = 0; i < CLNORM_STEP_COUNT; i++)
        clnorm_image_kernel(&p->source, (enum clnorm_step)i, p->kernel[i]);
    const cl_int code = clRetainProgram(opencl);
    if (code != CL_SUCCESS)
        return clnorm__fail_call(context, code, "clRetainProgram");
    p->opencl = opencl;
    return clnorm__program_warm(context, p);
}

enum clnorm_status clnorm__program_adopt(struct clnorm_context *context,
                                         const struct clnorm_problem *problem,
                                         const struct clnorm_schedule *schedule, cl_program opencl,
                                         struct clnorm__program **program)
{
    enum clnorm_status status = check_program(context, opencl);
    if (status != CLNORM_OK)
        return status;
    struct clnorm__program *const p = calloc(1, sizeof *p);
    if (!p)
        return clnorm__fail(context, CLNORM_OUT_OF_MEMORY, "out of memory");
    p->problem = *problem;
    p->schedule = *schedule;
    p->origin = CLNORM__ADOPTED;
    p->state = CLNORM__READY;
    status = fill(context, p, opencl);
    if (status == CLNORM_OK)
        *program = p;
    else
        clnorm__program_free(p);
    return status;
}
