/*
 * limit.c: the memory's speed, which bounds any batch normalization: what copies one tensor (one
 * read, one write), reads one, and writes one from two, by whatever does it fastest here:
 * clEnqueueCopyBuffer, memcpy by all cores, and plain kernels with and without stores that pass the
 * cache by. Which of them bounds an operation is bench_limit_of's affair (results.h).
 */
#include "contestant.h"
#include "crew.h"
#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTOR       64    /* bytes a kernel moves at once */
#define ITEM_BYTES   16384 /* at least, for a work-item */
#define SHARED_BYTES 65536 /* more than that, and memcpy takes all cores */

/*
 * CPUs: work-items with a contiguous piece each. GPUs: neighbours read neighbouring vectors. The
 * sums of `load` keep the compiler from leaving the reads out.
 */
static const char program_text[] =
    "#ifndef __has_builtin\n"
    "#define __has_builtin(name) 0\n"
    "#endif\n"
    "#if __has_builtin(__builtin_nontemporal_store)\n"
    "#define STREAM(value, place) __builtin_nontemporal_store(value, place)\n"
    "#else\n"
    "#define STREAM(value, place) (*(place) = (value))\n"
    "#endif\n"
    "#ifdef STRIDED\n"
    "#define FOR_ALL(i) for (ulong i = get_global_id(0); i < count; i += get_global_size(0))\n"
    "#else\n"
    "#define FOR_ALL(i) \\\n"
    "    for (ulong i = get_global_id(0) * step, end = min(i + step, count); i < end; i++)\n"
    "#endif\n"
    "#define ARGUMENTS global const float16 *a, global const float16 *b, global float16 *to, \\\n"
    "    ulong count, ulong step\n"
    "kernel void copy(ARGUMENTS) { FOR_ALL(i) to[i] = a[i]; }\n"
    "kernel void copy_stream(ARGUMENTS) { FOR_ALL(i) STREAM(a[i], &to[i]); }\n"
    "kernel void triad(ARGUMENTS) { FOR_ALL(i) to[i] = a[i] + b[i]; }\n"
    "kernel void triad_stream(ARGUMENTS) { FOR_ALL(i) STREAM(a[i] + b[i], &to[i]); }\n"
    "kernel void load(ARGUMENTS)\n"
    "{\n"
    "    float16 sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;\n"
    "#ifdef STRIDED\n"
    "    FOR_ALL(i) sum0 += a[i];\n"
    "#else\n"
    "    ulong i = get_global_id(0) * step;\n"
    "    const ulong end = min(i + step, count);\n"
    "    for (; i + 3 < end; i += 4) {\n"
    "        sum0 += a[i];\n"
    "        sum1 += a[i + 1];\n"
    "        sum2 += a[i + 2];\n"
    "        sum3 += a[i + 3];\n"
    "    }\n"
    "    for (; i < end; i++)\n"
    "        sum0 += a[i];\n"
    "#endif\n"
    "    to[get_global_id(0)] = sum0 + sum1 + sum2 + sum3;\n"
    "}\n";

/* The tensors of the case at hand, shared by all that are timed on it. */
struct tensors {
    cl_mem a, b, to;
    void *from, *host; /* memcpy's */
    size_t bytes;
    unsigned users;
};

struct bench_limit {
    const struct bench_device *device; /* not owned */
    struct bench_crew *crew;           /* NULL: nothing is copied on the host */
    cl_program program;
    unsigned threads; /* the crew's */
    int strided;
};

struct state {
    struct bench_limit *limit;
    struct tensors *tensors;
    const struct row *row;
    cl_kernel kernel;
    size_t global, local;
};

/* ---- One run --------------------------------------------------------------------------------- */

static cl_command_queue queue_of(const struct state *const s)
{
    return clnorm_context_queue(s->limit->device->context);
}

static int copy_buffer(const struct state *const s)
{
    const struct tensors *const t = s->tensors;
    return clEnqueueCopyBuffer(queue_of(s), t->a, t->to, 0, 0, t->bytes, 0, NULL, NULL) ==
               CL_SUCCESS &&
           clFinish(queue_of(s)) == CL_SUCCESS;
}

static void copy_share(void *const user, const unsigned index, const unsigned threads)
{
    const struct tensors *const t = user;
    const size_t share = (t->bytes / threads + VECTOR) / VECTOR * VECTOR, start = index * share;
    if (start < t->bytes)
        memcpy((char *)t->host + start, (const char *)t->from + start,
               t->bytes - start < share ? t->bytes - start : share);
}

