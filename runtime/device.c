#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "facts.h"

/* clGetPlatformIDs of the ICD loader when no platform is there (cl_khr_icd). */
#define PLATFORM_NOT_FOUND_KHR (-1001)

/* Properties of OpenCL 2.1 and 3.0, which the headers have for programs of these versions only. */
#define DEVICE_MAX_NUM_SUB_GROUPS     0x105C
#define DEVICE_WORK_GROUP_COLLECTIVES 0x1068

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* How the work-items of a group can work together, beyond OpenCL 1.2. */
static void describe_groups(struct clnorm__facts *facts, struct clnorm_target *target)
{
    char text[128];
    clnorm__facts_text(facts, CL_DEVICE_VERSION, text, sizeof text);
    const unsigned version = clnorm__facts_version(text);
    const cl_uint sub_groups =
        version >= 210 && clnorm__facts_extension(facts, "cl_khr_subgroup_shuffle")
            ? clnorm__facts_uint(facts, DEVICE_MAX_NUM_SUB_GROUPS)
            : 0;
    target->sub_group =
        sub_groups > 0 ? (uint32_t)clamp(target->max_group / sub_groups, 1, 65536) : 0;
    target->collectives = version >= 300
                              ? clnorm__facts_uint(facts, DEVICE_WORK_GROUP_COLLECTIVES) == CL_TRUE
                              : version >= 200;
}

/* The last cache before memory. Sub-devices share it with the others of their device, and count on
 * a part like theirs of the compute units. */
static uint64_t read_shared_cache(struct clnorm__facts *facts, uint32_t units)
{
    const cl_ulong cache = clnorm__facts_ulong(facts, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE);
    struct clnorm__facts of_parent = {.platform = facts->platform};
    clnorm__facts_read(facts, CL_DEVICE_PARENT_DEVICE, &of_parent.device, sizeof(cl_device_id));
    if (!of_parent.device)
        return cache;
    const cl_uint all = clnorm__facts_uint(&of_parent, CL_DEVICE_MAX_COMPUTE_UNITS);
    return all > units ? cache / all * units : cache;
}

static struct clnorm_target describe_target(struct clnorm__facts *facts)
{
    cl_device_type type;
    size_t group;
    clnorm__facts_read(facts, CL_DEVICE_TYPE, &type, sizeof type);
    clnorm__facts_read(facts, CL_DEVICE_MAX_WORK_GROUP_SIZE, &group, sizeof group);
    const enum clnorm_kind kind = type & CL_DEVICE_TYPE_GPU           ? CLNORM_KIND_GPU
                                  : type & CL_DEVICE_TYPE_ACCELERATOR ? CLNORM_KIND_FPGA
                                                                      : CLNORM_KIND_CPU;
    struct clnorm_target target = clnorm_target_default(kind);
    target.compute_units =
        (uint32_t)clamp(clnorm__facts_uint(facts, CL_DEVICE_MAX_COMPUTE_UNITS), 1, 4096);
    target.max_group = (uint32_t)clamp(group, 1, 65536);
    target.local_memory = clnorm__facts_ulong(facts, CL_DEVICE_LOCAL_MEM_SIZE);
    target.f64 = clnorm__facts_ulong(facts, CL_DEVICE_DOUBLE_FP_CONFIG) != 0;
    describe_groups(facts, &target);
    if (kind != CLNORM_KIND_CPU)
        return target;
    const uint64_t floats = clnorm__facts_uint(facts, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT);
    target.vector_bytes = (uint32_t)clamp(4 * floats, 16, 64);
    const uint64_t cache = read_shared_cache(facts, target.compute_units);
    if (cache > 0)
        target.shared_cache = clamp(cache, target.cache, 1u << 30);
    return target;
}

void clnorm__device_describe(struct clnorm__facts *facts, struct clnorm_device *device)
{
    struct clnorm_device d = {.platform = facts->platform, .device = facts->device};
    clnorm__facts_platform_text(facts, CL_PLATFORM_NAME, d.platform_name, sizeof d.platform_name);
    clnorm__facts_platform_text(facts, CL_PLATFORM_VERSION, d.platform_version,
                                sizeof d.platform_version);
    clnorm__facts_text(facts, CL_DEVICE_NAME, d.device_name, sizeof d.device_name);
    clnorm__facts_text(facts, CL_DEVICE_VENDOR, d.vendor, sizeof d.vendor);
    clnorm__facts_text(facts, CL_DEVICE_VERSION, d.version, sizeof d.version);
    clnorm__facts_text(facts, CL_DRIVER_VERSION, d.driver, sizeof d.driver);
    d.memory = clnorm__facts_ulong(facts, CL_DEVICE_GLOBAL_MEM_SIZE);
    d.max_allocation = clnorm__facts_ulong(facts, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    d.compiler = clnorm__facts_uint(facts, CL_DEVICE_COMPILER_AVAILABLE) == CL_TRUE;
    d.host_memory = clnorm__facts_uint(facts, CL_DEVICE_HOST_UNIFIED_MEMORY) == CL_TRUE;
    d.target = describe_target(facts);
    *device = d;
}

/*
 * Platforms that cannot list their devices and devices that cannot be described are left out: they
 * must not stand in the way of others. The last such failure is kept, for when there are no others.
 */
struct list {
    struct clnorm_device *devices;
    size_t count;
    cl_int code;      /* CL_SUCCESS: none was left out */
    const char *call; /* that failed */
};

static void leave_out(struct list *list, cl_int code, const char *call)
{
    list->code = code;
    list->call = call;
}

/* Appends a device; there is room. */
static void add_device(struct list *list, cl_platform_id platform, cl_device_id id)
{
    struct clnorm__facts facts = {.platform = platform, .device = id};
    clnorm__device_describe(&facts, &list->devices[list->count]);
    if (facts.code == CL_SUCCESS)
        list->count++;
    else
        leave_out(list, facts.code, facts.call);
}

static enum clnorm_status add_platform(struct list *list, cl_platform_id platform)
{
    cl_uint count = 0;
    cl_int code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count);
    if (code != CL_SUCCESS && code != CL_DEVICE_NOT_FOUND)
        leave_out(list, code, "clGetDeviceIDs");
    if (code != CL_SUCCESS || count == 0)
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
    code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, ids, NULL);
    if (code != CL_SUCCESS)
        leave_out(list, code, "clGetDeviceIDs");
    for (cl_uint i = 0; i < count && code == CL_SUCCESS; i++)
        add_device(list, platform, ids[i]);
    free(ids);
    return CLNORM_OK;
}

