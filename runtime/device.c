#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"

/* clGetPlatformIDs of the ICD loader when no platform is there (cl_khr_icd). */
#define PLATFORM_NOT_FOUND_KHR (-1001)

static void copy_cut(const char *from, char *text, size_t size)
{
    const size_t length = strlen(from), kept = length < size ? length : size - 1;
    memcpy(text, from, kept);
    text[kept] = 0;
}

void clnorm__device_string(cl_device_id id, cl_device_info what, char *text, size_t size)
{
    char all[1024] = "";
    if (clGetDeviceInfo(id, what, sizeof all - 1, all, NULL) != CL_SUCCESS)
        all[0] = 0;
    copy_cut(all, text, size);
}

static void platform_string(cl_platform_id id, cl_platform_info what, char *text, size_t size)
{
    char all[1024] = "";
    if (clGetPlatformInfo(id, what, sizeof all - 1, all, NULL) != CL_SUCCESS)
        all[0] = 0;
    copy_cut(all, text, size);
}

static cl_uint device_uint(cl_device_id id, cl_device_info what)
{
    cl_uint value = 0;
    return clGetDeviceInfo(id, what, sizeof value, &value, NULL) == CL_SUCCESS ? value : 0;
}

static cl_ulong device_ulong(cl_device_id id, cl_device_info what)
{
    cl_ulong value = 0;
    return clGetDeviceInfo(id, what, sizeof value, &value, NULL) == CL_SUCCESS ? value : 0;
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static struct clnorm_target describe_target(cl_device_id id, cl_device_type type)
{
    const enum clnorm_kind kind = type & CL_DEVICE_TYPE_GPU           ? CLNORM_KIND_GPU
                                  : type & CL_DEVICE_TYPE_ACCELERATOR ? CLNORM_KIND_FPGA
                                                                      : CLNORM_KIND_CPU;
    struct clnorm_target target = clnorm_target_default(kind);
    size_t group = 1;
    clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof group, &group, NULL);
    target.compute_units = (uint32_t)clamp(device_uint(id, CL_DEVICE_MAX_COMPUTE_UNITS), 1, 4096);
    target.max_group = (uint32_t)clamp(group, 1, 65536);
    target.local_memory = device_ulong(id, CL_DEVICE_LOCAL_MEM_SIZE);
    target.f64 = device_ulong(id, CL_DEVICE_DOUBLE_FP_CONFIG) != 0;
    if (kind != CLNORM_KIND_CPU)
        return target;
    target.vector_bytes =
        (uint32_t)clamp(4 * device_uint(id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT), 16, 64);
    const cl_ulong cache = device_ulong(id, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE);
    if (cache > 0)
        target.shared_cache = clamp(cache, target.cache, 1u << 30);
    return target;
}

cl_int clnorm__device_describe(cl_platform_id platform, cl_device_id id,
                               struct clnorm_device *device)
{
    struct clnorm_device d = {.platform = platform, .device = id};
    cl_device_type type = 0;
    const cl_int code = clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    if (code != CL_SUCCESS)
        return code;
    platform_string(platform, CL_PLATFORM_NAME, d.platform_name, sizeof d.platform_name);
    platform_string(platform, CL_PLATFORM_VERSION, d.platform_version, sizeof d.platform_version);
    clnorm__device_string(id, CL_DEVICE_NAME, d.device_name, sizeof d.device_name);
    clnorm__device_string(id, CL_DEVICE_VENDOR, d.vendor, sizeof d.vendor);
    clnorm__device_string(id, CL_DEVICE_VERSION, d.version, sizeof d.version);
    clnorm__device_string(id, CL_DRIVER_VERSION, d.driver, sizeof d.driver);
    d.memory = device_ulong(id, CL_DEVICE_GLOBAL_MEM_SIZE);
    d.max_allocation = device_ulong(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    d.compiler = device_uint(id, CL_DEVICE_COMPILER_AVAILABLE) == CL_TRUE;
    d.host_memory = device_uint(id, CL_DEVICE_HOST_UNIFIED_MEMORY) == CL_TRUE;
    d.target = describe_target(id, type);
    *device = d;
    return CL_SUCCESS;
}

struct list {
    struct clnorm_device *devices;
    size_t count;
};

/* Appends a platform's devices. A platform that cannot list its devices has none. */
static enum clnorm_status add_platform(struct list *list, cl_platform_id platform)
{
    cl_uint count = 0;
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count) != CL_SUCCESS || count == 0)
        return CLNORM_OK;
    cl_device_id *const ids = malloc(count * sizeof *ids);
    struct clnorm_device *const devices =
        realloc(list->devices, (list->count + count) * sizeof *devices);
    if (devices)
        list->devices = devices;
    if (!ids || !devices) {
        free(ids);
        return CLNORM_OUT_OF_MEMORY;
    }
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, ids, NULL) == CL_SUCCESS)
        for (cl_uint i = 0; i < count; i++)
            if (clnorm__device_describe(platform, ids[i], &devices[list->count]) == CL_SUCCESS)
                list->count++;
    free(ids);
    return CLNORM_OK;
}

