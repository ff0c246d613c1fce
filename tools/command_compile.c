#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "device_run.h"
#include "file.h"
#include "image_text.h"
#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct settings {
    struct option_list problems;
    const char *output, *device, *text, *image;
    int target, add, bounded;
};

static const struct option options[] = {
    {"PROBLEM...", OPTION_LIST, offsetof(struct settings, problems), "P",
     .help = "what plans shall be made for without a compiler, each in quotes"},
    {"-o", OPTION_TEXT, offsetof(struct settings, output), "BUNDLE", .help = "the bundle to write",
     .expects = "a file name", .required = 1},
    {"--add", OPTION_FLAG, offsetof(struct settings, add), "",
     .help = "keep what BUNDLE has for other problems"},
    {"--device", OPTION_TEXT, offsetof(struct settings, device), "D",
     .help = "index or part of a name, as 'clnorm devices' lists"},
    {"--target", OPTION_CHOICE, offsetof(struct settings, target), "cpu|gpu|fpga",
     .help = "schedules meant for this kind of device", .choices = option_kinds},
    {"--bounded", OPTION_FLAG, offsetof(struct settings, bounded), "",
     .help = "channels are a bound: a program serves problems with fewer, too; FPGAs only"},
    {"--image", OPTION_INPUT, offsetof(struct settings, image), "FILE",
     .help = "no PROBLEM: the binary that the vendor's compiler made", .needs = "--text"},
    {"--text", OPTION_INPUT, offsetof(struct settings, text), "FILE",
     .help = "what it made it from: the text of 'clnorm emit --image'", .needs = "--image"},
};

struct work {
    const struct settings *settings;
    struct clnorm_context *context;
    struct request *asked, *kept;
    size_t asked_count, kept_count, kept_room;
    cl_program program; /* of --image */
    struct clnorm_plan **plans;
    size_t plan_count;
};

static int out_of_memory(void)
{
    return fail(WORK_FAILED, "out of memory; free some and try again");
}

/* ---- What goes in ------------------------------------------------------------------------------ */

static int parse_problems(struct work *work)
{
    const struct option_list *const list = &work->settings->problems;
    char message[512];
    work->asked = calloc(list->count, sizeof *work->asked);
    if (!work->asked)
        return out_of_memory();
    for (size_t i = 0; i < list->count; i++)
        if (clnorm_problem_parse(list->items[i], &work->asked[i].problem, message,
                                 sizeof message) != CLNORM_OK)
            return fail(WRONG_USAGE, "PROBLEM: '%s': %s", list->items[i], message);
    work->asked_count = list->count;
    return DONE;
}

/* As plans choose: what tuning found, or the library's choice. */
static void choose_schedules(struct work *work)
{
    const struct clnorm_target *const target = &clnorm_context_device(work->context)->target;
    for (size_t i = 0; i < work->asked_count; i++) {
        struct request *const request = &work->asked[i];
        if (!clnorm_tuning_get(work->context, &request->problem, &request->schedule, NULL))
            clnorm_schedule_choose(&request->problem, target, 0, &request->schedule);
        if (work->settings->bounded)
            request->schedule.bound = (uint32_t)request->problem.channels;
    }
}

static int same_problem(const struct clnorm_problem *a, const struct clnorm_problem *b)
{
    char first[CLNORM_PROBLEM_TEXT_SIZE], second[CLNORM_PROBLEM_TEXT_SIZE];
    clnorm_problem_format(a, first);
    clnorm_problem_format(b, second);
    return strcmp(first, second) == 0;
}

/* Notes a program of the bundle that is not to be replaced. Ends the walk when out of memory. */
static int keep_entry(void *user, const struct clnorm_bundle_entry *entry)
{
    struct work *const work = user;
    for (size_t i = 0; i < work->asked_count; i++)
        if (same_problem(&work->asked[i].problem, entry->problem))
            return 0;
    if (work->kept_count == work->kept_room) {
        const size_t room = 2 * work->kept_room + 16;
        struct request *const more = realloc(work->kept, room * sizeof *more);
        if (!more)
            return 1;
        work->kept = more;
        work->kept_room = room;
    }
    work->kept[work->kept_count++] = (struct request){*entry->problem, *entry->schedule};
    return 0;
}

static int read_kept(struct work *work)
{
    char message[512] = "";
    const enum clnorm_status status =
        clnorm_bundle_visit(work->settings->output, keep_entry, work, message, sizeof message);
    return status == CLNORM_OK ? DONE : fail(WORK_FAILED, "--add: %s", message);
}

/* ---- Devices and programs ---------------------------------------------------------------------- */

static int open_device(struct work *work)
{
    const struct settings *const settings = work->settings;
    const struct clnorm_context_options context_options = {
        .size = sizeof context_options,
        .device_selector = settings->device,
        .kind = (enum clnorm_kind)settings->target,
        .bundle = settings->add ? settings->output : NULL,
    };
    return context_open_with(&context_options, &work->context);
}

static int load_image(struct work *work)
{
    const struct clnorm_device *const device = clnorm_context_device(work->context);
    char *bytes;
    size_t size;
    const int status = file_read("--image", work->settings->image, &bytes, &size);
    if (status != DONE)
        return status;
    const unsigned char *const binary = (const unsigned char *)bytes;
    cl_int taken = CL_SUCCESS, code = CL_INVALID_VALUE;
    if (size > 0)
        work->program =
            clCreateProgramWithBinary(clnorm_context_opencl(work->context), 1, &device->device,
                                      &size, (const unsigned char *[]){binary}, &taken, &code);
    free(bytes);
    if (code == CL_SUCCESS)
        code = taken;
    if (code == CL_SUCCESS)
        code = clBuildProgram(work->program, 1, &device->device, "", NULL, NULL);
    return code == CL_SUCCESS
               ? DONE
               : fail(WORK_FAILED,
                      "--image: the driver of %s does not take '%s': OpenCL error %d; make it for "
                      "this very device",
                      device->device_name, work->settings->image, (int)code);
}

