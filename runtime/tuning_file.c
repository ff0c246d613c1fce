#define _POSIX_C_SOURCE 200809L

#include "tuning.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store_files.h"

static const char file_name[] = "tuning.txt";

/* Some thousand lines. */
static const size_t size_limit = (size_t)1 << 20;

/* Keeps why; returns 0. */
static int refuse(char *reason, size_t size, const char *why)
{
    if (size > 0)
        snprintf(reason, size, "%s", why);
    return 0;
}

static const char no_memory[] = "out of memory";

/* ---- Reading ---- */

/* 0 with a reason when there is something that cannot be used. *text is NULL when there is none. */
static int read_text(int directory, char **text, char *reason, size_t size)
{
    *text = NULL;
    switch (clnorm__file_read_text(directory, file_name, size_limit, text)) {
    case CLNORM__FOUND_NONE:
    case CLNORM__FOUND_SOUND: return 1;
    case CLNORM__FOUND_BUSY: return refuse(reason, size, no_memory);
    case CLNORM__FOUND_BAD: break;
    }
    return refuse(
        reason, size,
        "tuning.txt must be a plain text file of at most 1 MiB, no link, that you own and "
        "others cannot write to: set it right (chmod go-w) or delete it");
}

/* -1 with a reason, or with "" when there is no directory. */
static int open_directory(const char *path, int create, char *reason, size_t size)
{
    const int directory = clnorm__directory_open(path, create);
    if (directory >= 0)
        return directory;
    if (errno == ENOENT && !create)
        refuse(reason, size, "");
    else if (errno == EPERM)
        refuse(reason, size, "the cache directory is not yours alone to write to");
    else
        refuse(reason, size, "the cache directory cannot be opened or made");
    return -1;
}

char *clnorm__tuning_read(const char *directory, char *reason, size_t size)
{
    char *text = NULL;
    const int opened = open_directory(directory, 0, reason, size);
    if (opened < 0)
        return NULL;
    if (read_text(opened, &text, reason, size) && !text)
        refuse(reason, size, "");
    (void)close(opened);
    return text;
}

void clnorm__tuning_walk(const char *text,
                         int (*visit)(void *user, const struct clnorm__tuning_item *item),
                         void *user)
{
    int ended = 0;
    for (unsigned number = 1; *text && !ended; number++) {
        struct clnorm__tuning_line line = {.seconds = 0};
        char reason[256] = "";
        const size_t length = strcspn(text, "\n");
        const struct clnorm__tuning_item item = {
            .number = number,
            .start = text,
            .length = length + (text[length] == '\n'),
            .kind = clnorm__tuning_parse(text, length, &line, reason, sizeof reason),
            .line = &line,
            .reason = reason,
        };
        ended = visit(user, &item);
        text += item.length;
    }
}

/* ---- Rewriting ---- */

struct rewrite {
    const struct clnorm__tuning_names *names;
    const struct clnorm_problem *problem;
    char *text;
    size_t length, removed;
};

static int copy_line(void *user, const struct clnorm__tuning_item *item)
{
    struct rewrite *const rewrite = user;
    if (item->kind == CLNORM__LINE_ENTRY &&
        clnorm__tuning_names_same(&item->line->names, rewrite->names) &&
        clnorm__tuning_compare(&item->line->problem, rewrite->problem) == 0) {
        rewrite->removed++;
        return 0;
    }
    memcpy(rewrite->text + rewrite->length, item->start, item->length);
    rewrite->length += item->length;
    if (item->start[item->length - 1] != '\n')
        rewrite->text[rewrite->length++] = '\n';
    return 0;
}

/* The new text from the old one (NULL: none), into *rewrite. 0: out of memory. */
static int edit(const char *old, const struct clnorm__tuning_line *line, struct rewrite *rewrite)
{
    const char *const from = old ? old : clnorm__tuning_header;
    rewrite->text = malloc(strlen(from) + 1 + CLNORM__TUNING_LINE_SIZE);
    if (!rewrite->text)
        return 0;
    clnorm__tuning_walk(from, copy_line, rewrite);
    if (line)
        rewrite->length += clnorm__tuning_format(line, rewrite->text + rewrite->length);
    return 1;
}

