/*
 * offline_compiler TEXT BINARY: what a vendor's offline compiler does, for tests: makes a device
 * binary of OpenCL C text, without clnorm, with the driver of the device whose index is in
 * CLNORM_TEST_DEVICE (default 0).
 */
#include <stdio.h>
#include <stdlib.h>

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

enum { TEXT_SIZE = 1 << 20, PLATFORMS = 16, DEVICES = 16 };

/* The device of an index in platform order, as clnorm counts; NULL when there is none. */
static cl_device_id find_device(unsigned long index)
{
    cl_platform_id platforms[PLATFORMS];
    cl_uint platform_count = 0;
    if (clGetPlatformIDs(PLATFORMS, platforms, &platform_count) != CL_SUCCESS)
        return NULL;
    for (cl_uint i = 0; i < platform_count && i < PLATFORMS; i++) {
        cl_device_id devices[DEVICES];
        cl_uint count = 0;
        if (clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, DEVICES, devices, &count) !=
            CL_SUCCESS)
            continue;
        if (index < count)
            return devices[index];
        index -= count;
    }
    return NULL;
}

static cl_program build(const char *text)
{
    const char *const index = getenv("CLNORM_TEST_DEVICE");
    const cl_device_id device = find_device(index ? strtoul(index, NULL, 10) : 0);
    cl_int code;
    const cl_context context = device ? clCreateContext(NULL, 1, &device, NULL, NULL, &code) : NULL;
    if (!context)
        return NULL;
    const cl_program program =
        clCreateProgramWithSource(context, 1, (const char *[]){text}, NULL, &code);
    if (code != CL_SUCCESS ||
        clBuildProgram(program, 1, &device, "-cl-std=CL1.2", NULL, NULL) != CL_SUCCESS)
        return NULL;
    return program;
}

static int write_binary(cl_program program, const char *path)
{
    size_t size = 0;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL) != CL_SUCCESS)
        return 0;
    unsigned char *bytes = malloc(size);
    FILE *const file = fopen(path, "wb");
    const int written =
        bytes && file &&
        clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL) == CL_SUCCESS &&
        fwrite(bytes, 1, size, file) == size;
    free(bytes);
    return file && fclose(file) == 0 && written;
}

int main(int count, char **arguments)
{
    FILE *const file = count == 3 ? fopen(arguments[1], "rb") : NULL;
    char *const text = calloc(1, TEXT_SIZE);
    if (!file || !text || fread(text, 1, TEXT_SIZE - 1, file) == 0)
        return 2;
    fclose(file);
    const cl_program program = build(text);
    free(text);
    if (program && write_binary(program, arguments[2]))
        return 0;
    fprintf(stderr, "offline_compiler: the driver failed\n");
    return 1;
}
