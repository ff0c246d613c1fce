/*
 * A random walk over tensors: kernels, reads and writes on every device there is and on the host,
 * prefetches and evictions, on random ranges, against a model in host memory. What any of them
 * reads must be what the model says; nothing may be stale. Commands of devices often wait at a gate
 * that is opened some steps later, so that work does pile up and a missing wait shows.
 *
 * test_coherence [STEPS [SEED]]
 *
 * ctest runs it over PoCL's pthread, pthread and basic devices and Oclgrind, which has memory of
 * its own; by hand, it takes the devices that OCL_ICD_VENDORS and POCL_DEVICES give.
 */
#include <clnorm/tensor.h>

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

enum {
    SAMPLES = 48,
    SAMPLE_WORDS = 4, /* a tensor is 768 bytes, a multiple of 64 */
    WORDS = SAMPLES * SAMPLE_WORDS,
    MAX_DEVICES = 8,
    TENSORS = 3,
    READS = 24, /* on devices, that are compared later */
    HOLDS = 3   /* accesses for reading that stay for some steps */
};

static const char kernel_text[] =
    "kernel void change(global uint *words, uint offset, uint value) {\n"
    "    size_t i = get_global_id(0);\n"
    "    words[offset + i] = words[offset + i]*3 + value + (uint)i;\n"
    "}\n"
    "kernel void fill(global uint *words, uint offset, uint value) {\n"
    "    size_t i = get_global_id(0);\n"
    "    words[offset + i] = value + (uint)i;\n"
    "}\n";

struct device {
    struct clnorm_context *context;
    cl_context opencl;
    cl_command_queue queue; /* out of order where the device can: nothing is in order by chance */
    cl_program program;
    cl_kernel change, fill;
    cl_mem scratch; /* READS times a tensor */
    cl_event gate;  /* a user event that new commands wait for, or NULL */
    int gated;      /* 1: such commands can be: enqueuing does not run them at once */
};

/* A read on a device whose result has not been looked at yet. */
struct pending_read {
    cl_event event;
    uint32_t got[WORDS], expected[WORDS];
    unsigned words;
    unsigned long step;
};

struct held {
    struct clnorm_access access;
    unsigned tensor;
    struct device *device; /* NULL: the host */
};

static struct {
    unsigned long steps, step;
    uint64_t seed, random;
    struct device devices[MAX_DEVICES];
    unsigned device_count, platform_count;
    struct clnorm_tensor *tensors[TENSORS];
    uint32_t model[TENSORS][WORDS];
    unsigned char views[TENSORS][sizeof(uint32_t) * WORDS + 64];
    struct pending_read reads[READS];
    struct held held[HOLDS];
    unsigned long compared, refused;
} walk;

/* ---- Chance ---- */

static uint32_t draw(uint32_t below)
{
    walk.random = walk.random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((walk.random >> 33) % below);
}

/* ---- Devices ---- */

static void must(cl_int code, const char *what)
{
    if (code != CL_SUCCESS)
        fail_msg("%s failed with %d (step %lu, seed %llu)", what, (int)code, walk.step,
                 (unsigned long long)walk.seed);
}

static void open_device(struct device *device, const struct clnorm_device *found)
{
    struct clnorm_context_options options = {.size = sizeof options, .cache_directory = ""};
    cl_command_queue_properties can = 0;
    char message[256];
    const char *const text = kernel_text;
    cl_int code;
    device->opencl = clCreateContext(NULL, 1, &found->device, NULL, NULL, &code);
    must(code, "clCreateContext");
    options.context = device->opencl;
    if (clnorm_context_create(&options, &device->context, message, sizeof message) != CLNORM_OK)
        fail_msg("%s", message);
    clGetDeviceInfo(found->device, CL_DEVICE_QUEUE_PROPERTIES, sizeof can, &can, NULL);
    device->queue = clCreateCommandQueue(device->opencl, found->device,
                                         can & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &code);
    must(code, "clCreateCommandQueue");
    device->program =
        clCreateProgramWithSource(device->opencl, 1, (const char **)&text, NULL, &code);
    must(code, "clCreateProgramWithSource");
    must(clBuildProgram(device->program, 1, &found->device, "", NULL, NULL), "clBuildProgram");
    device->change = clCreateKernel(device->program, "change", &code);
    must(code, "clCreateKernel");
    device->fill = clCreateKernel(device->program, "fill", &code);
    must(code, "clCreateKernel");
    /* These run commands in this thread, and would wait here for what waits at a gate. */
    device->gated = !strstr(found->platform_name, "Oclgrind") &&
                    strncmp(found->device_name, "basic", strlen("basic")) != 0;
}

