/*
 * clnorm-bench-group [PROBLEM...]: what it costs to run one batch on several devices. The first
 * device is split into sub-devices of one compute unit each; a group of these is timed against one
 * plan on the whole device, and against a group of one that goes by halves, too. A plan may do in
 * one pass over memory what halves need two for: the second comparison leaves that out.
 *
 * Prints, for each problem, the median times, how much longer the group took by the medians and by
 * the fastest runs, and the bytes moved in a run.
 */
#define _POSIX_C_SOURCE 200809L
#include <clnorm/group.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MEMBERS = 16, RUNS = 21, ROLES = 14 };

static const char *const defaults[] = {
    "forward nchw f32 32x64x56x56 +scale +shift",   "forward nhwc f32 32x64x56x56 +scale +shift",
    "backward nchw f32 32x64x56x56 +scale +shift",  "backward nhwc f32 32x64x56x56 +scale +shift",
    "infer nchw f32 32x64x56x56 +scale +shift",     "forward nchw f32 128x64x56x56 +scale +shift",
    "forward nhwc f32 128x64x56x56 +scale +shift",  "backward nchw f32 128x64x56x56 +scale +shift",
    "backward nhwc f32 128x64x56x56 +scale +shift",
};

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "clnorm-bench-group: %s: %s\n", what, detail);
    exit(1);
}

/* ---- Groups ---- */

struct contestant {
    struct clnorm_context *context[MEMBERS];
    cl_device_id part[MEMBERS]; /* sub-devices, to be released */
    size_t count;
    struct clnorm_group *group;
    struct clnorm_group_plan *plan;
    int by_halves;
    double times[RUNS];
    uint64_t bytes;
};

/* By its being there, a group of one goes by halves. */
static enum clnorm_status nothing_to_exchange(void *user, void *set, size_t bytes)
{
    (void)user;
    (void)set;
    (void)bytes;
    return CLNORM_OK;
}

static void open_group(struct contestant *c)
{
    char message[512] = "";
    const struct clnorm_group_options options = {
        .size = sizeof options, .contexts = c->context, .count = c->count};
    if (clnorm_group_create(&options, &c->group, message, sizeof message) != CLNORM_OK)
        die("the group", message);
}

static void open_whole(struct contestant *c, int by_halves)
{
    char message[512] = "";
    *c = (struct contestant){.count = 1, .by_halves = by_halves};
    if (clnorm_context_create(NULL, &c->context[0], message, sizeof message) != CLNORM_OK)
        die("the device", message);
    open_group(c);
}

