#include "binary.h"

#include <stdlib.h>

/* What the driver says about each of a program's devices. */
struct listing {
    cl_uint count;
    cl_device_id *ids;
    size_t *sizes;
    unsigned char **binaries; /* where to put each; NULL: not wanted */
};

static cl_int read_listing(cl_program program, struct listing *listing)
{
    cl_int code = clGetProgramInfo(program, CL_PROGRAM_NUM_DEVICES, sizeof listing->count,
                                   &listing->count, NULL);
    if (code != CL_SUCCESS)
        return code;
    const size_t count = listing->count;
    listing->ids = calloc(count, sizeof *listing->ids);
    listing->sizes = calloc(count, sizeof *listing->sizes);
    listing->binaries = calloc(count, sizeof *listing->binaries);
    if (!listing->ids || !listing->sizes || !listing->binaries)
        return CL_OUT_OF_HOST_MEMORY;
    code = clGetProgramInfo(program, CL_PROGRAM_DEVICES, count * sizeof *listing->ids, listing->ids,
                            NULL);
    if (code != CL_SUCCESS)
        return code;
    return clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, count * sizeof *listing->sizes,
                            listing->sizes, NULL);
}

/* The binary of the device with this number. */
static cl_int read_binary(cl_program program, struct listing *listing, cl_uint mine, void **binary,
                          size_t *size)
{
    if (mine == listing->count || listing->sizes[mine] == 0)
        return CL_INVALID_PROGRAM_EXECUTABLE;
    unsigned char *const bytes = malloc(listing->sizes[mine]);
    if (!bytes)
        return CL_OUT_OF_HOST_MEMORY;
    listing->binaries[mine] = bytes;
    const cl_int code =
        clGetProgramInfo(program, CL_PROGRAM_BINARIES, listing->count * sizeof *listing->binaries,
                         listing->binaries, NULL);
    if (code == CL_SUCCESS) {
        *binary = bytes;
        *size = listing->sizes[mine];
    } else {
        free(bytes);
    }
    return code;
}

cl_int clnorm__binary_take(const struct clnorm_context *context, cl_program program, void **binary,
                           size_t *size, const char **call)
{
    struct listing listing = {0};
    cl_int code = read_listing(program, &listing);
    cl_uint mine = 0;
    while (code == CL_SUCCESS && mine < listing.count &&
           listing.ids[mine] != context->device.device)
        mine++;
    if (code == CL_SUCCESS)
        code = read_binary(program, &listing, mine, binary, size);
    free(listing.binaries);
    free(listing.sizes);
    free(listing.ids);
    *call = "clGetProgramInfo";
    return code;
}

cl_int clnorm__binary_load(const struct clnorm_context *context, const void *binary, size_t size,
                           const char *options, cl_program *program, const char **call)
{
    const unsigned char *const bytes = binary;
    const cl_device_id device = context->device.device;
    cl_int taken = CL_SUCCESS, code;
    const cl_program made = clCreateProgramWithBinary(
        context->opencl, 1, &device, &size, (const unsigned char *[]){bytes}, &taken, &code);
    *program = NULL;
    *call = "clCreateProgramWithBinary";
    if (code != CL_SUCCESS)
        return code;
    code = taken;
    if (code == CL_SUCCESS) {
        *call = "clBuildProgram";
        code = clBuildProgram(made, 1, &device, options, NULL, NULL);
    }
    if (code == CL_SUCCESS)
        *program = made;
    else
        clReleaseProgram(made);
    return code;
}
