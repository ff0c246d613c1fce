#include "tuning.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"

struct entry {
    struct clnorm_problem problem;
    struct clnorm_schedule schedule;
    double seconds;
};

struct clnorm__tuning {
    struct clnorm__tuning_names names;
    char *directory; /* NULL: in memory only */
    pthread_mutex_t mutex;
    int loaded;
    struct entry *entries; /* by clnorm__tuning_compare, each class once */
    size_t count, room;
    struct clnorm__tuning_counters counters;
};

struct clnorm__tuning *clnorm__tuning_open(const struct clnorm_device *device,
                                           const char *directory)
{
    struct clnorm__tuning *const made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->names = clnorm__tuning_names(device);
    made->loaded = !directory;
    if (directory) {
        const size_t size = strlen(directory) + 1;
        made->directory = malloc(size);
        if (!made->directory) {
            free(made);
            return NULL;
        }
        memcpy(made->directory, directory, size);
    }
    pthread_mutex_init(&made->mutex, NULL);
    return made;
}

void clnorm__tuning_close(struct clnorm__tuning *tuning)
{
    if (!tuning)
        return;
    pthread_mutex_destroy(&tuning->mutex);
    free(tuning->entries);
    free(tuning->directory);
    free(tuning);
}

struct clnorm__tuning_counters clnorm__tuning_counters(struct clnorm__tuning *tuning)
{
    struct clnorm__tuning_counters counters = {0};
    if (tuning) {
        pthread_mutex_lock(&tuning->mutex);
        counters = tuning->counters;
        pthread_mutex_unlock(&tuning->mutex);
    }
    return counters;
}

/* ---- The table; all of this is called with the lock ---- */

/* Where the class is, or would be; *found tells which. */
static size_t place_of(const struct clnorm__tuning *tuning, const struct clnorm_problem *problem,
                       int *found)
{
    size_t low = 0, high = tuning->count;
    *found = 0;
    while (low < high && !*found) {
        const size_t middle = low + (high - low) / 2;
        const int order = clnorm__tuning_compare(problem, &tuning->entries[middle].problem);
        *found = order == 0;
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return *found ? high : low;
}

/* One more entry's room. 0: out of memory. */
static int make_room(struct clnorm__tuning *tuning)
{
    if (tuning->count < tuning->room)
        return 1;
    const size_t room = tuning->room ? 2 * tuning->room : 16;
    struct entry *const entries = realloc(tuning->entries, room * sizeof *entries);
    if (!entries)
        return 0;
    tuning->entries = entries;
    tuning->room = room;
    return 1;
}

/* Needs room. */
static void put(struct clnorm__tuning *tuning, const struct entry *entry)
{
    int found;
    const size_t at = place_of(tuning, &entry->problem, &found);
    if (!found) {
        memmove(tuning->entries + at + 1, tuning->entries + at,
                (tuning->count - at) * sizeof *tuning->entries);
        tuning->count++;
    }
    tuning->entries[at] = *entry;
}

static void take_out(struct clnorm__tuning *tuning, const struct clnorm_problem *problem)
{
    int found;
    const size_t at = place_of(tuning, problem, &found);
    if (!found)
        return;
    tuning->count--;
    memmove(tuning->entries + at, tuning->entries + at + 1,
            (tuning->count - at) * sizeof *tuning->entries);
}

static int load_line(void *user, const struct clnorm__tuning_item *item)
{
    struct clnorm__tuning *const tuning = user;
    const struct clnorm__tuning_line *const line = item->line;
    if (item->kind == CLNORM__LINE_DAMAGED)
        tuning->counters.ignored++;
    if (item->kind != CLNORM__LINE_ENTRY ||
        !clnorm__tuning_names_same(&line->names, &tuning->names))
        return 0;
    if (!make_room(tuning)) {
        tuning->counters.ignored++;
        return 1;
    }
    put(tuning, &(struct entry){line->problem, line->schedule, line->seconds});
    return 0;
}

static void load(struct clnorm__tuning *tuning)
{
    char reason[256] = "";
    if (tuning->loaded)
        return;
    tuning->loaded = 1;
    char *const text = clnorm__tuning_read(tuning->directory, reason, sizeof reason);
    if (text)
        clnorm__tuning_walk(text, load_line, tuning);
    else
        tuning->counters.ignored += reason[0] != 0;
    free(text);
}

/* ---- Use by plans ---- */

int clnorm__tuning_find(struct clnorm__tuning *tuning, const struct clnorm_problem *problem,
                        const struct clnorm_target *target, struct clnorm_schedule *schedule,
                        double *seconds)
{
    struct clnorm_problem representative;
    int found;
    if (!tuning)
        return 0;
    clnorm_problem_class(problem, &representative);
    pthread_mutex_lock(&tuning->mutex);
    load(tuning);
    const size_t at = place_of(tuning, &representative, &found);
    const int usable =
        found &&
        clnorm_schedule_check(&tuning->entries[at].schedule, problem, NULL, 0) == CLNORM_OK &&
        clnorm_schedule_fits(&tuning->entries[at].schedule, problem, target);
    if (usable) {
        *schedule = tuning->entries[at].schedule;
        if (seconds)
            *seconds = tuning->entries[at].seconds;
    }
    tuning->counters.hits += (uint64_t)usable;
    tuning->counters.ignored += (uint64_t)(found && !usable);
    pthread_mutex_unlock(&tuning->mutex);
    return usable;
}

/* ---- The public functions ---- */

static enum clnorm_status check_call(struct clnorm_context *context,
                                     const struct clnorm_problem *problem)
{
    char message[256];
    const enum clnorm_status status = clnorm__check_process(context);
    if (status != CLNORM_OK)
        return status;
    if (!context->tuning)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                            "tuning is for contexts whose options leave `kind` at 0");
    if (clnorm_problem_check(problem, message, sizeof message) != CLNORM_OK)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT, "%s", message);
    return CLNORM_OK;
}

