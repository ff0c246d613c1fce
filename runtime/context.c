#define _POSIX_C_SOURCE 200809L
#include "context.h"
#include "facts.h"
#include "options.h"
#include "report.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum clnorm_status refuse_call(struct clnorm__report report, cl_int code, const char *call)
{
    return clnorm__refuse(report, clnorm__status_of(code), "%s failed with %s (%d)", call,
                          clnorm__code_name(code), (int)code);
}

/* The device that a sub-device is a part of; NULL: none. */
static cl_device_id parent_of(cl_device_id device)
{
    cl_device_id parent = NULL;
    clGetDeviceInfo(device, CL_DEVICE_PARENT_DEVICE, sizeof parent, &parent, NULL);
    return parent;
}

/*
 * The caller's device must be one of its context's; without one, the context's first. Of a context
 * that was made for a sub-device, PoCL names the device that this is a part of.
 */
static enum clnorm_status adopt_device(const struct clnorm_context_options *options,
                                       cl_device_id *device, struct clnorm__report report)
{
    size_t bytes = 0;
    cl_int code = clGetContextInfo(options->context, CL_CONTEXT_DEVICES, 0, NULL, &bytes);
    if (code != CL_SUCCESS)
        return refuse_call(report, code, "clGetContextInfo");
    if (bytes < sizeof(cl_device_id))
        return clnorm__refuse(report, CLNORM_INVALID_ARGUMENT,
                              "the given cl_context has no device");
    cl_device_id *const ids = malloc(bytes);
    if (!ids)
        return clnorm__refuse(report, CLNORM_OUT_OF_MEMORY, "out of memory");
    code = clGetContextInfo(options->context, CL_CONTEXT_DEVICES, bytes, ids, NULL);
    cl_device_id found = NULL;
    for (size_t i = 0; i < bytes / sizeof *ids && code == CL_SUCCESS; i++)
        if (!found && (!options->device || options->device == ids[i]))
            found = ids[i];
    for (size_t i = 0; i < bytes / sizeof *ids && code == CL_SUCCESS && !found; i++)
        if (parent_of(options->device) == ids[i])
            found = options->device;
    free(ids);
    if (code != CL_SUCCESS)
        return refuse_call(report, code, "clGetContextInfo");
    if (!found)
        return clnorm__refuse(report, CLNORM_INVALID_ARGUMENT,
                              "the device does not belong to the given cl_context");
    *device = found;
    return CLNORM_OK;
}

static enum clnorm_status describe_device(struct clnorm_context *context, cl_device_id id,
                                          struct clnorm__report report)
{
    struct clnorm__facts facts = {.device = id};
    clnorm__facts_read(&facts, CL_DEVICE_PLATFORM, &facts.platform, sizeof facts.platform);
    clnorm__device_describe(&facts, &context->device);
    return facts.code == CL_SUCCESS ? CLNORM_OK : refuse_call(report, facts.code, facts.call);
}

/* Without a selector, the device that the bundle is for is the best. */
static enum clnorm_status select_device(struct clnorm_context *context, const char *selector,
                                        struct clnorm__report report)
{
    char name[sizeof context->device.platform_name + sizeof context->device.device_name];
    if (!selector && context->bundle) {
        const char *const *const fact = context->bundle->manifest.fact;
        snprintf(name, sizeof name, "%s %s", fact[CLNORM__KEY_PLATFORM_NAME],
                 fact[CLNORM__KEY_DEVICE_NAME]);
        if (clnorm__device_select(name, &context->device, NULL, 0) == CLNORM_OK)
            return CLNORM_OK;
    }
    return clnorm__device_select(selector, &context->device, report.message, report.size);
}

