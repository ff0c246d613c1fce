#include "commands.h"
#include "message.h"

#include <clnorm/clnorm.h>

#include <inttypes.h>
#include <stdio.h>

struct settings {
    int action, json;
    const char *directory;
};

static const char *const actions[] = {"list", "verify", "clear", NULL};

static const struct option options[] = {
    {"ACTION", OPTION_CHOICE, offsetof(struct settings, action), "list, verify or clear",
     .help = "list, verify or clear", .required = 1, .choices = actions},
    {"--json", OPTION_FLAG, offsetof(struct settings, json), "",
     .help = "list: one JSON object a line"},
    {"--directory", OPTION_TEXT, offsetof(struct settings, directory), "DIR",
     .help = "default: $CLNORM_CACHE_DIR, $XDG_CACHE_HOME/clnorm or $HOME/.cache/clnorm"},
};

struct walk {
    const char *directory;
    int json, status;
    size_t entries, damaged;
    uint64_t bytes;
};

static void count_entry(struct walk *walk, const struct clnorm_cache_entry *entry)
{
    walk->entries++;
    walk->damaged += !entry->valid;
    walk->bytes += entry->bytes;
}

static cJSON *entry_json(const struct clnorm_cache_entry *entry)
{
    cJSON *const object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "path", entry->path);
    cJSON_AddStringToObject(object, "problem", entry->problem);
    cJSON_AddStringToObject(object, "device", entry->device);
    cJSON_AddNumberToObject(object, "bytes", (double)entry->bytes);
    cJSON_AddNumberToObject(object, "used", (double)entry->used);
    cJSON_AddBoolToObject(object, "valid", entry->valid != 0);
    return object;
}

static int visit_list(void *user, const struct clnorm_cache_entry *entry)
{
    struct walk *const walk = user;
    count_entry(walk, entry);
    if (walk->json)
        walk->status = print_json(entry_json(entry));
    else if (entry->valid)
        printf("%8" PRIu64 " bytes  %s  [%s]\n", entry->bytes, entry->problem, entry->device);
    else
        printf("%8" PRIu64 " bytes  damaged or of another version: %s\n", entry->bytes,
               entry->path);
    return walk->status;
}

static int visit_verify(void *user, const struct clnorm_cache_entry *entry)
{
    count_entry(user, entry);
    if (!entry->valid)
        printf("damaged or of another version: %s\n", entry->path);
    return 0;
}

static int walk_entries(struct walk *walk, int (*visit)(void *, const struct clnorm_cache_entry *))
{
    const enum clnorm_status status = clnorm_cache_visit(walk->directory, visit, walk);
    if (status != CLNORM_OK)
        return fail(WORK_FAILED,
                    "%s: cannot read the cache: %s; see its permissions, or give --directory",
                    walk->directory, clnorm_status_text(status));
    return walk->status;
}

static int list(struct walk *walk)
{
    const int status = walk_entries(walk, visit_list);
    if (status == DONE && !walk->json)
        printf("%zu programs, %" PRIu64 " bytes in %s\n", walk->entries, walk->bytes,
               walk->directory);
    return status;
}

static int verify(struct walk *walk)
{
    const int status = walk_entries(walk, visit_verify);
    if (status != DONE)
        return status;
    printf("%zu programs checked, %zu damaged, in %s\n", walk->entries, walk->damaged,
           walk->directory);
    if (walk->damaged == 0)
        return finish_output();
    return fail(
        WORK_FAILED,
        "%s: %zu of %zu programs are damaged; the next use replaces them, 'clnorm cache clear' "
        "removes all",
        walk->directory, walk->damaged, walk->entries);
}

static int clear(struct walk *walk)
{
    size_t removed = 0;
    const enum clnorm_status status = clnorm_cache_clear(walk->directory, &removed);
    if (status != CLNORM_OK)
        return fail(WORK_FAILED, "%s: cannot clear the cache: %s; see its permissions",
                    walk->directory, clnorm_status_text(status));
    printf("%zu programs removed from %s\n", removed, walk->directory);
    return DONE;
}

static int (*const runners[])(struct walk *) = {list, verify, clear}; /* as in actions */

static int run(const struct command *self, int argc, char **argv)
{
    struct settings settings = {0};
    char path[4096];
    const int parsed = options_parse(self, argc, argv, &settings);
    if (parsed != DONE)
        return parsed;
    const enum clnorm_status status = clnorm_cache_directory(settings.directory, path, sizeof path);
    if (status != CLNORM_OK)
        return fail(
            WORK_FAILED,
            "no cache directory: set CLNORM_CACHE_DIR, XDG_CACHE_HOME or HOME to an absolute path, "
            "or give --directory");
    struct walk walk = {.directory = path, .json = settings.json, .status = DONE};
    return runners[settings.action](&walk);
}

const struct command command_cache = {
    .name = "cache",
    .summary = "list, verify or clear the compiled programs on disk",
    .synopsis = "list|verify|clear [--json] [--directory DIR]",
    .text = "Compiled programs are kept on disk, one file each, so that the next process need not\n"
            "compile. Damaged files are found and replaced on use; verify shows them now, and then "
            "exits\n"
            "with status 1.\n",
    .examples = "  clnorm cache list\n"
                "  clnorm cache verify --directory /var/cache/myapp\n"
                "  clnorm cache clear\n",
    .options = options,
    .option_count = ROWS(options),
    .run = run,
};
