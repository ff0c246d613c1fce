#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "device_run.h"
#include "message.h"
#include "verify.h"

#include <stdio.h>
#include <unistd.h>

struct settings {
    const char *device;
    int target, cases, json;
};

static const char *const case_lists[] = {"quick", "small", "portable", "full", NULL};
static const enum clnorm_effort efforts[] = {CLNORM_EFFORT_QUICK, CLNORM_EFFORT_SMALL,
                                             CLNORM_EFFORT_PORTABLE, CLNORM_EFFORT_FULL};

static const struct option options[] = {
    {"--device", OPTION_TEXT, offsetof(struct settings, device), "D",
     .help = "index or part of a name, as 'clnorm devices' lists"},
    {"--target", OPTION_CHOICE, offsetof(struct settings, target), "cpu|gpu|fpga",
     .help = "use the schedules for this kind of device", .choices = option_kinds},
    {"--cases", OPTION_CHOICE, offsetof(struct settings, cases), "small|portable|full",
     .help = "every schedule; every flag, too; all shapes, too: longer", .choices = case_lists},
    {"--json", OPTION_FLAG, offsetof(struct settings, json), "",
     .help = "one JSON object a line for each case"},
};

static const char *const status_names[] = {
    [CLNORM_VERIFY_PASS] = "pass",
    [CLNORM_VERIFY_FAIL] = "fail",
    [CLNORM_VERIFY_UNSUPPORTED] = "unsupported",
};

struct check {
    const struct clnorm_device *device;
    int json, progress, status;
    size_t counts[ROWS(status_names)];
};

static int report_json(const struct check *check, const struct clnorm_verify_result *result)
{
    const struct {
        const char *name, *text;
    } texts[] = {
        {"platform", check->device->platform_name},
        {"device", check->device->device_name},
        {"problem", result->problem},
        {"target", result->target},
        {"schedule", result->schedule},
        {"status", status_names[result->status]},
        {"detail", result->detail},
    };
    cJSON *const object = cJSON_CreateObject();
    for (size_t i = 0; i < ROWS(texts); i++)
        cJSON_AddStringToObject(object, texts[i].name, texts[i].text);
    cJSON_AddNumberToObject(object, "max_error", result->max_error);
    cJSON_AddNumberToObject(object, "tolerance", result->tolerance);
    return print_json(object);
}

static void report_text(const struct clnorm_verify_result *result)
{
    printf("%-12s%9.1e of %7.1e  %-7s %s  [%s]\n", status_names[result->status], result->max_error,
           result->tolerance, result->target, result->problem, result->schedule);
    if (result->detail[0])
        printf("            %s\n", result->detail);
}

static int report(void *user, const struct clnorm_verify_result *result, size_t index, size_t total)
{
    struct check *const check = user;
    check->counts[result->status]++;
    if (check->progress)
        fprintf(stderr, "\r\033[K");
    if (check->json)
        check->status = report_json(check, result);
    else
        report_text(result);
    if (check->progress) {
        fflush(stdout);
        fprintf(stderr, "%zu of %zu", index + 1, total);
    }
    return check->status;
}

static int summary(const struct check *check)
{
    const size_t failed = check->counts[CLNORM_VERIFY_FAIL];
    if (!check->json)
        printf("%zu passed, %zu failed, %zu unsupported\n", check->counts[CLNORM_VERIFY_PASS],
               failed, check->counts[CLNORM_VERIFY_UNSUPPORTED]);
    const int status = finish_output();
    if (status != DONE || failed == 0)
        return status;
    return fail(
        WORK_FAILED,
        "%s: %zu cases are further from the f64 reference than allowed; do not trust this device's "
        "results, and report the lines that say 'fail'",
        check->device->device_name, failed);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings settings = {.json = 0};
    struct clnorm_context *context = NULL;
    int status = options_parse(self, argc, argv, &settings);
    if (status == DONE)
        status = context_open(settings.device, (enum clnorm_kind)settings.target, NULL, &context);
    if (status != DONE)
        return status;
    struct check check = {
        .device = clnorm_context_device(context),
        .json = settings.json,
        .progress = isatty(STDERR_FILENO),
        .status = DONE,
    };
    if (!check.json)
        printf("%s, %s\n", check.device->platform_name, check.device->device_name);
    clnorm_verify_cases(context, efforts[settings.cases], report, &check);
    if (check.progress)
        fprintf(stderr, "\r\033[K");
    status = check.status == DONE ? summary(&check) : check.status;
    clnorm_context_release(context);
    return status;
}

const struct command command_check = {
    .name = "check",
    .summary = "run every operation against the f64 reference on a device",
    .synopsis = "[--device D] [--target cpu|gpu|fpga] [--cases small|portable|full] [--json]",
    .text =
        "Runs every operation on the device and compares the results with a reference computed in\n"
        "f64 on the host. Exit status 1 when any case fails; a case the device cannot run (f64\n"
        "without cl_khr_fp64) is counted as unsupported.\n",
    .examples = "  clnorm check\n"
                "  clnorm check --device 1 --json > check.jsonl\n"
                "  clnorm check --target gpu\n",
    .options = options,
    .option_count = ROWS(options),
    .run = run,
};
