#include "arrays.h"

#include "device_run.h"
#include "inputs.h"
#include "message.h"
#include "outputs.h"
#include "parameters.h"

#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct array_job {
    const struct array_file *files;
    size_t count;
    const struct array_settings *settings;
    struct clnorm_problem problem; /* extents open, so that one program serves every batch */
    uint64_t batch, spatial;
    struct npy_array inputs[ARRAY_FILES_MAX]; /* by row of files */
    struct outputs outputs;
    struct clnorm_context *context;
    struct device_run run;
};

struct array_settings array_settings_default(void)
{
    return (struct array_settings){.epsilon = 1e-5, .momentum = 0.1};
}

static const char *path_of(const struct array_job *job, size_t row)
{
    const char *const *const path =
        (const void *)((const char *)job->settings + job->files[row].path);
    return *path;
}

static int is_output(const struct array_file *file)
{
    return file->role == TENSOR_OUT || file->role == PARAMETER_OUT;
}

/* "2x3x4" */
static const char *shape_text(const struct npy_header *header, char text[128])
{
    size_t length = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < header->rank && length < 100; i++)
        length += (size_t)snprintf(text + length, 128 - length, "%s%" PRIu64, i ? "x" : "",
                                   header->shape[i]);
    return text;
}

static int load_file(struct array_job *job, size_t row)
{
    return input_read(job->files[row].option, path_of(job, row), &job->inputs[row]);
}

/* The problem is that of x: the first row. */
static int take_shape(struct array_job *job, enum clnorm_operation operation, uint32_t flags)
{
    struct input_shape shape;
    for (size_t row = 0; row < job->count; row++)
        flags |= path_of(job, row) ? job->files[row].flag : 0;
    const int status =
        input_shape(job->files[0].option, path_of(job, 0), &job->inputs[0].header, operation, flags,
                    (enum clnorm_layout)job->settings->layout, &shape);
    if (status != DONE)
        return status;
    job->problem = shape.problem;
    job->batch = shape.batch;
    job->spatial = shape.spatial;
    return DONE;
}

static int check_tensor(const struct array_job *job, size_t row)
{
    char wanted[128], found[128];
    const struct npy_header *const x = &job->inputs[0].header;
    const struct npy_header *const other = &job->inputs[row].header;
    if (other->dtype != x->dtype)
        return fail(WORK_FAILED, "%s: %s is %s where %s is %s; save both with one dtype",
                    job->files[row].option, path_of(job, row), clnorm_dtype_name(other->dtype),
                    job->files[0].option, clnorm_dtype_name(x->dtype));
    if (other->rank != x->rank || memcmp(other->shape, x->shape, x->rank * sizeof x->shape[0]) != 0)
        return fail(WORK_FAILED, "%s: %s is %s where %s is %s; both need the same shape",
                    job->files[row].option, path_of(job, row), shape_text(other, found),
                    job->files[0].option, shape_text(x, wanted));
    return DONE;
}

static enum clnorm_dtype parameter_type(const struct array_job *job)
{
    return job->problem.dtype == CLNORM_F64 ? CLNORM_F64 : CLNORM_F32;
}

static int check_parameters(struct array_job *job, size_t row)
{
    char shape[128];
    struct npy_array *const array = &job->inputs[row];
    if (array->header.rank != 1)
        return fail(WORK_FAILED, "%s: %s has %u axes; it needs one, with a value for each channel",
                    job->files[row].option, path_of(job, row), array->header.rank);
    if (array->header.elements != (uint64_t)job->problem.channels)
        return fail(WORK_FAILED,
                    "%s: %s has %" PRIu64 " values, and %s (%s, %s) has %" PRId64
                    " channels; they must agree (see --layout)",
                    job->files[row].option, path_of(job, row), array->header.elements,
                    job->files[0].option, shape_text(&job->inputs[0].header, shape),
                    clnorm_layout_name(job->problem.layout), job->problem.channels);
    if (!parameters_convert(array, parameter_type(job)))
        return fail(WORK_FAILED, "%s: %s: out of memory", job->files[row].option,
                    path_of(job, row));
    return DONE;
}

/* What the file of statistics says of the channels, where mean and variance would come from files
 * of their own. */
static int fill_statistics(struct array_job *job, size_t row, const struct clnorm_moments *moments)
{
    const uint32_t flags = job->settings->biased ? CLNORM_BIASED : 0;
    const size_t bytes = (size_t)moments->channels * sizeof(double);
    for (size_t i = 0; i < job->count; i++) {
        struct npy_array *const array = &job->inputs[i];
        const int mean = strcmp(job->files[i].buffer, "mean") == 0;
        if (i == row || (!mean && strcmp(job->files[i].buffer, "var") != 0))
            continue;
        const uint64_t channels = (uint64_t)moments->channels;
        *array = (struct npy_array){{CLNORM_F64, 1, {channels}, channels}, malloc(bytes), bytes};
        if (!array->data)
            return fail(WORK_FAILED, "%s: out of memory", job->files[row].option);
        clnorm_moments_statistics(moments, flags, mean ? array->data : NULL,
                                  mean ? NULL : array->data);
        if (!parameters_convert(array, parameter_type(job)))
            return fail(WORK_FAILED, "%s: out of memory", job->files[row].option);
    }
    return DONE;
}