/* Chooses the device and takes or makes the cl_context. */
static enum clnorm_status open_device(struct clnorm_context *context,
                                      const struct clnorm_context_options *options,
                                      struct clnorm__report report)
{
    cl_device_id id = options->device;
    enum clnorm_status status = CLNORM_OK;
    if (options->context)
        status = adopt_device(options, &id, report);
    if (status == CLNORM_OK && id)
        status = describe_device(context, id, report);
    else if (status == CLNORM_OK)
        status = select_device(context, options->device_selector, report);
    if (status != CLNORM_OK)
        return status;
    cl_int code;
    if (options->context) {
        code = clRetainContext(options->context);
        if (code == CL_SUCCESS)
            context->opencl = options->context;
    } else {
        const cl_context_properties properties[] = {
            CL_CONTEXT_PLATFORM, (cl_context_properties)context->device.platform, 0};
        context->opencl =
            clCreateContext(properties, 1, &context->device.device, NULL, NULL, &code);
    }
    if (code == CL_SUCCESS)
        return CLNORM_OK;
    return refuse_call(report, code, options->context ? "clRetainContext" : "clCreateContext");
}

/* The target of another kind, within the limits of this device. */
static struct clnorm_target target_as(enum clnorm_kind kind, const struct clnorm_target *device)
{
    struct clnorm_target target = clnorm_target_default(kind);
    target.compute_units = device->compute_units;
    target.f64 = device->f64;
    target.sub_group = device->sub_group;
    target.collectives = device->collectives;
    if (target.max_group > device->max_group)
        target.max_group = device->max_group;
    if (target.local_memory > device->local_memory)
        target.local_memory = device->local_memory;
    return target;
}

static void append(char *options, size_t size, const char *option)
{
    const size_t length = strlen(options);
    snprintf(options + length, size - length, "%s%s", length > 0 ? " " : "", option);
}

/* Whatever the version of OpenCL C. */
static void add_option(struct clnorm_context *context, const char *option)
{
    append(context->build_options, sizeof context->build_options, option);
    append(context->newer_options, sizeof context->newer_options, option);
}

/* The facts beyond struct clnorm_device that programs depend on. */
static enum clnorm_status read_build_facts(struct clnorm_context *context,
                                           struct clnorm__report report)
{
    struct clnorm__facts facts = {.device = context->device.device};
    const cl_uint vendor = clnorm__facts_uint(&facts, CL_DEVICE_VENDOR_ID);
    const cl_uint bits = clnorm__facts_uint(&facts, CL_DEVICE_ADDRESS_BITS);
    const cl_ulong single = clnorm__facts_ulong(&facts, CL_DEVICE_SINGLE_FP_CONFIG);
    snprintf(context->device_vendor_id, sizeof context->device_vendor_id, "%u", (unsigned)vendor);
    snprintf(context->address_bits, sizeof context->address_bits, "%u", (unsigned)bits);
    clnorm__facts_text(&facts, CL_DEVICE_OPENCL_C_VERSION, context->opencl_c_version,
                       sizeof context->opencl_c_version);
    const int third = clnorm__facts_version(context->device.version) >= 300;
    append(context->build_options, sizeof context->build_options, "-cl-std=CL1.2");
    append(context->newer_options, sizeof context->newer_options,
           third ? "-cl-std=CL3.0" : "-cl-std=CL2.0");
    if (single & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT)
        add_option(context, "-cl-fp32-correctly-rounded-divide-sqrt");
    return facts.code == CL_SUCCESS ? CLNORM_OK : refuse_call(report, facts.code, facts.call);
}

/* Returns the kind of device that schedules are for. */
static enum clnorm_kind apply_quirks(struct clnorm_context *context)
{
    enum clnorm_kind kind = CLNORM_KIND_AUTO;
    const struct clnorm__quirk *row = NULL;
    while ((row = clnorm__quirk_next(&context->device, row))) {
        if (row->options)
            add_option(context, row->options);
        if (row->kind != CLNORM_KIND_AUTO)
            kind = row->kind;
    }
    return kind;
}

const char *clnorm__context_options(const struct clnorm_context *context,
                                    const struct clnorm_schedule *schedule)
{
    return schedule->fold == CLNORM_FOLD_TREE ? context->build_options : context->newer_options;
}

