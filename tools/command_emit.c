#include "commands.h"
#include "device_run.h"
#include "message.h"

#include <stdio.h>

struct settings {
    const char *problem, *device;
    int target;
    unsigned index;
};

static const struct option options[] = {
    {"PROBLEM", OPTION_TEXT, offsetof(struct settings, problem), "P",
     .help = "what to compute, in quotes", .required = 1},
    {"--target", OPTION_CHOICE, offsetof(struct settings, target), "cpu|gpu|fpga",
     .help = "a plain device of this kind (default cpu)", .choices = option_kinds},
    {"--device", OPTION_TEXT, offsetof(struct settings, device), "D",
     .help = "a device of this machine: its real limits"},
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

static int emit(const struct settings *settings)
{
    char message[512];
    struct clnorm_problem problem;
    if (clnorm_problem_parse(settings->problem, &problem, message, sizeof message) != CLNORM_OK)
        return fail(WRONG_USAGE, "PROBLEM: %s", message);
    struct clnorm_target target;
    const int status = find_target(settings, &target);
    if (status != DONE)
        return status;
    struct clnorm_schedule schedule;
    if (!clnorm_schedule_choose(&problem, &target, settings->index, &schedule))
        return fail(WRONG_USAGE,
                    "--schedule-index: this problem has no schedule %u here; try a smaller number",
                    settings->index);
    struct clnorm_source source;
    const enum clnorm_status emitted =
        clnorm_source_emit(&problem, &schedule, &source, message, sizeof message);
    if (emitted != CLNORM_OK)
        return fail(WORK_FAILED, "cannot emit '%s': %s: %s", settings->problem,
                    clnorm_status_text(emitted), message);
    fwrite(source.text, 1, source.length, stdout);
    clnorm_source_free(&source);
    return finish_output();
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings settings = {0};
    const int status = options_parse(self, argc, argv, &settings);
    return status == DONE ? emit(&settings) : status;
}

const struct command command_emit = {
    .name = "emit",
    .summary = "print the OpenCL C of a problem",
    .synopsis = "PROBLEM [--target cpu|gpu|fpga] [--device D] [--schedule-index K]",
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
        "  flags       +scale +shift +add +relu +running +biased +sgd +adam\n",
    .examples =
        "  clnorm emit 'forward nhwc f16 ?x64x? +scale +shift +relu'\n"
        "  clnorm emit 'backward nchw f32 32x256x56x56 +scale' --target gpu > backward.cl\n",
    .options = options,
    .option_count = ROWS(options),
    .run = run,
};