/* A small copy is not worth a second thread. */
static int copy_memory(const struct state *const s)
{
    if (s->tensors->bytes <= SHARED_BYTES)
        copy_share(s->tensors, 0, 1);
    else
        bench_crew_run(s->limit->crew, copy_share, s->tensors);
    return 1;
}

static int run_kernel(const struct state *const s)
{
    return clEnqueueNDRangeKernel(queue_of(s), s->kernel, 1, NULL, &s->global, &s->local, 0, NULL,
                                  NULL) == CL_SUCCESS &&
           clFinish(queue_of(s)) == CL_SUCCESS;
}

static const struct row {
    enum bench_pattern pattern;
    const char *variant;
    int (*run)(const struct state *s);
    const char *kernel;
} rows[] = {
    {BENCH_COPY, "clEnqueueCopyBuffer", copy_buffer, NULL},
    {BENCH_COPY, "memcpy", copy_memory, NULL},
    {BENCH_COPY, "copy kernel", run_kernel, "copy"},
    {BENCH_COPY, "streaming copy kernel", run_kernel, "copy_stream"},
    {BENCH_READ, "read kernel", run_kernel, "load"},
    {BENCH_TRIAD, "triad kernel", run_kernel, "triad"},
    {BENCH_TRIAD, "streaming triad kernel", run_kernel, "triad_stream"},
};

static int run(struct bench_contestant *const self, const unsigned count, double *const seconds)
{
    const struct state *const s = self->state;
    for (unsigned i = 0; i < count; i++) {
        const double start = bench_now();
        if (!s->row->run(s))
            return bench_fail(BENCH_FAILED, "the limit's %s failed", self->variant);
        seconds[i] = bench_now() - start;
    }
    return BENCH_DONE;
}

/* ---- Tensors --------------------------------------------------------------------------------- */

static void free_tensors(struct tensors *const t)
{
    cl_mem const memory[] = {t->a, t->b, t->to};
    for (size_t i = 0; i < ROWS(memory); i++)
        if (memory[i])
            clReleaseMemObject(memory[i]);
    free(t->from);
    free(t->host);
    free(t);
}

/* Pages that were never written all read as one page of zeros, which is faster than memory. */
static int fill_tensors(const struct bench_limit *const limit, struct tensors *const t,
                        const size_t padded)
{
    cl_mem *const memory[] = {&t->a, &t->b, &t->to};
    int fine = 1;
    memset(t->from, 1, padded);
    if (t->host)
        memset(t->host, 2, padded);
    for (size_t i = 0; fine && i < ROWS(memory); i++) {
        *memory[i] = clCreateBuffer(clnorm_context_opencl(limit->device->context),
                                    CL_MEM_READ_WRITE, padded, NULL, NULL);
        fine = *memory[i] &&
               clEnqueueWriteBuffer(clnorm_context_queue(limit->device->context), *memory[i],
                                    CL_TRUE, 0, padded, t->from, 0, NULL, NULL) == CL_SUCCESS;
    }
    return fine;
}

/* Host memory is kept where memcpy is timed. */
static struct tensors *make_tensors(const struct bench_limit *const limit, const size_t bytes,
                                    const int copies)
{
    const size_t padded = (bytes + VECTOR - 1) / VECTOR * VECTOR;
    struct tensors *const t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->bytes = bytes;
    t->from = malloc(padded);
    t->host = copies ? malloc(padded) : NULL;
    if (!t->from || (copies && !t->host) || !fill_tensors(limit, t, padded)) {
        free_tensors(t);
        return NULL;
    }
    if (!copies) {
        free(t->from);
        t->from = NULL;
    }
    return t;
}

/* ---- Contestants ----------------------------------------------------------------------------- */

static void release(struct bench_contestant *const self)
{
    struct state *const s = self->state;
    if (s->kernel)
        clReleaseKernel(s->kernel);
    if (--s->tensors->users == 0)
        free_tensors(s->tensors);
    free(s);
}

/* Some dozen work-items, fewer where a piece would be tiny (one for each core was no faster); a GPU
 * is filled. */
static void choose_sizes(struct state *const s)
{
    const struct clnorm_target *const target =
        &clnorm_context_device(s->limit->device->context)->target;
    const size_t most = target->compute_units * (s->limit->strided ? 2048 : 16);
    const size_t wanted = s->tensors->bytes / (s->limit->strided ? VECTOR : ITEM_BYTES);
    s->local = s->limit->strided ? (target->max_group < 256 ? target->max_group : 256) : 1;
    s->global = wanted < 1 ? 1 : wanted > most ? most : wanted;
    s->global = (s->global + s->local - 1) / s->local * s->local;
}

