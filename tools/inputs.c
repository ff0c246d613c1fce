#define _POSIX_C_SOURCE 200809L
#include "inputs.h"

#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_standard(const char *path)
{
    return strcmp(path, "-") == 0;
}

int input_open(const char *option, const char *path, int *file)
{
    *file = is_standard(path) ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    return *file >= 0
               ? DONE
               : fail(WORK_FAILED, "%s: cannot read '%s': %s", option, path, strerror(errno));
}

void input_close(const char *path, int file)
{
    if (!is_standard(path))
        close(file);
}

int input_fail(const char *option, const char *path, const char *message)
{
    return fail(WORK_FAILED, "%s: %s %s", option, is_standard(path) ? "standard input" : path,
                message);
}

int input_read(const char *option, const char *path, struct npy_array *array)
{
    char message[NPY_MESSAGE_SIZE];
    int file;
    const int status = input_open(option, path, &file);
    if (status != DONE)
        return status;
    const bool good = npy_read(file, array, message);
    input_close(path, file);
    return good ? DONE : input_fail(option, path, message);
}

int input_shape(const char *option, const char *path, const struct npy_header *header,
                enum clnorm_operation operation, uint32_t flags, enum clnorm_layout layout,
                struct input_shape *shape)
{
    char message[256];
    if (header->rank < 2)
        return fail(WORK_FAILED,
                    "%s: %s has %u axes; it needs two or more, batch and channels among them",
                    option, path, header->rank);
    const unsigned channel = layout == CLNORM_NCHW ? 1 : header->rank - 1;
    shape->batch = header->shape[0];
    shape->spatial = 1;
    for (unsigned axis = 1; axis < header->rank; axis++)
        shape->spatial *= axis == channel ? 1 : header->shape[axis];
    shape->problem = (struct clnorm_problem){
        .operation = operation,
        .layout = layout,
        .dtype = header->dtype,
        .batch = CLNORM_ANY,
        .channels = (int64_t)header->shape[channel],
        .spatial = CLNORM_ANY,
        .flags = flags,
    };
    if (clnorm_problem_check(&shape->problem, message, sizeof message) != CLNORM_OK)
        return fail(WORK_FAILED, "%s: %s: %s", option, path, message);
    return DONE;
}

static int take_statistics(const char *option, const char *path, const struct npy_array *array,
                           struct clnorm_moments *moments)
{
    char message[256];
    const struct npy_header *const header = &array->header;
    if (header->dtype != CLNORM_F64 || header->rank != 2 || header->shape[0] != 3)
        return fail(WORK_FAILED,
                    "%s: %s is not an f8 array of three rows (count, mean, m2), as 'clnorm "
                    "moments' writes it",
                    option, path);
    if (clnorm_moments_create((int64_t)header->shape[1], moments) != CLNORM_OK)
        return fail(WORK_FAILED, "%s: %s has %" PRIu64 " channels; there is no memory for them",
                    option, path, header->shape[1]);
    const size_t row = (size_t)header->shape[1];
    const double *const rows = array->data;
    memcpy(moments->count, rows, row * sizeof *rows);
    memcpy(moments->mean, rows + row, row * sizeof *rows);
    memcpy(moments->m2, rows + 2 * row, row * sizeof *rows);
    if (clnorm_moments_check(moments, message, sizeof message) == CLNORM_OK)
        return DONE;
    clnorm_moments_free(moments);
    return fail(WORK_FAILED, "%s: %s: %s", option, path, message);
}

int statistics_read(const char *option, const char *path, struct clnorm_moments *moments)
{
    struct npy_array array;
    int status = input_read(option, path, &array);
    if (status != DONE)
        return status;
    status = take_statistics(option, path, &array, moments);
    npy_free(&array);
    return status;
}

bool statistics_array(const struct clnorm_moments *moments, struct npy_array *array)
{
    const uint64_t channels = (uint64_t)moments->channels;
    const size_t row = (size_t)channels * sizeof(double);
    double *const rows = malloc(3 * row);
    *array = (struct npy_array){
        .header = {.dtype = CLNORM_F64,
                   .rank = 2,
                   .shape = {3, channels},
                   .elements = 3 * channels},
        .data = rows,
        .bytes = 3 * row,
    };
    if (!rows)
        return false;
    memcpy(rows, moments->count, row);
    clnorm_moments_statistics(moments, 0, rows + channels, NULL);
    memcpy(rows + 2 * channels, moments->m2, row);
    return true;
}