void clnorm__context_facts(const struct clnorm_context *context,
                           const char *field[CLNORM__KEY_FIELD_COUNT])
{
    const struct clnorm_device *const d = &context->device;
    field[CLNORM__KEY_FORMAT] = "";
    field[CLNORM__KEY_LIBRARY] = clnorm_version();
    field[CLNORM__KEY_OPTIONS] = context->build_options;
    field[CLNORM__KEY_PLATFORM_NAME] = d->platform_name;
    field[CLNORM__KEY_PLATFORM_VERSION] = d->platform_version;
    field[CLNORM__KEY_DEVICE_NAME] = d->device_name;
    field[CLNORM__KEY_DEVICE_VENDOR] = d->vendor;
    field[CLNORM__KEY_DEVICE_VENDOR_ID] = context->device_vendor_id;
    field[CLNORM__KEY_DEVICE_VERSION] = d->version;
    field[CLNORM__KEY_DRIVER_VERSION] = d->driver;
    field[CLNORM__KEY_OPENCL_C_VERSION] = context->opencl_c_version;
    field[CLNORM__KEY_ADDRESS_BITS] = context->address_bits;
}

static enum clnorm_status open_bundle(struct clnorm_context *context,
                                      const struct clnorm_context_options *options,
                                      struct clnorm__report report)
{
    context->bundle_only = options->bundle_only != 0;
    if (!options->bundle && !options->bundle_bytes)
        return options->bundle_only
                   ? clnorm__refuse(report, CLNORM_INVALID_ARGUMENT,
                                    "options.bundle_only is set, but no bundle is given")
                   : CLNORM_OK;
    return clnorm__bundle_open(options->bundle, options->bundle_bytes, options->bundle_size,
                               &context->bundle, report.message, report.size);
}

static enum clnorm_status check_bundle(const struct clnorm_context *context,
                                       struct clnorm__report report)
{
    const char *fact[CLNORM__KEY_FIELD_COUNT];
    if (!context->bundle)
        return CLNORM_OK;
    clnorm__context_facts(context, fact);
    return clnorm__bundle_check_device(context->bundle, fact, report.message, report.size);
}

static enum clnorm_status open_context(struct clnorm_context *context,
                                       const struct clnorm_context_options *options,
                                       struct clnorm__report report)
{
    enum clnorm_status status = open_bundle(context, options, report);
    if (status == CLNORM_OK)
        status = open_device(context, options, report);
    if (status != CLNORM_OK)
        return status;
    cl_int code;
    context->queue = clCreateCommandQueue(context->opencl, context->device.device, 0, &code);
    if (code == CL_SUCCESS)
        context->warm_queue =
            clCreateCommandQueue(context->opencl, context->device.device, 0, &code);
    if (code != CL_SUCCESS)
        return refuse_call(report, code, "clCreateCommandQueue");
    status = read_build_facts(context, report);
    const enum clnorm_kind usual = apply_quirks(context);
    const enum clnorm_kind kind = options->kind != CLNORM_KIND_AUTO ? options->kind : usual;
    if (kind != CLNORM_KIND_AUTO)
        context->device.target = target_as(kind, &context->device.target);
    if (status == CLNORM_OK)
        status = check_bundle(context, report);
    if (status != CLNORM_OK)
        return status;
    status = clnorm__store_open(options, &context->store);
    if (status == CLNORM_OK && options->kind == CLNORM_KIND_AUTO) {
        const char *const directory = clnorm__store_directory(context->store);
        context->tuning = clnorm__tuning_open(&context->device, directory);
        status = context->tuning ? CLNORM_OK : CLNORM_OUT_OF_MEMORY;
    }
    return status == CLNORM_OK ? status
                               : clnorm__refuse(report, status, "%s", clnorm_status_text(status));
}

/* Sizes of struct clnorm_context_options in earlier versions. */
static const size_t options_sizes[] = {offsetof(struct clnorm_context_options, bundle), 0};

