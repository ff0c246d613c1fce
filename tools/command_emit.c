#include "commands.h"
#include "device_run.h"
#include "message.h"

#include <stdio.h>
#include <stdlib.h>

struct settings {
    struct option_list problems;
    const char *device;
    int target, image, bounded, dataflow;
    unsigned index;
};

static const struct option options[] = {
    {"PROBLEM...", OPTION_LIST, offsetof(struct settings, problems), "P",
     .help = "what to compute, in quotes; several with --image", .required = 1},
    {"--target", OPTION_CHOICE, offsetof(struct settings, target), "cpu|gpu|fpga",
     .help = "a plain device of this kind (default cpu)", .choices = option_kinds},
    {"--device", OPTION_TEXT, offsetof(struct settings, device), "D",
     .help = "a device of this machine: its real limits"},
    {"--image", OPTION_FLAG, offsetof(struct settings, image), "",
     .help = "for one binary that holds all problems: kernels have names of their own"},
    {"--bounded", OPTION_FLAG, offsetof(struct settings, bounded), "",
     .help = "channels are a bound, for a text that serves several layers; FPGAs only"},
    {"--dataflow", OPTION_FLAG, offsetof(struct settings, dataflow), "",
     .help = "four kernels joined by channels, for a program that launches them itself"},
    {"--schedule-index", OPTION_COUNT, offsetof(struct settings, index), "K",
     .help = "0 is the schedule the library chooses; 1, 2, ... are the others",
     .expects = "a number from 0 to 999", .low = 0, .high = 999},
};

/* The target to emit for: of a kind in general, or of a device of this machine, taken as that kind.
 */
static int find_target(const struct settings *settings, struct clnorm_target *target)
{
    *target = clnorm_target_default((enum clnorm_kind)settings->target);
    if (!settings->device)
        return DONE;
    struct clnorm_context *context = NULL;
    const int status =
        context_open(settings->device, (enum clnorm_kind)settings->target, "", &context);
    if (status == DONE)
        *target = clnorm_context_device(context)->target;
    clnorm_context_release(context);
    return status;
}

/* The text of one problem. */
static int emit_one(const struct settings *settings, const struct clnorm_target *target,
                    const char *text, struct clnorm_source *source)
{
    char message[512];
    struct clnorm_problem problem;
    struct clnorm_schedule schedule;
    if (clnorm_problem_parse(text, &problem, message, sizeof message) != CLNORM_OK)
        return fail(WRONG_USAGE, "PROBLEM: %s", message);
    if (!clnorm_schedule_choose(&problem, target, settings->index, &schedule))
        return fail(WRONG_USAGE,
                    "--schedule-index: this problem has no schedule %u here; try a smaller number",
                    settings->index);
    if (settings->dataflow)
        schedule.walk = CLNORM_WALK_DATAFLOW;
    schedule.bound = settings->bounded ? (uint32_t)problem.channels : 0;
    const enum clnorm_status emitted =
        clnorm_source_emit(&problem, &schedule, source, message, sizeof message);
    if (emitted != CLNORM_OK)
        return fail(WORK_FAILED, "cannot emit '%s': %s: %s", text, clnorm_status_text(emitted),
                    message);
    return DONE;
}

static void print_text(struct clnorm_source *source)
{
    fwrite(source->text, 1, source->length, stdout);
    clnorm_source_free(source);
}

/* Prints the texts of all problems, joined. `sources` has room for them. */
static int emit_image(const struct settings *settings, const struct clnorm_target *target,
                      struct clnorm_source *sources)
{
    const size_t count = settings->problems.count;
    char message[512];
    struct clnorm_source image;
    int status = DONE;
    for (size_t i = 0; status == DONE && i < count; i++)
        status = emit_one(settings, target, settings->problems.items[i], &sources[i]);
    if (status == DONE &&
        clnorm_image_join(sources, count, &image, message, sizeof message) != CLNORM_OK)
        status = fail(WORK_FAILED, "cannot join the texts: %s", message);
    for (size_t i = 0; i < count; i++)
        clnorm_source_free(&sources[i]);
    if (status == DONE)
        print_text(&image);
    return status;
}

static int emit(const struct settings *settings, const struct clnorm_target *target)
{
    if (!settings->image) {
        struct clnorm_source source;
        const int status = emit_one(settings, target, settings->problems.items[0], &source);
        if (status == DONE)
            print_text(&source);
        return status;
    }
    struct clnorm_source *const sources = calloc(settings->problems.count, sizeof *sources);
    if (!sources)
        return fail(WORK_FAILED, "out of memory; free some and try again");
    const int status = emit_image(settings, target, sources);
    free(sources);
    return status;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings settings = {0};
    struct clnorm_target target;
    int status = options_parse(self, argc, argv, &settings);
    if (status == DONE && settings.problems.count > 1 && !settings.image)
        return fail(WRONG_USAGE,
                    "'%s' is one argument too many; put quotes around a problem, or give --image "
                    "to join several",
                    settings.problems.items[1]);
    if (status == DONE && settings.dataflow && (settings.image || settings.bounded))
        return fail(WRONG_USAGE, "--dataflow is for one problem, without --image and --bounded");
    if (status == DONE)
        status = find_target(&settings, &target);
    return status == DONE ? emit(&settings, &target) : status;
}

const struct command command_emit = {
    .name = "emit",
    .summary = "print the OpenCL C of a problem",
    .synopsis = "PROBLEM... [--image] [--target K|--device D] [--bounded|--dataflow] "
                "[--schedule-index K]",
    .text =
        "Prints the kernels the library would compile: OpenCL C 1.2, the same bytes on any "
        "machine.\n"
        "Without --device, no OpenCL driver is needed. A problem is one argument, in quotes:\n"
        "  OPERATION LAYOUT DTYPE DIMS [+FLAG...]\n"
        "  operations  moments merge normalise forward infer backward-sums input-gradient "
        "backward\n"
        "              backward-frozen update\n"
        "  layouts     nchw (channels first) nhwc (channels last)\n"
        "  dtypes      f32 f64 f16 bf16\n"
        "  dims        batch x channels x spatial extents, whatever the layout; ? for any extent\n"
        "  flags       +scale +shift +add +relu +running +biased +sgd +adam +renorm +lengths +ghost=N\n",
    .examples =
        "  clnorm emit 'forward nhwc f16 ?x64x? +scale +shift +relu'\n"
        "  clnorm emit 'backward nchw f32 32x256x56x56 +scale' --target gpu > backward.cl\n",
    .options = options,
    .option_count = ROWS(options),
    .run = run,
};
