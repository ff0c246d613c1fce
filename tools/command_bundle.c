#include "commands.h"
#include "device_run.h"
#include "message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct settings {
    int action, json;
    const char *bundle, *device;
};

static const char *const actions[] = {"list", "verify", NULL};
enum { LIST, VERIFY };

static const struct option options[] = {
    {"ACTION", OPTION_CHOICE, offsetof(struct settings, action), "list or verify",
     .help = "list or verify", .required = 1, .choices = actions},
    {"BUNDLE", OPTION_TEXT, offsetof(struct settings, bundle), "a file name", .help = "the file",
     .required = 1},
    {"--device", OPTION_TEXT, offsetof(struct settings, device), "D",
     .help = "verify: also make each plan there, without a compiler"},
    {"--json", OPTION_FLAG, offsetof(struct settings, json), "",
     .help = "list: one JSON object a line"},
};

struct walk {
    const struct settings *settings;
    struct clnorm_context *context; /* to make plans on, or NULL */
    int status;
    size_t programs, images, invalid;
    uint64_t bytes;
};

static cJSON *entry_json(const struct clnorm_bundle_entry *entry, const char *problem,
                         const char *schedule)
{
    cJSON *const object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "problem", problem);
    cJSON_AddStringToObject(object, "schedule", schedule);
    cJSON_AddStringToObject(object, "kernels", entry->kernels);
    cJSON_AddNumberToObject(object, "image", (double)entry->image);
    cJSON_AddNumberToObject(object, "image_bytes", (double)entry->image_bytes);
    cJSON_AddStringToObject(object, "image_digest", entry->image_digest);
    cJSON_AddStringToObject(object, "library", entry->library);
    cJSON_AddStringToObject(object, "platform", entry->platform);
    cJSON_AddStringToObject(object, "device", entry->device);
    cJSON_AddStringToObject(object, "driver", entry->driver);
    cJSON_AddBoolToObject(object, "valid", entry->valid != 0);
    return object;
}

/* Programs come by image: the first of each counts its bytes. */
static void count_entry(struct walk *walk, const struct clnorm_bundle_entry *entry)
{
    walk->programs++;
    walk->invalid += !entry->valid;
    if (entry->image == walk->images) {
        walk->images++;
        walk->bytes += entry->image_bytes;
    }
}

static int visit_list(void *user, const struct clnorm_bundle_entry *entry)
{
    struct walk *const walk = user;
    char problem[CLNORM_PROBLEM_TEXT_SIZE], schedule[CLNORM_SCHEDULE_TEXT_SIZE], bounds[64] = "";
    clnorm_problem_format(entry->problem, problem);
    clnorm_schedule_format(entry->schedule, schedule);
    if (entry->schedule->bound > 0)
        snprintf(bounds, sizeof bounds, "  [%u to %u channels]", (unsigned)entry->schedule->lanes,
                 (unsigned)entry->schedule->bound);
    if (walk->programs == 0 && !walk->settings->json)
        printf("made by clnorm %s for %s [driver %s, %s]\n", entry->library, entry->device,
               entry->driver, entry->platform);
    count_entry(walk, entry);
    if (walk->settings->json)
        walk->status = print_json(entry_json(entry, problem, schedule));
    else
        printf("%s%s%s\n  %s\n  image %zu, %" PRIu64 " bytes: %s\n", problem, bounds,
               entry->valid ? "" : "  [of another text than this clnorm emits]", schedule,
               entry->image, entry->image_bytes, entry->kernels);
    return walk->status;
}

static int visit_verify(void *user, const struct clnorm_bundle_entry *entry)
{
    struct walk *const walk = user;
    const struct clnorm_plan_options plan_options = {.size = sizeof plan_options,
                                                     .schedule = entry->schedule};
    char problem[CLNORM_PROBLEM_TEXT_SIZE];
    struct clnorm_plan *plan = NULL;
    clnorm_problem_format(entry->problem, problem);
    count_entry(walk, entry);
    if (!entry->valid)
        printf("of another text than this clnorm emits: %s\n", problem);
    if (!walk->context)
        return 0;
    const enum clnorm_status status =
        clnorm_plan_create(walk->context, entry->problem, &plan_options, &plan);
    if (status == CLNORM_OK)
        clnorm_plan_release(plan);
    else
        walk->status = context_fail(walk->context, status, "make a plan");
    return walk->status;
}

static int walk_entries(struct walk *walk,
                        int (*visit)(void *user, const struct clnorm_bundle_entry *entry))
{
    char message[512] = "";
    const enum clnorm_status status =
        clnorm_bundle_visit(walk->settings->bundle, visit, walk, message, sizeof message);
    return status == CLNORM_OK ? walk->status
                               : fail(WORK_FAILED, "%s; 'clnorm compile' makes bundles", message);
}

static int list(struct walk *walk)
{
    const int status = walk_entries(walk, visit_list);
    if (status == DONE && !walk->settings->json)
        printf("%zu programs in %zu images, %" PRIu64 " bytes\n", walk->programs, walk->images,
               walk->bytes);
    return status;
}

static int verify(struct walk *walk)
{
    const struct settings *const settings = walk->settings;
    const struct clnorm_context_options context_options = {
        .size = sizeof context_options,
        .device_selector = settings->device,
        .cache_directory = "",
        .bundle = settings->bundle,
        .bundle_only = 1,
    };
    int status = settings->device ? context_open_with(&context_options, &walk->context) : DONE;
    if (status == DONE)
        status = walk_entries(walk, visit_verify);
    clnorm_context_release(walk->context);
    if (status != DONE)
        return status;
    printf("%zu programs checked, %zu of another text, in %s\n", walk->programs, walk->invalid,
           settings->bundle);
    if (walk->invalid == 0)
        return finish_output();
    return fail(WORK_FAILED,
                "%s: %zu of %zu programs were made from another text than this clnorm emits; make "
                "the bundle again with 'clnorm compile'",
                settings->bundle, walk->invalid, walk->programs);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings settings = {0};
    const int status = options_parse(self, argc, argv, &settings);
    if (status != DONE)
        return status;
    if (settings.device && settings.action != VERIFY)
        return fail(WRONG_USAGE, "--device is for verify; leave it out");
    struct walk walk = {.settings = &settings, .status = DONE};
    return settings.action == LIST ? list(&walk) : verify(&walk);
}

const struct command command_bundle = {
    .name = "bundle",
    .summary = "list or verify the programs in a bundle",
    .synopsis = "list|verify BUNDLE [--device D] [--json]",
    .text = "A bundle holds programs that 'clnorm compile' made ahead of time. It is checked byte "
            "for\n"
            "byte; verify also tells whether this clnorm would use what is in it, and with "
            "--device\n"
            "whether that device does. Exit status 1 when not.\n",
    .examples = "  clnorm bundle list norm.bundle\n"
                "  clnorm bundle verify norm.bundle --device 0\n",
    .options = options,
    .option_count = ROWS(options),
    .run = run,
};