/* ---- Plans ------------------------------------------------------------------------------------- */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Where the program of the plan made last came from. */
static const char *origin_of(const struct clnorm_statistics *before,
                             const struct clnorm_statistics *after)
{
    if (after->builds > before->builds)
        return "compiled";
    if (after->bundle_hits > before->bundle_hits)
        return "kept";
    return after->disk_hits > before->disk_hits ? "from the cache" : "there already";
}

static int make_plan(struct work *work, const struct request *request, cl_program program)
{
    const struct clnorm_plan_options plan_options = {
        .size = sizeof plan_options, .schedule = &request->schedule, .program = program};
    const struct clnorm_statistics before = clnorm_context_statistics(work->context);
    const double start = now();
    char problem[CLNORM_PROBLEM_TEXT_SIZE];
    clnorm_problem_format(&request->problem, problem);
    const enum clnorm_status status = clnorm_plan_create(
        work->context, &request->problem, &plan_options, &work->plans[work->plan_count]);
    if (status != CLNORM_OK)
        return context_fail(work->context, status, "make a program");
    work->plan_count++;
    const struct clnorm_statistics after = clnorm_context_statistics(work->context);
    printf("%s: %s, %.2f s\n", problem, program ? "in the image" : origin_of(&before, &after),
           now() - start);
    fflush(stdout);
    return DONE;
}

static int make_plans(struct work *work)
{
    int status = DONE;
    work->plans = calloc(work->asked_count + work->kept_count, sizeof(struct clnorm_plan *));
    if (!work->plans)
        return out_of_memory();
    for (size_t i = 0; status == DONE && i < work->kept_count; i++)
        status = make_plan(work, &work->kept[i], NULL);
    for (size_t i = 0; status == DONE && i < work->asked_count; i++)
        status = make_plan(work, &work->asked[i], work->program);
    return status;
}

static int write_bundle(struct work *work)
{
    const char *const path = work->settings->output;
    struct stat facts = {0};
    const enum clnorm_status status =
        clnorm_bundle_write(work->context, work->plans, work->plan_count, path);
    if (status != CLNORM_OK)
        return context_fail(work->context, status, "write the bundle");
    stat(path, &facts);
    printf("%zu programs, %lld bytes in %s\n", work->plan_count, (long long)facts.st_size, path);
    return DONE;
}

/* ---- The command ------------------------------------------------------------------------------ */

static int compile(struct work *work)
{
    const int from_image = work->settings->image != NULL;
    int status = from_image
                     ? image_text_read(work->settings->text, &work->asked, &work->asked_count)
                     : parse_problems(work);
    if (status == DONE && work->settings->add)
        status = read_kept(work);
    if (status == DONE)
        status = open_device(work);
    if (status == DONE && from_image)
        status = load_image(work);
    else if (status == DONE)
        choose_schedules(work);
    if (status == DONE)
        status = make_plans(work);
    return status == DONE ? write_bundle(work) : status;
}

static void close_work(struct work *work)
{
    for (size_t i = 0; i < work->plan_count; i++)
        clnorm_plan_release(work->plans[i]);
    free(work->plans);
    if (work->program)
        clReleaseProgram(work->program);
    clnorm_context_release(work->context);
    free(work->asked);
    free(work->kept);
}

static int check(const struct settings *settings)
{
    if ((settings->problems.count > 0) == (settings->image != NULL))
        return fail(WRONG_USAGE, "give problems, or --image with --text: one of the two");
    if (strcmp(settings->output, "-") == 0)
        return fail(WRONG_USAGE, "-o: a bundle is not written to standard output; name a file");
    return DONE;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings settings = {0};
    int status = options_parse(self, argc, argv, &settings);
    if (status == DONE)
        status = check(&settings);
    if (status != DONE)
        return status;
    struct work work = {.settings = &settings};
    status = compile(&work);
    close_work(&work);
    return status;
}

const struct command command_compile = {
    .name = "compile",
    .summary = "make programs ahead of time, for devices without a compiler",
    .synopsis = "PROBLEM...|--image F --text F -o BUNDLE [--add] [--bounded] [--device D] "
                "[--target K]",
    .text =
        "Compiles the programs of problems into one file, a bundle, which an application gives to\n"
        "its context (clnorm_context_options.bundle): plans then need no compiler. It serves the\n"
        "device it was made on, and those that are the same to the version of the driver. A\n"
        "problem with '?' serves every extent there.\n"
        "With --image, the binary comes from the vendor's own compiler, as for FPGAs, which hold\n"
        "one image with all kernels; --text is what that compiler was given, and tells which\n"
        "problems and schedules these are.\n",
    .examples = "  clnorm compile 'forward nchw f32 ?x64x? +scale +shift' 'infer nchw f32 ?x64x?' "
                "-o n.bundle\n"
                "  clnorm compile 'infer nhwc f16 ?x256x?' --add -o n.bundle\n"
                "  clnorm emit --image 'infer nchw f32 ?x64x?' 'moments nchw f32 ?x64x?' --target "
                "fpga > n.cl\n"
                "  clnorm compile --image n.aocx --text n.cl -o n.bundle --device fpga\n",
    .options = options,
    .option_count = ROWS(options),
    .run = run,
};