static int load_statistics(struct array_job *job, size_t row)
{
    struct clnorm_moments moments;
    int status = statistics_read(job->files[row].option, path_of(job, row), &moments);
    if (status != DONE)
        return status;
    if (moments.channels == job->problem.channels)
        status = fill_statistics(job, row, &moments);
    else
        status =
            fail(WORK_FAILED,
                 "%s: %s is of %" PRId64 " channels, and %s (%s) has %" PRId64
                 "; they must agree (see --layout)",
                 job->files[row].option, path_of(job, row), moments.channels, job->files[0].option,
                 clnorm_layout_name(job->problem.layout), job->problem.channels);
    clnorm_moments_free(&moments);
    return status;
}

static int load_other(struct array_job *job, size_t row)
{
    if (job->files[row].role == STATISTICS_IN)
        return load_statistics(job, row);
    const int status = load_file(job, row);
    if (status != DONE)
        return status;
    return job->files[row].role == TENSOR_IN ? check_tensor(job, row) : check_parameters(job, row);
}

static int load_inputs(struct array_job *job, enum clnorm_operation operation, uint32_t flags)
{
    int status = load_file(job, 0);
    if (status == DONE)
        status = take_shape(job, operation, flags);
    for (size_t row = 1; status == DONE && row < job->count; row++)
        if (!is_output(&job->files[row]) && path_of(job, row))
            status = load_other(job, row);
    return status;
}

static int add_outputs(struct array_job *job)
{
    int status = DONE;
    for (size_t row = 0; status == DONE && row < job->count; row++)
        if (is_output(&job->files[row]) && path_of(job, row))
            status = outputs_add(&job->outputs, job->files[row].option, path_of(job, row));
    return status;
}

/* What the plan reads without a file for it: a scale of ones and a shift of zeros change nothing.
 */
static int upload_default(struct array_job *job, size_t index)
{
    struct npy_array array = {.data = NULL};
    const double value = strcmp(device_buffers[index].name, "scale") == 0 ? 1.0 : 0.0;
    if (!parameters_fill(&array, parameter_type(job), (uint64_t)job->problem.channels, value))
        return fail(WORK_FAILED, "out of memory for %" PRId64 " channels", job->problem.channels);
    const int status = device_run_write(&job->run, index, array.data);
    npy_free(&array);
    return status;
}

static int upload(struct array_job *job)
{
    char loaded[DEVICE_BUFFERS] = {0};
    int status = DONE;
    for (size_t row = 0; status == DONE && row < job->count; row++) {
        const size_t index = device_buffer_index(job->files[row].buffer);
        if (!job->inputs[row].data)
            continue;
        loaded[index] = 1;
        status = device_run_write(&job->run, index, job->inputs[row].data);
        npy_free(&job->inputs[row]);
    }
    for (size_t i = 0; status == DONE && i < DEVICE_BUFFERS; i++)
        if (job->run.sizes[i].use == CLNORM_READ && !loaded[i])
            status = upload_default(job, i);
    return status;
}

/* Tensors have the shape of x, parameters one value for each channel. */
static int download(struct array_job *job, const struct npy_header *x)
{
    int status = DONE;
    size_t next = 0;
    for (size_t row = 0; status == DONE && row < job->count; row++) {
        if (!is_output(&job->files[row]) || !path_of(job, row))
            continue;
        struct npy_array *const array = &job->outputs.items[next++].array;
        const size_t index = device_buffer_index(job->files[row].buffer);
        const uint64_t channels = (uint64_t)job->problem.channels;
        array->header = *x;
        if (job->files[row].role == PARAMETER_OUT)
            array->header = (struct npy_header){parameter_type(job), 1, {channels}, channels};
        array->bytes = job->run.sizes[index].bytes;
        array->data = malloc(array->bytes + 1);
        status = array->data ? device_run_read(&job->run, index, array->data)
                             : fail(WORK_FAILED, "%s: out of memory", job->files[row].option);
    }
    return status;
}

static int run_job(struct array_job *job)
{
    const struct npy_header x = job->inputs[0].header;
    int status = context_open(job->settings->device, CLNORM_KIND_AUTO, NULL, &job->context);
    if (status == DONE)
        status = device_run_open(&job->run, job->context, &job->problem, (int64_t)job->batch,
                                 (int64_t)job->spatial);
    if (status == DONE)
        status = upload(job);
    if (status != DONE)
        return status;
    /* In the library 0 means the default; the smallest double is 0 in f32 arithmetic and adds
     * nothing in f64. */
    job->run.arguments.epsilon = job->settings->epsilon > 0 ? job->settings->epsilon : DBL_TRUE_MIN;
    job->run.arguments.momentum = job->settings->momentum;
    status = device_run_execute(&job->run);
    return status == DONE ? download(job, &x) : status;
}

int array_command(enum clnorm_operation operation, uint32_t flags, const struct array_file *files,
                  size_t count, const struct array_settings *settings)
{
    struct array_job job = {.files = files, .count = count, .settings = settings};
    int status = add_outputs(&job);
    if (status == DONE)
        status = load_inputs(&job, operation, flags);
    if (status == DONE)
        status = run_job(&job);
    if (status == DONE)
        status = outputs_commit(&job.outputs);
    device_run_close(&job.run);
    clnorm_context_release(job.context);
    outputs_free(&job.outputs);
    for (size_t row = 0; row < count; row++)
        npy_free(&job.inputs[row]);
    return status;
}
