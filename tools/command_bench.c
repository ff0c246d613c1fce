#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "device_run.h"
#include "message.h"
#include "scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define RUNS_MAX 1000
#define RUNS_MIN 10
#define WARM_UP  3
#define SECONDS  1.0 /* to spend on a problem's runs */

struct settings {
    struct option_list problems;
    const char *device;
    int json;
};

static const struct option options[] = {
    {"PROBLEM...", OPTION_LIST, offsetof(struct settings, problems), "P",
     .help = "problems with fixed extents, each in quotes", .required = 1},
    {"--device", OPTION_TEXT, offsetof(struct settings, device), "D",
     .help = "index or part of a name, as 'clnorm devices' lists"},
    {"--json", OPTION_FLAG, offsetof(struct settings, json), "", .help = "one JSON object a line"},
};

/* Seconds, but for bytes. */
struct measurement {
    struct clnorm_problem problem;
    char text[CLNORM_PROBLEM_TEXT_SIZE], schedule[CLNORM_SCHEDULE_TEXT_SIZE], device[128];
    double plan_compiled, plan_disk, plan_memory;
    double median, least;
    unsigned runs;
    double bytes;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ---- Data ------------------------------------------------------------------------------------ */

/* The bits of numbers in [0.5, 1): sign, exponent and the upper bits are fixed, the lower ones are
 * free. */
static const struct pattern {
    size_t size;
    uint64_t fixed, free;
} patterns[] = {
    [CLNORM_F32] = {4, 0x3f000000u, 0x7fffffu},
    [CLNORM_F64] = {8, 0x3fe0000000000000u, 0xfffffffffffffu},
    [CLNORM_F16] = {2, 0x3800u, 0x3ffu},
    [CLNORM_BF16] = {2, 0x3f00u, 0x7fu},
};

/* A multiplicative generator is random enough for times. Elements are little- or big-endian, as the
 * machine is. */
static void fill(unsigned char *data, size_t bytes, const struct pattern *pattern)
{
    uint64_t state = 1;
    for (size_t at = 0; at + pattern->size <= bytes; at += pattern->size) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const uint64_t bits = pattern->fixed | ((state >> 12) & pattern->free);
        const uint32_t bits32 = (uint32_t)bits;
        const uint16_t bits16 = (uint16_t)bits;
        const void *const from = pattern->size == 8   ? (const void *)&bits
                                 : pattern->size == 4 ? (const void *)&bits32
                                                      : &bits16;
        memcpy(data + at, from, pattern->size);
    }
}

/*
 * Tensors have the problem's dtype; whatever else there is has the parameter type, which differs in
 * size where it differs.
 */
static const struct pattern *pattern_of(const struct clnorm_problem *problem, size_t element_size)
{
    if (element_size == clnorm_dtype_size(problem->dtype))
        return &patterns[problem->dtype];
    return &patterns[element_size == 8 ? CLNORM_F64 : CLNORM_F32];
}

static int fill_buffers(struct device_run *run, const struct clnorm_problem *problem)
{
    int status = DONE;
    for (size_t i = 0; status == DONE && i < DEVICE_BUFFERS; i++) {
        const struct clnorm_buffer_size *const size = &run->sizes[i];
        if (size->use != CLNORM_READ && size->use != CLNORM_READ_WRITTEN)
            continue;
        unsigned char *const data = malloc(size->bytes + 1);
        if (!data)
            return fail(WORK_FAILED, "out of memory for %zu bytes; try a smaller problem",
                        size->bytes);
        fill(data, size->bytes, pattern_of(problem, size->element_size));
        status = device_run_write(run, i, data);
        free(data);
    }
    return status;
}