int clnorm__tuning_rewrite(const char *directory, const struct clnorm__tuning_names *names,
                           const struct clnorm_problem *problem,
                           const struct clnorm__tuning_line *line, size_t *removed, char *reason,
                           size_t size)
{
    struct rewrite rewrite = {.names = names, .problem = problem};
    char *old = NULL;
    const int opened = open_directory(directory, line != NULL, reason, size);
    if (opened < 0)
        return !line && reason[0] == 0; /* nothing to remove from */
    int done = read_text(opened, &old, reason, size);
    if (done && !edit(old, line, &rewrite))
        done = refuse(reason, size, no_memory);
    if (done && rewrite.length > size_limit)
        done = refuse(reason, size, "tuning.txt has reached 1 MiB: delete lines from it");
    if (done && (line || rewrite.removed) &&
        !clnorm__file_write(opened, file_name, 0600, rewrite.text, rewrite.length))
        done = refuse(reason, size, "tuning.txt could not be written");
    if (removed)
        *removed = rewrite.removed;
    free(rewrite.text);
    free(old);
    (void)close(opened);
    return done;
}

/* ---- For tools ---- */

struct visitor {
    int (*visit)(void *user, const struct clnorm_tuning_entry *entry);
    void *user;
};

static int visit_item(void *user, const struct clnorm__tuning_item *item)
{
    const struct visitor *const visitor = user;
    const struct clnorm__tuning_line *const line = item->line;
    char problem[CLNORM_PROBLEM_TEXT_SIZE] = "";
    const int sound = item->kind == CLNORM__LINE_ENTRY;
    if (item->kind == CLNORM__LINE_EMPTY)
        return 0;
    if (sound)
        clnorm_problem_format(&line->problem, problem);
    const struct clnorm_tuning_entry entry = {
        .line = item->number,
        .ignored = sound ? NULL : item->reason,
        .device = sound ? line->names.device : "",
        .driver = sound ? line->names.driver : "",
        .platform = sound ? line->names.platform : "",
        .problem = problem,
        .schedule = sound ? &line->schedule : NULL,
        .seconds = sound ? line->seconds : 0,
    };
    return visitor->visit(visitor->user, &entry);
}

enum clnorm_status
clnorm_tuning_visit(const char *directory,
                    int (*visit)(void *user, const struct clnorm_tuning_entry *entry), void *user)
{
    struct visitor visitor = {.visit = visit, .user = user};
    char reason[256] = "";
    if (!directory || directory[0] != '/' || !visit)
        return CLNORM_INVALID_ARGUMENT;
    char *const text = clnorm__tuning_read(directory, reason, sizeof reason);
    if (text) {
        clnorm__tuning_walk(text, visit_item, &visitor);
    } else if (reason[0]) {
        const struct clnorm_tuning_entry whole = {
            .ignored = reason, .device = "", .driver = "", .platform = "", .problem = ""};
        visit(user, &whole);
    }
    free(text);
    return CLNORM_OK;
}

static int count_entry(void *user, const struct clnorm_tuning_entry *entry)
{
    *(size_t *)user += entry->schedule != NULL;
    return 0;
}

enum clnorm_status clnorm_tuning_clear(const char *directory, size_t *removed)
{
    size_t count = 0;
    const enum clnorm_status status = clnorm_tuning_visit(directory, count_entry, &count);
    if (status != CLNORM_OK)
        return status;
    const int opened = clnorm__directory_open(directory, 0);
    if (opened < 0)
        return errno == ENOENT ? CLNORM_OK : CLNORM_IO_FAILED;
    const int gone = unlinkat(opened, file_name, 0) == 0 || errno == ENOENT;
    (void)close(opened);
    if (gone && removed)
        *removed = count;
    return gone ? CLNORM_OK : CLNORM_IO_FAILED;
}