static enum clnorm_status add_platforms(struct list *list)
{
    cl_uint count = 0;
    const cl_int code = clGetPlatformIDs(0, NULL, &count);
    if (code == PLATFORM_NOT_FOUND_KHR || (code == CL_SUCCESS && count == 0))
        return CLNORM_NO_DEVICE;
    if (code != CL_SUCCESS)
        return clnorm__status_of(code);
    cl_platform_id *const platforms = malloc(count * sizeof *platforms);
    if (!platforms)
        return CLNORM_OUT_OF_MEMORY;
    enum clnorm_status status = clnorm__status_of(clGetPlatformIDs(count, platforms, NULL));
    for (cl_uint i = 0; i < count && status == CLNORM_OK; i++)
        status = add_platform(list, platforms[i]);
    free(platforms);
    return status;
}

enum clnorm_status clnorm_devices_list(struct clnorm_device **devices, size_t *count)
{
    if (!devices || !count)
        return CLNORM_INVALID_ARGUMENT;
    struct list list = {0};
    enum clnorm_status status = add_platforms(&list);
    if (status == CLNORM_OK && list.count == 0)
        status = CLNORM_NO_DEVICE;
    if (status != CLNORM_OK) {
        free(list.devices);
        list = (struct list){0};
    }
    *devices = list.devices;
    *count = list.count;
    return status;
}

/* ---- Selection ---- */

static int contains(const char *text, const char *part)
{
    const size_t length = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < length && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (i == length)
            return 1;
    }
    return 0;
}

static int rank(const struct clnorm_device *device)
{
    static const int kinds[CLNORM_KIND_COUNT] = {
        [CLNORM_KIND_GPU] = 3, [CLNORM_KIND_CPU] = 2, [CLNORM_KIND_FPGA] = 1};
    return (device->compiler ? 10 : 0) + kinds[device->target.kind];
}

static size_t find_best(const struct clnorm_device *devices, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (rank(&devices[i]) > rank(&devices[best]))
            best = i;
    return best;
}

/* The index of the device that the selector names; count when there is none. */
static size_t find_selected(const char *selector, const struct clnorm_device *devices, size_t count)
{
    char *end;
    const unsigned long index = strtoul(selector, &end, 10);
    if (isdigit((unsigned char)selector[0]) && *end == 0 && index < count)
        return index;
    for (size_t i = 0; i < count; i++) {
        char name[sizeof devices->platform_name + sizeof devices->device_name + 1];
        snprintf(name, sizeof name, "%s %s", devices[i].platform_name, devices[i].device_name);
        if (contains(name, selector))
            return i;
    }
    return count;
}

enum clnorm_status clnorm__device_select(const char *selector, struct clnorm_device *device,
                                         char *message, size_t size)
{
    struct clnorm_device *devices;
    size_t count;
    const enum clnorm_status status = clnorm_devices_list(&devices, &count);
    if (status != CLNORM_OK) {
        snprintf(message, size, "%s",
                 status == CLNORM_NO_DEVICE
                     ? "no OpenCL device found: install an OpenCL driver (on Debian, "
                       "pocl-opencl-icd runs on any CPU)"
                     : clnorm_status_text(status));
        return status;
    }
    const size_t chosen =
        selector ? find_selected(selector, devices, count) : find_best(devices, count);
    if (chosen < count)
        *device = devices[chosen];
    else
        snprintf(
            message, size,
            "no OpenCL device is called '%.60s': give an index below %zu or part of a name, as "
            "`clnorm devices` lists them",
            selector, count);
    free(devices);
    return chosen < count ? CLNORM_OK : CLNORM_NO_DEVICE;
}