/* ---- Times ----------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int time_runs(struct device_run *run, struct measurement *m)
{
    double times[RUNS_MAX];
    int status = DONE;
    for (unsigned i = 0; status == DONE && i < WARM_UP; i++)
        status = device_run_execute(run);
    const double end = now() + SECONDS;
    for (m->runs = 0; status == DONE && m->runs < RUNS_MAX && (m->runs < RUNS_MIN || now() < end);
         m->runs++) {
        const double start = now();
        status = device_run_execute(run);
        times[m->runs] = now() - start;
    }
    if (status != DONE)
        return status;
    qsort(times, m->runs, sizeof times[0], by_value);
    m->least = times[0];
    m->median =
        m->runs % 2 ? times[m->runs / 2] : 0.5 * (times[m->runs / 2 - 1] + times[m->runs / 2]);
    return DONE;
}

/* Runs with the problem's buffers; the bytes that must move are those read and those written, each
 * once. */
static int measure_runs(struct clnorm_context *context, struct measurement *m)
{
    struct device_run run;
    int status = device_run_open(&run, context, &m->problem, m->problem.batch, m->problem.spatial);
    if (status == DONE)
        status = fill_buffers(&run, &m->problem);
    if (status == DONE) {
        clnorm_schedule_format(clnorm_plan_schedule(run.plan), m->schedule);
        run.arguments.optimiser.step =
            1; /* with a learning rate of 0: parameters stay as they are */
        for (size_t i = 0; i < DEVICE_BUFFERS; i++)
            m->bytes +=
                (double)run.sizes[i].bytes * (run.sizes[i].use == CLNORM_READ_WRITTEN ? 2 : 1);
        status = time_runs(&run, m);
    }
    device_run_close(&run);
    return status;
}

static int time_plan(struct clnorm_context *context, const struct clnorm_problem *problem,
                     double *seconds)
{
    struct clnorm_plan *plan = NULL;
    const double start = now();
    const enum clnorm_status status = clnorm_plan_create(context, problem, NULL, &plan);
    *seconds = now() - start;
    if (status != CLNORM_OK)
        return context_fail(context, status, "make a plan");
    clnorm_plan_release(plan);
    return DONE;
}

/* The first plan of a new context: compiled when the cache folder is empty, loaded when it has the
 * program. */
static int time_first_plan(const struct settings *settings, const char *cache,
                           const struct clnorm_problem *problem, double *seconds)
{
    struct clnorm_context *context = NULL;
    int status = context_open(settings->device, CLNORM_KIND_AUTO, cache, &context);
    if (status == DONE)
        status = time_plan(context, problem, seconds);
    clnorm_context_release(context);
    return status;
}

static int measure(const struct settings *settings, const char *cache, struct measurement *m)
{
    struct clnorm_context *context = NULL;
    double first;
    int status = time_first_plan(settings, cache, &m->problem, &m->plan_compiled);
    if (status == DONE)
        status = time_first_plan(settings, cache, &m->problem, &m->plan_disk);
    if (status == DONE)
        status = context_open(settings->device, CLNORM_KIND_AUTO, cache, &context);
    if (status == DONE)
        status = time_plan(context, &m->problem, &first);
    if (status == DONE)
        status = time_plan(context, &m->problem, &m->plan_memory);
    if (status == DONE) {
        snprintf(m->device, sizeof m->device, "%s", clnorm_context_device(context)->device_name);
        status = measure_runs(context, m);
    }
    clnorm_context_release(context);
    return status;
}

/* ---- Report ---------------------------------------------------------------------------------- */

static int report_json(const struct measurement *m)
{
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"median_us", 1e6 * m->median},
        {"min_us", 1e6 * m->least},
        {"runs", m->runs},
        {"bytes", m->bytes},
        {"gb_per_s", 1e-9 * m->bytes / m->median},
        {"plan_compiled_us", 1e6 * m->plan_compiled},
        {"plan_disk_us", 1e6 * m->plan_disk},
        {"plan_memory_us", 1e6 * m->plan_memory},
    };
    cJSON *const object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "problem", m->text);
    cJSON_AddStringToObject(object, "device", m->device);
    cJSON_AddStringToObject(object, "schedule", m->schedule);
    for (size_t i = 0; i < ROWS(numbers); i++)
        cJSON_AddNumberToObject(object, numbers[i].name, numbers[i].value);
    return print_json(object);
}