static void open_devices(void)
{
    struct clnorm_device *found;
    size_t count;
    assert_int_equal(clnorm_devices_list(&found, &count), CLNORM_OK);
    for (size_t i = 0; i < count && walk.device_count < MAX_DEVICES; i++) {
        walk.platform_count += i == 0 || found[i].platform != found[i - 1].platform;
        open_device(&walk.devices[walk.device_count++], &found[i]);
        printf("%s, %s: %s\n", found[i].platform_name, found[i].device_name,
               found[i].host_memory ? "shares the host's memory" : "has memory of its own");
    }
    free(found);
}

static void close_devices(void)
{
    for (unsigned i = 0; i < walk.device_count; i++) {
        const struct device *const device = &walk.devices[i];
        clReleaseKernel(device->change);
        clReleaseKernel(device->fill);
        clReleaseProgram(device->program);
        clReleaseCommandQueue(device->queue);
        clnorm_context_release(device->context);
        clReleaseContext(device->opencl);
    }
}

/* ---- Gates ---- */

static void open_gates(void)
{
    for (unsigned i = 0; i < walk.device_count; i++) {
        if (!walk.devices[i].gate)
            continue;
        must(clSetUserEventStatus(walk.devices[i].gate, CL_COMPLETE), "clSetUserEventStatus");
        clReleaseEvent(walk.devices[i].gate);
        walk.devices[i].gate = NULL;
    }
}

static void set_gate(struct device *device)
{
    cl_int code;
    if (!device->gated || device->gate)
        return;
    device->gate = clCreateUserEvent(device->opencl, &code);
    must(code, "clCreateUserEvent");
}

/* ---- Reads ---- */

static void compare(const uint32_t *got, const uint32_t *expected, unsigned words,
                    unsigned long step, const char *where)
{
    for (unsigned i = 0; i < words; i++)
        if (got[i] != expected[i])
            fail_msg("stale: word %u of %u read on %s in step %lu is %u, not %u (seed %llu)", i,
                     words, where, step, (unsigned)got[i], (unsigned)expected[i],
                     (unsigned long long)walk.seed);
    walk.compared += words;
}

static void finish_read(struct pending_read *read)
{
    if (!read->event)
        return;
    open_gates();
    must(clWaitForEvents(1, &read->event), "clWaitForEvents");
    clReleaseEvent(read->event);
    read->event = NULL;
    compare(read->got, read->expected, read->words, read->step, "a device");
}

/* ---- Steps ---- */

/* A range of a tensor; at a device, or on the host. */
struct range {
    unsigned tensor;
    struct device *device;
    uint64_t first, count;
    uint32_t *model;
    unsigned words;
};

static struct range draw_range(int with_host)
{
    struct range r = {.tensor = draw(TENSORS)};
    const unsigned where = draw(walk.device_count + (with_host ? 1 : 0));
    r.device = where < walk.device_count ? &walk.devices[where] : NULL;
    r.first = draw(SAMPLES);
    r.count = 1 + draw((uint32_t)(SAMPLES - r.first));
    const unsigned kind = draw(8);
    if (kind < 3 && r.count > 4)
        r.count = 1 + r.count % 4;
    if (kind == 3) {
        r.first = 0;
        r.count = SAMPLES;
    }
    r.model = walk.model[r.tensor] + r.first * SAMPLE_WORDS;
    r.words = (unsigned)r.count * SAMPLE_WORDS;
    return r;
}

/* Whether an access that is held excludes one of the range, or memory it is in must not be joined. */
static int is_excluded(const struct range *range, int writing)
{
    for (unsigned i = 0; i < HOLDS; i++) {
        const struct held *const held = &walk.held[i];
        if (!held->access.tensor || held->tensor != range->tensor ||
            (!writing && held->device != range->device))
            continue;
        if (!writing)
            return 1;
        if (held->access.first < range->first + range->count &&
            range->first < held->access.first + held->access.count)
            return 1;
    }
    return 0;
}

static int acquire(const struct range *range, enum clnorm_access_mode mode,
                   struct clnorm_access *access)
{
    if (!range->device || !range->device->gated)
        open_gates(); /* it would be waited for */
    const enum clnorm_status status = clnorm_tensor_acquire(
        walk.tensors[range->tensor], range->device ? range->device->context : NULL, range->first,
        range->count, mode, access);
    const int writing = (mode & CLNORM_ACCESS_WRITE) != 0;
    if (status == CLNORM_OK) {
        if (writing)
            assert_false(is_excluded(range, 1));
        return 1;
    }
    char text[512];
    clnorm_tensor_error(walk.tensors[range->tensor], text, sizeof text);
    if (status != CLNORM_INVALID_ARGUMENT ||
        (!is_excluded(range, writing) && !is_excluded(range, 0)))
        fail_msg("step %lu, seed %llu: %s", walk.step, (unsigned long long)walk.seed, text);
    walk.refused++;
    return 0;
}

