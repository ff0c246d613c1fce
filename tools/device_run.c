#include "device_run.h"

#include "message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW(name)                                                                                  \
    {                                                                                              \
#name, offsetof(struct clnorm_arguments, name)                                             \
    }

const struct device_buffer device_buffers[DEVICE_BUFFERS] = {
    ROW(x),        ROW(y),       ROW(add),   ROW(dy),           ROW(dx),
    ROW(dadd),     ROW(scale),   ROW(shift), ROW(dscale),       ROW(dshift),
    ROW(mean),     ROW(invstd),  ROW(var),   ROW(running_mean), ROW(running_var),
    ROW(moments),  ROW(sums),    ROW(parts), ROW(state),        ROW(renorm_r),
    ROW(renorm_d), ROW(lengths),
};

static struct clnorm_buffer *buffer_at(struct device_run *run, size_t index)
{
    return (struct clnorm_buffer *)((char *)&run->arguments + device_buffers[index].offset);
}

size_t device_buffer_index(const char *name)
{
    size_t i = 0;
    while (i + 1 < DEVICE_BUFFERS && strcmp(device_buffers[i].name, name) != 0)
        i++;
    return i;
}

int no_driver_fail(void)
{
    return fail(
        WORK_FAILED,
        "no OpenCL device on this machine; install an OpenCL driver: for any CPU, on Debian, "
        "'apt install pocl-opencl-icd'");
}

/* Which of two things CLNORM_NO_DEVICE means: the machine has none, or none has that name. */
static int no_device(const char *selector)
{
    struct clnorm_device *devices;
    size_t count = 0;
    if (selector && clnorm_devices_list(&devices, &count) == CLNORM_OK) {
        free(devices);
        return fail(WORK_FAILED,
                    "--device: none of the %zu devices is '%s'; 'clnorm devices' lists them", count,
                    selector);
    }
    return no_driver_fail();
}

int context_open(const char *selector, enum clnorm_kind kind, const char *cache_directory,
                 struct clnorm_context **context)
{
    const struct clnorm_context_options options = {
        .size = sizeof options,
        .device_selector = selector,
        .kind = kind,
        .cache_directory = cache_directory,
    };
    return context_open_with(&options, context);
}

int context_open_with(const struct clnorm_context_options *options, struct clnorm_context **context)
{
    char message[1024] = "";
    const enum clnorm_status status =
        clnorm_context_create(options, context, message, sizeof message);
    if (status == CLNORM_NO_DEVICE)
        return no_device(options->device_selector);
    if (status != CLNORM_OK)
        return fail(WORK_FAILED, "cannot use the device: %s: %s", clnorm_status_text(status),
                    message);
    return DONE;
}

int context_fail(const struct clnorm_context *context, enum clnorm_status status, const char *what)
{
    char detail[1536];
    clnorm_context_error(context, detail, sizeof detail);
    return fail(WORK_FAILED, "cannot %s on %s: %s: %s", what,
                clnorm_context_device(context)->device_name, clnorm_status_text(status), detail);
}

static int opencl_fail(const struct device_run *run, cl_int code, const char *what, size_t index)
{
    return fail(WORK_FAILED,
                "cannot %s '%s' (%zu bytes) on %s: OpenCL error %d; a smaller array or another "
                "--device may do",
                what, device_buffers[index].name, run->sizes[index].bytes,
                clnorm_context_device(run->context)->device_name, (int)code);
}

/* Makes one buffer, of one element at least, since OpenCL knows no empty ones. */
static int make_buffer(struct device_run *run, size_t index)
{
    struct clnorm_buffer_size *const size = &run->sizes[index];
    const struct clnorm_arguments *const a = &run->arguments;
    size->use =
        clnorm_problem_buffer(clnorm_plan_problem(run->plan), device_buffers[index].name, a->batch,
                              a->spatial, a->sets, &size->elements, &size->element_size);
    if (size->use == CLNORM_UNUSED)
        return DONE;
    const uint64_t limit = clnorm_context_device(run->context)->max_allocation;
    if (size->elements > limit / size->element_size)
        return fail(WORK_FAILED,
                    "'%s' has %" PRIu64 " values, and %s takes %" PRIu64
                    " bytes at once; split the batch or use another --device",
                    device_buffers[index].name, size->elements,
                    clnorm_context_device(run->context)->device_name, limit);
    size->bytes = (size_t)size->elements * size->element_size;
    cl_int code;
    buffer_at(run, index)->memory =
        clCreateBuffer(clnorm_context_opencl(run->context), CL_MEM_READ_WRITE,
                       size->bytes ? size->bytes : size->element_size, NULL, &code);
    return code == CL_SUCCESS ? DONE : opencl_fail(run, code, "make", index);
}

int device_run_open(struct device_run *run, struct clnorm_context *context,
                    const struct clnorm_problem *problem, int64_t batch, int64_t spatial)
{
    *run = (struct device_run){
        .context = context,
        .arguments = {.size = sizeof run->arguments, .batch = batch, .spatial = spatial, .sets = 1},
    };
    const enum clnorm_status made = clnorm_plan_create(context, problem, NULL, &run->plan);
    if (made != CLNORM_OK) {
        run->plan = NULL;
        return context_fail(context, made, "make a plan");
    }
    int status = DONE;
    for (size_t i = 0; status == DONE && i < DEVICE_BUFFERS; i++)
        status = make_buffer(run, i);
    return status;
}

int device_run_write(struct device_run *run, size_t index, const void *data)
{
    if (run->sizes[index].bytes == 0)
        return DONE;
    const cl_int code =
        clEnqueueWriteBuffer(clnorm_context_queue(run->context), buffer_at(run, index)->memory,
                             CL_TRUE, 0, run->sizes[index].bytes, data, 0, NULL, NULL);
    return code == CL_SUCCESS ? DONE : opencl_fail(run, code, "write", index);
}

int device_run_read(struct device_run *run, size_t index, void *data)
{
    if (run->sizes[index].bytes == 0)
        return DONE;
    const cl_int code =
        clEnqueueReadBuffer(clnorm_context_queue(run->context), buffer_at(run, index)->memory,
                            CL_TRUE, 0, run->sizes[index].bytes, data, 0, NULL, NULL);
    return code == CL_SUCCESS ? DONE : opencl_fail(run, code, "read", index);
}

int device_run_execute(struct device_run *run)
{
    cl_event done = NULL;
    const enum clnorm_status status = clnorm_plan_run(run->plan, clnorm_context_queue(run->context),
                                                      &run->arguments, 0, NULL, &done);
    if (status != CLNORM_OK)
        return context_fail(run->context, status, "run");
    const cl_int code = clWaitForEvents(1, &done); /* clFinish does not wait on rusticl 22.3 */
    clReleaseEvent(done);
    return code == CL_SUCCESS
               ? DONE
               : fail(WORK_FAILED, "the run on %s failed: OpenCL error %d; try another --device",
                      clnorm_context_device(run->context)->device_name, (int)code);
}

void device_run_close(struct device_run *run)
{
    for (size_t i = 0; i < DEVICE_BUFFERS; i++)
        if (buffer_at(run, i)->memory)
            clReleaseMemObject(buffer_at(run, i)->memory);
    clnorm_plan_release(run->plan);
}