static enum clnorm_status add_platforms(struct list *list)
{
    cl_uint count = 0;
    cl_int code = clGetPlatformIDs(0, NULL, &count);
    if (code == PLATFORM_NOT_FOUND_KHR || (code == CL_SUCCESS && count == 0))
        return CLNORM_OK;
    cl_platform_id *const platforms = code == CL_SUCCESS ? malloc(count * sizeof *platforms) : NULL;
    if (code == CL_SUCCESS && !platforms)
        return CLNORM_OUT_OF_MEMORY;
    if (code == CL_SUCCESS)
        code = clGetPlatformIDs(count, platforms, NULL);
    if (code != CL_SUCCESS)
        leave_out(list, code, "clGetPlatformIDs");
    enum clnorm_status status = CLNORM_OK;
    for (cl_uint i = 0; i < count && code == CL_SUCCESS && status == CLNORM_OK; i++)
        status = add_platform(list, platforms[i]);
    free(platforms);
    return status;
}

/* On failure the list has no devices. */
static enum clnorm_status list_devices(struct list *list)
{
    enum clnorm_status status = add_platforms(list);
    if (status == CLNORM_OK && list->count == 0)
        status = list->code == CL_SUCCESS ? CLNORM_NO_DEVICE : clnorm__status_of(list->code);
    if (status != CLNORM_OK) {
        free(list->devices);
        list->devices = NULL;
        list->count = 0;
    }
    return status;
}

enum clnorm_status clnorm_devices_list(struct clnorm_device **devices, size_t *count)
{
    if (!devices || !count)
        return CLNORM_INVALID_ARGUMENT;
    struct list list = {0};
    const enum clnorm_status status = list_devices(&list);
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
    int last = 0;
    const struct clnorm__quirk *row = NULL;
    while ((row = clnorm__quirk_next(device, row)))
        last |= row->last;
    return (device->compiler ? 10 : 0) + (last ? 0 : kinds[device->target.kind]);
}

/* Of two alike, the one with more compute units; which of two platforms' is not told by that. */
static int is_better(const struct clnorm_device *a, const struct clnorm_device *b)
{
    const int difference = rank(a) - rank(b);
    return difference
               ? difference > 0
               : a->platform == b->platform && a->target.compute_units > b->target.compute_units;
}

static size_t find_best(const struct clnorm_device *devices, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (is_better(&devices[i], &devices[best]))
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

static void explain(const struct list *list, enum clnorm_status status, char *message, size_t size)
{
    if (status == CLNORM_NO_DEVICE)
        snprintf(
            message, size,
            "no OpenCL device found: install an OpenCL driver (on Debian, pocl-opencl-icd runs "
            "on any CPU)");
    else if (list->code != CL_SUCCESS)
        snprintf(message, size, "%s failed with %s (%d)", list->call, clnorm__code_name(list->code),
                 (int)list->code);
    else
        snprintf(message, size, "%s", clnorm_status_text(status));
}

enum clnorm_status clnorm__device_select(const char *selector, struct clnorm_device *device,
                                         char *message, size_t size)
{
    struct list list = {0};
    const enum clnorm_status status = list_devices(&list);
    if (status != CLNORM_OK) {
        explain(&list, status, message, size);
        return status;
    }
    const size_t count = list.count;
    const size_t chosen =
        selector ? find_selected(selector, list.devices, count) : find_best(list.devices, count);
    if (chosen < count)
        *device = list.devices[chosen];
    else
        snprintf(
            message, size,
            "no OpenCL device is called '%.60s': give an index below %zu or part of a name, as "
            "`clnorm devices` lists them",
            selector, count);
    free(list.devices);
    return chosen < count ? CLNORM_OK : CLNORM_NO_DEVICE;
}
