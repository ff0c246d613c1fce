/* The public view of the disk cache, for tools: where it is, what is in it, and emptying it. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store_files.h"

enum clnorm_status clnorm_cache_directory(const char *directory, char *path, size_t size)
{
    char *resolved = NULL;
    const enum clnorm_status status = clnorm__directory_resolve(directory, &resolved);
    if (status != CLNORM_OK) {
        return status;
    }
    if (!resolved) {
        return CLNORM_IO_FAILED;
    }
    const size_t length = strlen(resolved);
    const int fits = path && length < size;
    if (fits) {
        memcpy(path, resolved, length + 1);
    }
    free(resolved);
    return fits ? CLNORM_OK : CLNORM_INVALID_ARGUMENT;
}

/* *opened is -1 when the directory is missing, which is a cache without entries. */
static enum clnorm_status open_directory(const char *directory, int *opened)
{
    if (!directory || directory[0] != '/') {
        return CLNORM_INVALID_ARGUMENT;
    }
    *opened = clnorm__directory_open(directory, 0);
    if (*opened < 0 && errno != ENOENT) {
        return errno == ENOMEM ? CLNORM_OUT_OF_MEMORY : CLNORM_IO_FAILED;
    }
    return CLNORM_OK;
}

/* ---- Visiting ---- */

/* A copy of a field of the key, malloc'd; "" for a key that is none. */
static char *copy_field(const struct clnorm__entry *entry, enum clnorm__key_field field)
{
    size_t length = 0;
    const char *const text =
        entry ? clnorm__key_field(entry->key, entry->key_size, field, &length) : NULL;
    char *const copy = malloc(length + 1);
    if (copy) {
        if (length > 0) {
            memcpy(copy, text, length);
        }
        copy[length] = '\0';
    }
    return copy;
}

static char *join_path(const char *directory, const char *name)
{
    const size_t length = strlen(directory), room = length + 1 + CLNORM__ENTRY_NAME_SIZE;
    char *const path = malloc(room);
    if (path) {
        memcpy(path, directory, length);
        path[length] = '/';
        memcpy(path + length + 1, name, strlen(name) + 1);
    }
    return path;
}

/* Sound, under the name its key gives, and written by this version of the library. */
static int is_valid(const struct clnorm__entry *entry, const char *name)
{
    char right_name[CLNORM__ENTRY_NAME_SIZE];
    clnorm__entry_name(entry->key, entry->key_size, right_name);
    return strcmp(name, right_name) == 0 && clnorm__key_is_current(entry->key, entry->key_size);
}

struct visitor {
    const char *directory;
    int opened;
    int (*visit)(void *user, const struct clnorm_cache_entry *entry);
    void *user;
    int ended; /* visit has had enough */
};

static enum clnorm_status visit_file(struct visitor *visitor, const struct clnorm__file *file)
{
    void *bytes = NULL;
    struct clnorm__entry parsed = {0};
    const enum clnorm__found found =
        clnorm__file_read(visitor->opened, file->name, NULL, &bytes, &parsed);
    if (found == CLNORM__FOUND_NONE ||
        found == CLNORM__FOUND_BUSY) { /* removed meanwhile; could not look */
        return found == CLNORM__FOUND_NONE ? CLNORM_OK : CLNORM_OUT_OF_MEMORY;
    }
    const struct clnorm__entry *const entry = found == CLNORM__FOUND_SOUND ? &parsed : NULL;
    char *const path = join_path(visitor->directory, file->name);
    char *const problem = copy_field(entry, CLNORM__KEY_PROBLEM);
    char *const device = copy_field(entry, CLNORM__KEY_DEVICE_NAME);
    const int complete = path && problem && device;
    if (complete) {
        const struct clnorm_cache_entry shown = {
            .path = path,
            .problem = problem,
            .device = device,
            .bytes = file->bytes,
            .used = file->used,
            .valid = entry && is_valid(entry, file->name),
        };
        visitor->ended = visitor->visit(visitor->user, &shown) != 0;
    }
    free(device);
    free(problem);
    free(path);
    free(bytes);
    return complete ? CLNORM_OK : CLNORM_OUT_OF_MEMORY;
}

enum clnorm_status
clnorm_cache_visit(const char *directory,
                   int (*visit)(void *user, const struct clnorm_cache_entry *entry), void *user)
{
    struct visitor visitor = {.directory = directory, .opened = -1, .visit = visit, .user = user};
    enum clnorm_status status =
        visit ? open_directory(directory, &visitor.opened) : CLNORM_INVALID_ARGUMENT;
    if (status != CLNORM_OK || visitor.opened < 0) {
        return status;
    }
    struct clnorm__file *files = NULL;
    size_t count = 0;
    status = clnorm__files_list(visitor.opened, &files, &count);
    for (size_t i = 0; status == CLNORM_OK && i < count && !visitor.ended; i++) {
        status = visit_file(&visitor, &files[i]);
    }
    free(files);
    (void)close(visitor.opened);
    return status;
}

/* ---- Clearing ---- */

enum clnorm_status clnorm_cache_clear(const char *directory, size_t *removed)
{
    int opened = -1;
    const enum clnorm_status status = open_directory(directory, &opened);
    if (status != CLNORM_OK) {
        return status;
    }
    size_t count = 0;
    int done = 1;
    if (opened >= 0) {
        done = clnorm__files_clear(opened, &count);
        (void)close(opened);
    }
    if (done && removed) {
        *removed = count;
    }
    return done ? CLNORM_OK : CLNORM_IO_FAILED;
}
