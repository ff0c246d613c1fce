#include "device.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network_cl.h"

static const char *const kernel_names[KERNEL_COUNT] = {
    [GATHER] = "gather",     [ADD_BIAS] = "add_bias", [RELU_GRADIENT] = "relu_gradient",
    [ADD_ROWS] = "add_rows", [SOFTMAX] = "softmax",   [VARIANCE] = "variance",
};

void die(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("fashion_mnist: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    exit(EXIT_FAILURE);
}

void require_cl(cl_int code, const char *what)
{
    if (code != CL_SUCCESS)
        die("%s failed with OpenCL error %d", what, (int)code);
}

void *allocate(size_t bytes)
{
    void *const memory = malloc(bytes ? bytes : 1);
    if (!memory)
        die("out of memory (%zu bytes)", bytes);
    return memory;
}

static int matches(const struct clnorm_device *device, size_t index, const char *selector)
{
    char *end;
    const unsigned long number = strtoul(selector, &end, 10);
    if (*selector && !*end)
        return number == index;
    char name[2 * sizeof device->device_name];
    snprintf(name, sizeof name, "%s %s", device->platform_name, device->device_name);
    return strstr(name, selector) != NULL;
}

static struct clnorm_device choose(const char *selector)
{
    struct clnorm_device *devices = NULL;
    size_t count = 0;
    const enum clnorm_status status = clnorm_devices_list(&devices, &count);
    if (status != CLNORM_OK)
        die("no OpenCL device: %s", clnorm_status_text(status));
    size_t chosen = count;
    for (size_t i = 0; i < count && chosen == count; i++) {
        if (selector ? matches(&devices[i], i, selector)
                     : devices[i].target.kind == CLNORM_KIND_GPU)
            chosen = i;
    }
    if (chosen == count && selector)
        die("no OpenCL device matches '%s'; `clnorm devices` lists them", selector);
    const struct clnorm_device device = devices[chosen == count ? 0 : chosen];
    free(devices);
    return device;
}

static void build_kernels(struct device *device, cl_device_id id)
{
    const char *text = (const char *)network_cl;
    const size_t length = sizeof network_cl;
    cl_int code;
    device->program = clCreateProgramWithSource(device->context, 1, &text, &length, &code);
    require_cl(code, "clCreateProgramWithSource");
    code = clBuildProgram(device->program, 1, &id, "", NULL, NULL);
    if (code != CL_SUCCESS) {
        char log[4096] = "";
        clGetProgramBuildInfo(device->program, id, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL);
        die("network.cl does not compile (error %d):\n%s", (int)code, log);
    }
    for (int i = 0; i < KERNEL_COUNT; i++) {
        device->kernels[i] = clCreateKernel(device->program, kernel_names[i], &code);
        require_cl(code, kernel_names[i]);
    }
}

struct device device_open(const char *selector)
{
    const struct clnorm_device chosen = choose(selector);
    const cl_context_properties platform[] = {CL_CONTEXT_PLATFORM,
                                              (cl_context_properties)chosen.platform, 0};
    struct device device = {.context = NULL};
    snprintf(device.name, sizeof device.name, "%s", chosen.device_name);
    cl_int code;
    device.context = clCreateContext(platform, 1, &chosen.device, NULL, NULL, &code);
    require_cl(code, "clCreateContext");
    device.queue = clCreateCommandQueue(device.context, chosen.device, 0, &code);
    require_cl(code, "clCreateCommandQueue");
    build_kernels(&device, chosen.device);

    const struct clnorm_context_options options = {
        .size = sizeof options, .context = device.context, .device = chosen.device};
    char message[512];
    if (clnorm_context_create(&options, &device.clnorm, message, sizeof message) != CLNORM_OK)
        die("%s", message);
    return device;
}

void device_close(struct device *device)
{
    clnorm_context_release(device->clnorm);
    for (int i = 0; i < KERNEL_COUNT; i++)
        clReleaseKernel(device->kernels[i]);
    clReleaseProgram(device->program);
    clReleaseCommandQueue(device->queue);
    CLBlastClearCache(); /* its programs keep the context alive otherwise */
    clReleaseContext(device->context);
}

cl_mem device_buffer(const struct device *device, size_t bytes, const void *contents)
{
    const cl_mem_flags flags = CL_MEM_READ_WRITE | (contents ? CL_MEM_COPY_HOST_PTR : 0);
    cl_int code;
    /* The copy is made at once: the contents are not written to, though OpenCL's prototype does not say const. */
    const cl_mem memory =
        clCreateBuffer(device->context, flags, bytes, (void *)(uintptr_t)contents, &code);
    require_cl(code, "clCreateBuffer");
    return memory;
}

void device_clear(const struct device *device, cl_mem memory, size_t floats)
{
    const cl_float zero = 0;
    require_cl(clEnqueueFillBuffer(device->queue, memory, &zero, sizeof zero, 0,
                                   floats * sizeof zero, 0, NULL, NULL),
               "clEnqueueFillBuffer");
}

cl_mem device_zeros(const struct device *device, size_t floats)
{
    const cl_mem memory = device_buffer(device, floats * sizeof(cl_float), NULL);
    device_clear(device, memory, floats);
    return memory;
}

void device_write(const struct device *device, cl_mem memory, size_t bytes, const void *from)
{
    require_cl(clEnqueueWriteBuffer(device->queue, memory, CL_TRUE, 0, bytes, from, 0, NULL, NULL),
               "clEnqueueWriteBuffer");
}

void device_read(const struct device *device, cl_mem memory, size_t bytes, void *to)
{
    require_cl(clEnqueueReadBuffer(device->queue, memory, CL_TRUE, 0, bytes, to, 0, NULL, NULL),
               "clEnqueueReadBuffer");
}

void device_finish(const struct device *device)
{
    require_cl(clFinish(device->queue), "clFinish");
}

void device_run(const struct device *device, enum kernel kernel, size_t columns, size_t rows,
                const struct argument *arguments, cl_uint count)
{
    if (columns == 0 || rows == 0)
        return;
    for (cl_uint i = 0; i < count; i++)
        require_cl(
            clSetKernelArg(device->kernels[kernel], i, arguments[i].size, arguments[i].value),
            kernel_names[kernel]);
    const size_t global[2] = {columns, rows};
    require_cl(clEnqueueNDRangeKernel(device->queue, device->kernels[kernel], 2, NULL, global, NULL,
                                      0, NULL, NULL),
               kernel_names[kernel]);
}

struct clnorm_plan *device_plan(const struct device *device, const char *text)
{
    struct clnorm_problem problem;
    struct clnorm_plan *plan = NULL;
    char message[1024];
    if (clnorm_problem_parse(text, &problem, message, sizeof message) != CLNORM_OK)
        die("%s: %s", text, message);
    if (clnorm_plan_create(device->clnorm, &problem, NULL, &plan) != CLNORM_OK) {
        clnorm_context_error(device->clnorm, message, sizeof message);
        die("%s: %s", text, message);
    }
    return plan;
}

void device_run_plan(const struct device *device, struct clnorm_plan *plan,
                     const struct clnorm_arguments *arguments)
{
    if (clnorm_plan_run(plan, device->queue, arguments, 0, NULL, NULL) != CLNORM_OK) {
        char message[1024];
        clnorm_context_error(device->clnorm, message, sizeof message);
        die("%s", message);
    }
}