/* Writes the file, then the table; `line` NULL: takes the class out. */
static enum clnorm_status change(struct clnorm_context *context,
                                 const struct clnorm_problem *representative,
                                 const struct clnorm__tuning_line *line)
{
    struct clnorm__tuning *const tuning = context->tuning;
    char reason[256] = "";
    enum clnorm_status status = CLNORM_OK;
    pthread_mutex_lock(&tuning->mutex);
    load(tuning);
    if (!make_room(tuning))
        status = clnorm__fail(context, CLNORM_OUT_OF_MEMORY, "out of memory");
    else if (tuning->directory &&
             !clnorm__tuning_rewrite(tuning->directory, &tuning->names, representative, line, NULL,
                                     reason, sizeof reason))
        status = clnorm__fail(context, CLNORM_IO_FAILED, "%s: %s", tuning->directory, reason);
    else if (line)
        put(tuning, &(struct entry){line->problem, line->schedule, line->seconds});
    else
        take_out(tuning, representative);
    pthread_mutex_unlock(&tuning->mutex);
    return status;
}

enum clnorm_status clnorm_tuning_set(struct clnorm_context *context,
                                     const struct clnorm_problem *problem,
                                     const struct clnorm_schedule *schedule, double seconds)
{
    if (!context)
        return CLNORM_INVALID_ARGUMENT;
    enum clnorm_status status = check_call(context, problem);
    if (status != CLNORM_OK)
        return status;
    status = clnorm__schedule_taken(context, problem, schedule);
    if (status != CLNORM_OK)
        return status;
    if (!(seconds >= 0 && seconds < 1e9))
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                            "seconds must be the time of a run, 0 to 1e9");
    struct clnorm__tuning_line line = {
        .names = context->tuning->names, .schedule = *schedule, .seconds = seconds};
    clnorm_problem_class(problem, &line.problem);
    return change(context, &line.problem, &line);
}

enum clnorm_status clnorm_tuning_remove(struct clnorm_context *context,
                                        const struct clnorm_problem *problem)
{
    if (!context)
        return CLNORM_INVALID_ARGUMENT;
    struct clnorm_problem representative;
    const enum clnorm_status status = check_call(context, problem);
    if (status != CLNORM_OK)
        return status;
    clnorm_problem_class(problem, &representative);
    return change(context, &representative, NULL);
}

int clnorm_tuning_get(struct clnorm_context *context, const struct clnorm_problem *problem,
                      struct clnorm_schedule *schedule, double *seconds)
{
    return context && schedule && check_call(context, problem) == CLNORM_OK &&
           clnorm__tuning_find(context->tuning, problem, &context->device.target, schedule,
                               seconds);
}