enum clnorm_status clnorm_context_create(const struct clnorm_context_options *options,
                                         struct clnorm_context **context, char *message,
                                         size_t size)
{
    struct clnorm_context_options all = {.size = sizeof all};
    const struct clnorm__report report = {.message = message, .size = size};
    if (!context)
        return clnorm__refuse(report, CLNORM_INVALID_ARGUMENT,
                              "no place for the context given (NULL)");
    *context = NULL;
    if (options && !clnorm__options_copy(&all, sizeof all, options, options_sizes))
        return clnorm__refuse(report, CLNORM_INVALID_ARGUMENT,
                              "options.size must be sizeof(struct clnorm_context_options)");
    if ((unsigned)all.kind >= CLNORM_KIND_COUNT)
        return clnorm__refuse(report, CLNORM_INVALID_ARGUMENT,
                              "options.kind is not of enum clnorm_kind");
    struct clnorm_context *const made = calloc(1, sizeof *made);
    if (!made)
        return clnorm__refuse(report, CLNORM_OUT_OF_MEMORY, "out of memory");
    made->process = clnorm__process_open();
    pthread_mutex_init(&made->error_mutex, NULL);
    pthread_mutex_init(&made->program_mutex, NULL);
    pthread_cond_init(&made->program_ready, NULL);
    pthread_mutex_init(&made->pool_mutex, NULL);
    const enum clnorm_status status = open_context(made, &all, report);
    if (status != CLNORM_OK) {
        clnorm_context_release(made);
        return status;
    }
    *context = made;
    return CLNORM_OK;
}

void clnorm_context_release(struct clnorm_context *context)
{
    if (!context)
        return;
    if (clnorm__process_is_own(&context->process)) { /* a forked child must not call into OpenCL */
        clnorm__programs_free(context);
        clnorm__bundle_release(context->bundle);
        clnorm__pool_free(context);
        if (context->queue)
            clReleaseCommandQueue(context->queue);
        if (context->warm_queue)
            clReleaseCommandQueue(context->warm_queue);
        if (context->opencl)
            clReleaseContext(context->opencl);
    }
    clnorm__bundle_close(context->bundle);
    clnorm__store_close(context->store);
    clnorm__tuning_close(context->tuning);
    clnorm__process_close(&context->process);
    pthread_mutex_destroy(&context->error_mutex);
    pthread_mutex_destroy(&context->program_mutex);
    pthread_cond_destroy(&context->program_ready);
    pthread_mutex_destroy(&context->pool_mutex);
    free(context->error);
    free(context);
}

cl_context clnorm_context_opencl(const struct clnorm_context *context)
{
    return context->opencl;
}

cl_command_queue clnorm_context_queue(const struct clnorm_context *context)
{
    return context->queue;
}

const struct clnorm_device *clnorm_context_device(const struct clnorm_context *context)
{
    return &context->device;
}

struct clnorm_statistics clnorm_context_statistics(const struct clnorm_context *context)
{
    struct clnorm_context *const c = (struct clnorm_context *)context;
    const struct clnorm__store_counters store = clnorm__store_counters(c->store);
    const struct clnorm__tuning_counters tuning = clnorm__tuning_counters(c->tuning);
    struct clnorm_statistics s = {
        .disk_hits = store.hits,
        .disk_rejects = store.rejects,
        .disk_failures = store.failures,
        .disk_evictions = store.evictions,
        .tuning_hits = tuning.hits,
        .tuning_ignored = tuning.ignored,
    };
    pthread_mutex_lock(&c->program_mutex);
    s.memory_hits = c->memory_hits;
    s.builds = c->builds;
    s.bundle_hits = c->bundle_hits;
    pthread_mutex_unlock(&c->program_mutex);
    pthread_mutex_lock(&c->pool_mutex);
    s.pool_bytes = c->pool_bytes;
    s.pool_peak = c->pool_peak;
    s.pool_hits = c->pool_hits;
    pthread_mutex_unlock(&c->pool_mutex);
    return s;
}