static cl_uint waits_of(const struct device *device, const struct clnorm_access *access,
                        cl_event wait[2])
{
    cl_uint waits = 0;
    if (access->ready)
        wait[waits++] = access->ready;
    if (device->gate)
        wait[waits++] = device->gate;
    return waits;
}

static void release(struct clnorm_access *access, cl_event last)
{
    assert_int_equal(clnorm_access_release(access, last), CLNORM_OK);
    if (last)
        clReleaseEvent(last);
}

static void run_kernel(const struct range *range, int fill, uint32_t value)
{
    struct clnorm_access access;
    const struct device *const device = range->device;
    if (!acquire(range, fill ? CLNORM_ACCESS_WRITE : CLNORM_ACCESS_READ_WRITE, &access))
        return;
    const cl_kernel kernel = fill ? device->fill : device->change;
    const cl_uint offset = (cl_uint)(access.buffer.offset / sizeof(uint32_t));
    const size_t size = range->words;
    cl_event wait[2], last;
    const cl_uint waits = waits_of(device, &access, wait);
    must(clSetKernelArg(kernel, 0, sizeof(cl_mem), &access.buffer.memory), "clSetKernelArg");
    must(clSetKernelArg(kernel, 1, sizeof offset, &offset), "clSetKernelArg");
    must(clSetKernelArg(kernel, 2, sizeof value, &value), "clSetKernelArg");
    must(clEnqueueNDRangeKernel(device->queue, kernel, 1, NULL, &size, NULL, waits,
                                waits ? wait : NULL, &last),
         "clEnqueueNDRangeKernel");
    release(&access, last);
    for (unsigned i = 0; i < range->words; i++)
        range->model[i] = (fill ? 0 : range->model[i] * 3) + value + i;
}

static void read_on_device(const struct range *range)
{
    struct clnorm_access access;
    struct pending_read *const read = &walk.reads[draw(READS)];
    finish_read(read);
    if (!acquire(range, CLNORM_ACCESS_READ, &access))
        return;
    cl_event wait[2];
    const cl_uint waits = waits_of(range->device, &access, wait);
    read->words = range->words;
    read->step = walk.step;
    memcpy(read->expected, range->model, range->words * sizeof(uint32_t));
    must(clEnqueueReadBuffer(range->device->queue, access.buffer.memory, CL_FALSE,
                             access.buffer.offset, range->words * sizeof(uint32_t), read->got,
                             waits, waits ? wait : NULL, &read->event),
         "clEnqueueReadBuffer");
    must(clRetainEvent(read->event), "clRetainEvent");
    release(&access, read->event);
}

static void use_on_host(const struct range *range, enum clnorm_access_mode mode, uint32_t value)
{
    struct clnorm_access access;
    if (!acquire(range, mode, &access))
        return;
    if (mode & CLNORM_ACCESS_READ) {
        uint32_t got[WORDS];
        memcpy(got, access.host, range->words * sizeof(uint32_t));
        compare(got, range->model, range->words, walk.step, "the host");
    }
    for (unsigned i = 0; i < range->words && mode & CLNORM_ACCESS_WRITE; i++) {
        const uint32_t word = range->model[i] = value + i * 7;
        memcpy((unsigned char *)access.host + i * sizeof word, &word, sizeof word);
    }
    release(&access, NULL);
}

/* Takes an access for reading that stays, or gives one back. */
static void hold(const struct range *range)
{
    struct held *const held = &walk.held[draw(HOLDS)];
    if (held->access.tensor)
        release(&held->access, NULL);
    else if (acquire(range, CLNORM_ACCESS_READ, &held->access)) {
        held->tensor = range->tensor;
        held->device = range->device;
    }
}

static void move(const struct range *range, int evict)
{
    struct clnorm_tensor *const tensor = walk.tensors[range->tensor];
    struct clnorm_context *const context = range->device ? range->device->context : NULL;
    if (!range->device || !range->device->gated)
        open_gates();
    const enum clnorm_status status =
        evict ? clnorm_tensor_evict(tensor, context, range->first, range->count)
              : clnorm_tensor_prefetch(tensor, context, range->first, range->count);
    if (status == CLNORM_OK)
        return;
    char text[512];
    clnorm_tensor_error(tensor, text, sizeof text);
    if (status != CLNORM_INVALID_ARGUMENT || !is_excluded(range, 0))
        fail_msg("step %lu, seed %llu: %s", walk.step, (unsigned long long)walk.seed, text);
    walk.refused++;
}