static void open_parts(struct contestant *c, cl_device_id whole)
{
    static const cl_device_partition_property by_one[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
    cl_uint count = 0;
    cl_int code;
    char message[512] = "";
    *c = (struct contestant){.count = 0};
    if (clCreateSubDevices(whole, by_one, MEMBERS, c->part, &count) != CL_SUCCESS || count < 2)
        die("clCreateSubDevices", "the device has no sub-devices");
    for (c->count = 0; c->count < count; c->count++) {
        struct clnorm_context_options options = {.size = sizeof options,
                                                 .device = c->part[c->count]};
        options.context = clCreateContext(NULL, 1, &options.device, NULL, NULL, &code);
        if (!options.context || clnorm_context_create(&options, &c->context[c->count], message,
                                                      sizeof message) != CLNORM_OK)
            die("a sub-device", message);
        clReleaseContext(options.context);
    }
    open_group(c);
}

static void close_contestant(struct contestant *c)
{
    clnorm_group_release(c->group);
    for (size_t i = 0; i < c->count; i++) {
        clnorm_context_release(c->context[i]);
        if (c->part[i])
            clReleaseDevice(c->part[i]);
    }
}

/* ---- Tensors ---- */

struct load {
    struct clnorm_group_arguments arguments;
    struct clnorm_tensor *tensor[ROLES];
};

/* Plain data: the time does not depend on them. */
static void fill(struct clnorm_tensor *tensor)
{
    struct clnorm_access access;
    const uint64_t samples = clnorm_tensor_samples(tensor);
    const uint64_t bytes = samples * clnorm_tensor_sample_bytes(tensor);
    if (clnorm_tensor_acquire(tensor, NULL, 0, samples, CLNORM_ACCESS_WRITE, &access) != CLNORM_OK)
        die("a tensor", "cannot be written");
    for (uint64_t i = 0; i < bytes; i++)
        ((unsigned char *)access.host)[i] =
            i % 4 == 3 ? 0x3F : (unsigned char)(i * 2654435761u >> 24);
    clnorm_access_release(&access, NULL);
}

static void open_load(struct load *load, const struct clnorm_problem *problem)
{
    struct clnorm_group_arguments *const a = &load->arguments;
    const struct {
        const char *name;
        struct clnorm_tensor **place;
    } roles[ROLES] = {
        {"x", &a->x},           {"y", &a->y},
        {"add", &a->add},       {"dy", &a->dy},
        {"dx", &a->dx},         {"dadd", &a->dadd},
        {"scale", &a->scale},   {"shift", &a->shift},
        {"dscale", &a->dscale}, {"dshift", &a->dshift},
        {"mean", &a->mean},     {"invstd", &a->invstd},
        {"var", &a->var},       {"moments", &a->moments},
    };
    *load = (struct load){.arguments = {.size = sizeof load->arguments}};
    for (int i = 0; i < ROLES; i++) {
        uint64_t elements = 0;
        size_t size = 0;
        char message[256] = "";
        const uint64_t samples = i < 6 ? (uint64_t)problem->batch : 1;
        if (clnorm_problem_buffer(problem, roles[i].name, problem->batch, problem->spatial, 1,
                                  &elements, &size) == CLNORM_UNUSED)
            continue;
        const struct clnorm_tensor_options options = {
            .size = sizeof options, .samples = samples, .sample_bytes = elements * size / samples};
        if (clnorm_tensor_create(&options, &load->tensor[i], message, sizeof message) != CLNORM_OK)
            die(roles[i].name, message);
        fill(load->tensor[i]);
        *roles[i].place = load->tensor[i];
    }
}

static void close_load(struct load *load)
{
    for (int i = 0; i < ROLES; i++)
        clnorm_tensor_release(load->tensor[i]);
}

/* ---- Times ---- */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double run(struct contestant *c, const struct load *load)
{
    struct clnorm_group_report report[MEMBERS];
    struct clnorm_group_arguments arguments = load->arguments;
    char error[512];
    arguments.exchange = c->by_halves ? nothing_to_exchange : NULL;
    const double start = now();
    const enum clnorm_status status = clnorm_group_run(c->plan, &arguments, report);
    const double seconds = now() - start;
    clnorm_group_error(c->group, error, sizeof error);
    if (status != CLNORM_OK)
        die("a run", error);
    c->bytes = 0;
    for (size_t i = 0; i < c->count; i++)
        c->bytes += report[i].bytes_to_device + report[i].bytes_to_host;
    return seconds;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sort(struct contestant *c)
{
    qsort(c->times, RUNS, sizeof *c->times, compare);
}

/* Each contestant has its own tensors, so that nothing moves between them. They take turns. */
static void measure(struct contestant contestants[3], const char *text)
{
    struct clnorm_problem problem;
    struct load loads[3];
    char message[512] = "";
    if (clnorm_problem_parse(text, &problem, message, sizeof message) != CLNORM_OK)
        die(text, message);
    for (int i = 0; i < 3; i++) {
        if (clnorm_group_plan_create(contestants[i].group, &problem, &contestants[i].plan) !=
            CLNORM_OK) {
            clnorm_group_error(contestants[i].group, message, sizeof message);
            die(text, message);
        }
        open_load(&loads[i], &problem);
        run(&contestants[i], &loads[i]);
        run(&contestants[i], &loads[i]);
    }
    for (int turn = 0; turn < RUNS; turn++)
        for (int i = 0; i < 3; i++)
            contestants[i].times[turn] = run(&contestants[i], &loads[i]);
    for (int i = 0; i < 3; i++)
        sort(&contestants[i]);
    const double *const whole = contestants[0].times, *const halves = contestants[1].times;
    const double *const group = contestants[2].times;
    printf("%-44s %7.3f %7.3f %7.3f  %+5.0f %+5.0f  %+5.0f %+5.0f  %llu\n", text,
           1e3 * whole[RUNS / 2], 1e3 * halves[RUNS / 2], 1e3 * group[RUNS / 2],
           100 * (group[RUNS / 2] / whole[RUNS / 2] - 1), 100 * (group[0] / whole[0] - 1),
           100 * (group[RUNS / 2] / halves[RUNS / 2] - 1), 100 * (group[0] / halves[0] - 1),
           (unsigned long long)contestants[2].bytes);
    fflush(stdout);
    for (int i = 0; i < 3; i++) {
        close_load(&loads[i]);
        clnorm_group_plan_release(contestants[i].plan);
    }
}

int main(int count, char **arguments)
{
    static struct contestant contestants[3];
    const char *const *const problems = count > 1 ? (const char *const *)arguments + 1 : defaults;
    const int problem_count = count > 1 ? count - 1 : (int)(sizeof defaults / sizeof *defaults);
    open_whole(&contestants[0], 0);
    open_whole(&contestants[1], 1);
    open_parts(&contestants[2], clnorm_context_device(contestants[0].context[0])->device);
    printf("%s, %zu sub-devices; median ms, %% by medians and by fastest runs, bytes\n"
           "%-44s    plan  halves   group  over a plan    halves\n",
           clnorm_context_device(contestants[0].context[0])->device_name, contestants[2].count,
           "problem");
    for (int i = 0; i < problem_count; i++)
        measure(contestants, problems[i]);
    for (int i = 0; i < 3; i++)
        close_contestant(&contestants[i]);
    return 0;
}