static int prepare_kernel(struct state *const s)
{
    const struct tensors *const t = s->tensors;
    const cl_ulong count = (t->bytes + VECTOR - 1) / VECTOR;
    choose_sizes(s);
    const cl_ulong step = (count + s->global - 1) / s->global;
    s->kernel = clCreateKernel(s->limit->program, s->row->kernel, NULL);
    return s->kernel && clSetKernelArg(s->kernel, 0, sizeof t->a, &t->a) == CL_SUCCESS &&
           clSetKernelArg(s->kernel, 1, sizeof t->b, &t->b) == CL_SUCCESS &&
           clSetKernelArg(s->kernel, 2, sizeof t->to, &t->to) == CL_SUCCESS &&
           clSetKernelArg(s->kernel, 3, sizeof count, &count) == CL_SUCCESS &&
           clSetKernelArg(s->kernel, 4, sizeof step, &step) == CL_SUCCESS;
}

static int add(struct bench_limit *const limit, struct tensors *const tensors,
               const struct row *const row, struct bench_roster *const roster)
{
    const int on_host = row->run == copy_memory;
    const char *const label = on_host ? "" : limit->device->label;
    char variant[BENCH_NAME_SIZE];
    snprintf(variant, sizeof variant, "%s%s%s", row->variant, *label ? " on " : "", label);
    struct state *const s = calloc(1, sizeof *s);
    if (!s)
        return 0;
    *s = (struct state){.limit = limit, .tensors = tensors, .row = row};
    struct bench_contestant *const it =
        !row->kernel || prepare_kernel(s) ? bench_roster_add(roster, "limit", variant) : NULL;
    if (!it) {
        if (s->kernel)
            clReleaseKernel(s->kernel);
        free(s);
        return 0;
    }
    tensors->users++;
    it->pattern = row->pattern;
    it->buffers = "reused";
    it->threads = on_host ? limit->threads : limit->device->threads;
    it->state = s;
    it->run = run;
    it->release = release;
    return 1;
}

/* Which patterns bound which operation. */
static int bounds(const enum bench_pattern pattern, const enum clnorm_operation operation)
{
    if (pattern == BENCH_READ)
        return operation != CLNORM_INFER;
    return (pattern == BENCH_TRIAD) == (operation == CLNORM_BACKWARD);
}

static int make_limit(struct bench_limit *const limit, const struct bench_data *const data,
                      struct bench_roster *const roster)
{
    const size_t bytes = (size_t)bench_tensor_bytes(data->one);
    struct tensors *const tensors =
        make_tensors(limit, bytes, limit->crew && bounds(BENCH_COPY, data->one->problem.operation));
    if (!tensors)
        return bench_fail(BENCH_FAILED, "%s: no memory for the limit's copies", data->one->text);
    tensors->users = 1;
    int fine = 1;
    for (size_t i = 0; fine && i < ROWS(rows); i++)
        if (bounds(rows[i].pattern, data->one->problem.operation) &&
            (limit->crew || rows[i].run != copy_memory))
            fine = add(limit, tensors, &rows[i], roster);
    if (--tensors->users == 0)
        free_tensors(tensors);
    return fine ? BENCH_DONE
                : bench_fail(BENCH_FAILED, "%s: the limit's kernels could not be made",
                             data->one->text);
}

int bench_make_limit(struct bench *const bench, const struct bench_data *const data,
                     struct bench_roster *const roster)
{
    int status = BENCH_DONE;
    for (unsigned i = 0; i < bench->devices && status == BENCH_DONE; i++)
        status = make_limit(bench->device[i].limit, data, roster);
    return status;
}

struct bench_limit *bench_limit_open(const struct bench_device *const on, const unsigned threads)
{
    const struct clnorm_device *const device = clnorm_context_device(on->context);
    const char *text = program_text;
    struct bench_limit *const limit = calloc(1, sizeof *limit);
    if (!limit)
        return NULL;
    *limit = (struct bench_limit){.device = on,
                                  .crew = threads ? bench_crew_open(threads) : NULL,
                                  .threads = threads,
                                  .strided = device->target.kind == CLNORM_KIND_GPU};
    limit->program =
        clCreateProgramWithSource(clnorm_context_opencl(on->context), 1, &text, NULL, NULL);
    if ((limit->crew || !threads) && limit->program &&
        clBuildProgram(limit->program, 1, &device->device, limit->strided ? "-DSTRIDED" : "", NULL,
                       NULL) == CL_SUCCESS)
        return limit;
    bench_note("the programs that measure the limit do not build on %s", device->device_name);
    bench_limit_close(limit);
    return NULL;
}

void bench_limit_close(struct bench_limit *const limit)
{
    if (!limit)
        return;
    if (limit->program)
        clReleaseProgram(limit->program);
    bench_crew_close(limit->crew);
    free(limit);
}