static void abandon(const struct range *range)
{
    struct clnorm_access access;
    if (acquire(range, CLNORM_ACCESS_READ_WRITE, &access))
        clnorm_access_abandon(&access, 0);
}

/* All that a device has goes to the host, and it is forgotten, unless it is in use. */
static void forget(const struct range *range)
{
    struct range all = *range;
    uint64_t lost;
    all.first = 0;
    all.count = SAMPLES;
    if (is_excluded(&all, 0))
        return;
    open_gates();
    move(&all, 1);
    must(clFinish(all.device->queue), "clFinish"); /* its commands must not be running */
    assert_int_equal(clnorm_tensor_forget(walk.tensors[all.tensor], all.device->context, &lost),
                     CLNORM_OK);
    assert_int_equal(lost, 0);
}

static void take_step(void)
{
    const unsigned what = draw(100);
    const uint32_t value = draw(1u << 30);
    const struct range device = draw_range(0), any = draw_range(1);
    struct range host = any;
    host.device = NULL;
    if (draw(8) == 0)
        set_gate(&walk.devices[draw(walk.device_count)]);
    if (draw(12) == 0)
        open_gates();
    if (what < 22)
        run_kernel(&device, 0, value);
    else if (what < 34)
        run_kernel(&device, 1, value);
    else if (what < 52)
        read_on_device(&device);
    else if (what < 60)
        use_on_host(&host, CLNORM_ACCESS_READ, value);
    else if (what < 66)
        use_on_host(&host, CLNORM_ACCESS_WRITE, value);
    else if (what < 69)
        use_on_host(&host, CLNORM_ACCESS_READ_WRITE, value);
    else if (what < 82)
        move(&any, 0);
    else if (what < 91)
        move(&device, 1);
    else if (what < 97)
        hold(&any);
    else if (what < 99)
        abandon(&any);
    else
        forget(&device);
}

/* ---- The walk ---- */

/* One with a view of the library, that devices can share, and two with one that none can. */
static void open_tensors(void)
{
    for (unsigned t = 0; t < TENSORS; t++) {
        const struct clnorm_tensor_options options = {
            .size = sizeof options,
            .samples = SAMPLES,
            .sample_bytes = SAMPLE_WORDS * sizeof(uint32_t),
            .host = t == 0 ? NULL : walk.views[t] + 4,
        };
        assert_int_equal(clnorm_tensor_create(&options, &walk.tensors[t], NULL, 0), CLNORM_OK);
    }
}

static void print_statistics(unsigned t)
{
    const struct clnorm_tensor_statistics s = clnorm_tensor_statistics(walk.tensors[t], NULL);
    printf("tensor %u: %llu hits, %llu misses, %llu copies, %llu handovers, %llu evictions; bytes "
           "to devices %llu, to the host %llu, on devices %llu\n",
           t, (unsigned long long)s.hits, (unsigned long long)s.misses,
           (unsigned long long)s.copies, (unsigned long long)s.handovers,
           (unsigned long long)s.evictions, (unsigned long long)s.bytes_to_device,
           (unsigned long long)s.bytes_to_host, (unsigned long long)s.bytes_on_device);
}

/* What is left under way, and then all of a tensor on the host. */
static void finish(void)
{
    open_gates();
    for (unsigned i = 0; i < HOLDS; i++)
        release(&walk.held[i].access, NULL);
    for (unsigned i = 0; i < READS; i++)
        finish_read(&walk.reads[i]);
    for (unsigned t = 0; t < TENSORS; t++) {
        const struct range all = {
            .tensor = t, .count = SAMPLES, .model = walk.model[t], .words = WORDS};
        use_on_host(&all, CLNORM_ACCESS_READ, 0);
        print_statistics(t);
        clnorm_tensor_release(walk.tensors[t]);
    }
}

static void test_walk(void **state)
{
    (void)state;
    open_devices();
    if (walk.device_count < 3 || walk.platform_count < 2)
        printf("fewer than three devices or two platforms\n");
    open_tensors();
    walk.random = walk.seed;
    for (walk.step = 0; walk.step < walk.steps; walk.step++)
        take_step();
    finish();
    printf("%lu steps on %u devices of %u platforms, seed %llu: %lu words compared, %lu calls "
           "refused\n",
           walk.steps, walk.device_count, walk.platform_count, (unsigned long long)walk.seed,
           walk.compared, walk.refused);
    close_devices();
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_walk)};
    walk.steps = count > 1 ? strtoul(arguments[1], NULL, 10) : 100000;
    walk.seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
