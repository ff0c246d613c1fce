#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "message.h"
#include "scratch.h"
#include "tune.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct settings {
    struct option_list problems;
    const char *device, *directory;
    double seconds;
    int list, clear, dry_run, json;
};

static const struct option options[] = {
    {"PROBLEM...", OPTION_LIST, offsetof(struct settings, problems), "P",
     .help = "problems with fixed extents, each in quotes"},
    {"--device", OPTION_TEXT, offsetof(struct settings, device), "D",
     .help = "index or part of a name, as 'clnorm devices' lists"},
    {"--seconds", OPTION_NUMBER, offsetof(struct settings, seconds), "T",
     .help = "time to spend on a problem; default 20", .expects = "a number from 0.1 to 86400",
     .low = 0.1, .high = 86400},
    {"--dry-run", OPTION_FLAG, offsetof(struct settings, dry_run), "",
     .help = "try and report, but store nothing"},
    {"--list", OPTION_FLAG, offsetof(struct settings, list), "",
     .help = "show the tuning file, with the lines that are ignored, and why"},
    {"--clear", OPTION_FLAG, offsetof(struct settings, clear), "",
     .help = "remove the tuning file"},
    {"--directory", OPTION_TEXT, offsetof(struct settings, directory), "DIR",
     .help = "default: $CLNORM_CACHE_DIR, $XDG_CACHE_HOME/clnorm or $HOME/.cache/clnorm"},
    {"--json", OPTION_FLAG, offsetof(struct settings, json), "", .help = "one JSON object a line"},
};

/* ---- Problems ----------------------------------------------------------------------------------- */

static int parse_problem(const char *text, struct clnorm_problem *problem)
{
    char message[512];
    if (clnorm_problem_parse(text, problem, message, sizeof message) != CLNORM_OK)
        return fail(WRONG_USAGE, "PROBLEM: '%s': %s", text, message);
    if (problem->batch < 1 || problem->spatial < 1)
        return fail(WRONG_USAGE,
                    "PROBLEM: '%s': every extent must be a number above 0 here, since it is run",
                    text);
    return DONE;
}

static int tune_one(const struct settings *settings, struct clnorm_context *store, const char *text)
{
    struct tune_request request = {
        .device = settings->device,
        .seconds = settings->seconds,
        .json = settings->json,
        .store = store,
    };
    const int status = parse_problem(text, &request.problem);
    return status == DONE ? tune_problem(&request) : status;
}

/* Like 'clnorm bench', with a kernel cache of its own for PoCL, which is removed afterwards. */
static int tune_all(const struct settings *settings, const char *directory)
{
    char scratch[SCRATCH_PATH_SIZE], pocl[SCRATCH_PATH_SIZE];
    struct clnorm_context *store = NULL;
    int status = scratch_make(scratch);
    if (status != DONE)
        return status;
    scratch_join(pocl, scratch, "pocl");
    mkdir(pocl, 0700);
    setenv("POCL_CACHE_DIR", pocl, 0);
    if (!settings->dry_run)
        status = context_open(settings->device, CLNORM_KIND_AUTO, directory, &store);
    for (size_t i = 0; status == DONE && i < settings->problems.count; i++)
        status = tune_one(settings, store, settings->problems.items[i]);
    clnorm_context_release(store);
    scratch_remove(scratch);
    return status;
}

/* ---- The file --------------------------------------------------------------------------------- */

struct listing {
    int json, status;
    size_t entries, ignored;
};

static cJSON *entry_json(const struct clnorm_tuning_entry *entry, const char *schedule)
{
    cJSON *const object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "line", entry->line);
    if (entry->ignored) {
        cJSON_AddStringToObject(object, "ignored", entry->ignored);
        return object;
    }
    cJSON_AddStringToObject(object, "device", entry->device);
    cJSON_AddStringToObject(object, "driver", entry->driver);
    cJSON_AddStringToObject(object, "platform", entry->platform);
    cJSON_AddStringToObject(object, "class", entry->problem);
    cJSON_AddStringToObject(object, "schedule", schedule);
    cJSON_AddNumberToObject(object, "best_s", entry->seconds);
    return object;
}