static int report_text(const struct measurement *m)
{
    printf("%s\n  on %s, %s\n", m->text, m->device, m->schedule);
    printf("  run   median %.1f us, least %.1f us of %u runs; %.2f GB/s for %.2f MB\n",
           1e6 * m->median, 1e6 * m->least, m->runs, 1e-9 * m->bytes / m->median, 1e-6 * m->bytes);
    printf("  plan  compiled %.1f ms, from disk %.2f ms, from memory %.1f us\n",
           1e3 * m->plan_compiled, 1e3 * m->plan_disk, 1e6 * m->plan_memory);
    return finish_output();
}

/* ---- The command ----------------------------------------------------------------------------- */

static int parse_problem(const char *text, struct clnorm_problem *problem)
{
    char message[512];
    if (clnorm_problem_parse(text, problem, message, sizeof message) != CLNORM_OK)
        return fail(WRONG_USAGE, "PROBLEM: '%s': %s", text, message);
    if (problem->batch == CLNORM_ANY || problem->spatial == CLNORM_ANY)
        return fail(
            WRONG_USAGE,
            "PROBLEM: '%s': every extent must be a number here, since it is run; replace the '?'",
            text);
    return DONE;
}

/* A cache folder for each problem, so that each is compiled once and loaded once. */
static int bench_problem(const struct settings *settings, const char *scratch, size_t index)
{
    char name[32], cache[SCRATCH_PATH_SIZE];
    struct measurement m = {.runs = 0};
    int status = parse_problem(settings->problems.items[index], &m.problem);
    if (status != DONE)
        return status;
    clnorm_problem_format(&m.problem, m.text);
    snprintf(name, sizeof name, "cache-%zu", index);
    scratch_join(cache, scratch, name);
    mkdir(cache, 0700); /* the cache does without when it must; the plan's times would tell */
    status = measure(settings, cache, &m);
    if (status != DONE)
        return status;
    return settings->json ? report_json(&m) : report_text(&m);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings settings = {.json = 0};
    struct clnorm_problem problem;
    char scratch[SCRATCH_PATH_SIZE], pocl[SCRATCH_PATH_SIZE];
    int status = options_parse(self, argc, argv, &settings);
    for (size_t i = 0; status == DONE && i < settings.problems.count; i++)
        status = parse_problem(settings.problems.items[i], &problem);
    if (status == DONE)
        status = scratch_make(scratch);
    if (status != DONE)
        return status;
    /* PoCL keeps compiled kernels of its own; with those of earlier runs, "compiled" would mean
     * "loaded". */
    scratch_join(pocl, scratch, "pocl");
    mkdir(pocl, 0700);
    setenv("POCL_CACHE_DIR", pocl, 0);
    for (size_t i = 0; status == DONE && i < settings.problems.count; i++)
        status = bench_problem(&settings, scratch, i);
    scratch_remove(scratch);
    return status;
}

const struct command command_bench = {
    .name = "bench",
    .summary = "time problems on a device",
    .synopsis = "PROBLEM... [--device D] [--json]",
    .text = "For each problem: the time of a run, from enqueue until finished; the traffic when\n"
            "everything read and everything written moves once; and the time to make a plan:\n"
            "compiled, with an empty cache; loaded from disk, in a new context; and from memory.\n"
            "PoCL has a kernel cache of its own: unless POCL_CACHE_DIR is set, it starts empty.\n"
            "'clnorm emit --help' explains how a problem is written.\n",
    .examples =
        "  clnorm bench 'forward nchw f32 32x64x56x56 +scale +shift +relu'\n"
        "  clnorm bench 'infer nhwc f32 32x256x56x56' 'backward nhwc f32 32x256x56x56' --json\n",
    .options = options,
    .option_count = ROWS(options),
    .run = run,
};