static int list_entry(void *user, const struct clnorm_tuning_entry *entry)
{
    struct listing *const listing = user;
    char schedule[CLNORM_SCHEDULE_TEXT_SIZE] = "";
    if (entry->schedule)
        clnorm_schedule_format(entry->schedule, schedule);
    listing->entries += !entry->ignored;
    listing->ignored += entry->ignored != NULL;
    if (listing->json)
        listing->status = print_json(entry_json(entry, schedule));
    else if (!entry->ignored)
        printf("%s  [%s, driver %s, %s]\n  %.1f us with %s\n", entry->problem, entry->device,
               entry->driver, entry->platform, 1e6 * entry->seconds, schedule);
    else if (entry->line)
        printf("line %u is ignored: %s\n", entry->line, entry->ignored);
    else
        printf("the file is ignored: %s\n", entry->ignored);
    return listing->status;
}

static int list(const struct settings *settings, const char *directory)
{
    struct listing listing = {.json = settings->json, .status = DONE};
    if (clnorm_tuning_visit(directory, list_entry, &listing) != CLNORM_OK)
        return fail(WORK_FAILED, "%s: cannot read the tuning file; give --directory", directory);
    if (listing.status == DONE && !settings->json)
        printf("%zu entries, %zu ignored, in %s/tuning.txt\n", listing.entries, listing.ignored,
               directory);
    return listing.status;
}

static int clear(const char *directory)
{
    size_t removed = 0;
    const enum clnorm_status status = clnorm_tuning_clear(directory, &removed);
    if (status != CLNORM_OK)
        return fail(WORK_FAILED, "%s: cannot remove tuning.txt: %s; see its permissions", directory,
                    clnorm_status_text(status));
    printf("%zu entries removed from %s\n", removed, directory);
    return DONE;
}

/* ---- The command ------------------------------------------------------------------------------ */

static int check(const struct settings *settings)
{
    struct clnorm_problem problem;
    int status = DONE;
    const int modes = (settings->problems.count > 0) + settings->list + settings->clear;
    if (modes != 1)
        return fail(WRONG_USAGE, "give problems, --list or --clear: one of the three");
    if (settings->dry_run && settings->problems.count == 0)
        return fail(WRONG_USAGE, "--dry-run is for problems; leave it out");
    for (size_t i = 0; status == DONE && i < settings->problems.count; i++)
        status = parse_problem(settings->problems.items[i], &problem);
    return status;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings settings = {.seconds = 20};
    char directory[4096] = "";
    int status = options_parse(self, argc, argv, &settings);
    if (status == DONE)
        status = check(&settings);
    if (status != DONE)
        return status;
    if (!settings.dry_run &&
        clnorm_cache_directory(settings.directory, directory, sizeof directory) != CLNORM_OK)
        return fail(WORK_FAILED,
                    "no cache directory for the tuning file: set CLNORM_CACHE_DIR, XDG_CACHE_HOME "
                    "or HOME to an absolute path, or give --directory or --dry-run");
    if (settings.list)
        return list(&settings, directory);
    return settings.clear ? clear(directory) : tune_all(&settings, directory);
}

const struct command command_tune = {
    .name = "tune",
    .summary = "find the fastest schedule for problems on a device, and keep it",
    .synopsis = "PROBLEM...|--list|--clear [--device D] [--seconds T] [--dry-run] [--json] "
                "[--directory DIR]",
    .text =
        "Tries the schedules that are legal for each problem: the rows of the library's table,\n"
        "then the best of them with one number changed at a time. Each must first give right\n"
        "results: the run at full size is compared with a reference computed in f64. Only then is\n"
        "it timed, in turn with the default. A winner that is at least 3 % faster is stored in\n"
        "tuning.txt in the cache directory, and used from then on for problems like it: the same\n"
        "channels, type and layout, and extents that round to the same power of two. Most of the\n"
        "time goes into compiling; when --seconds are over, the report tells how many candidates\n"
        "were tried of those known by then. The file is text: edit, copy or delete it.\n",
    .examples = "  clnorm tune 'forward nchw f32 32x64x56x56 +scale +shift'\n"
                "  clnorm tune 'infer nhwc f16 8x256x14x14' --seconds 60 --json\n"
                "  clnorm tune --list\n",
    .options = options,
    .option_count = ROWS(options),
    .run = run,
};
