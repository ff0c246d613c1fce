#define _POSIX_C_SOURCE 200809L

#include "store_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- Names: '#' is a lower-case hexadecimal digit. Files of other names are not ours. ---- */

static const char entry_pattern[] = "################################.clnorm";
static const char temporary_pattern[] = ".clnorm-########-################.tmp";

_Static_assert(sizeof entry_pattern <= CLNORM__ENTRY_NAME_SIZE, "an entry's name fits");
_Static_assert(sizeof temporary_pattern <= CLNORM__TEMPORARY_NAME_SIZE,
               "a temporary file's name fits");

static int matches(const char *name, const char *pattern)
{
    for (; *name && *pattern; name++, pattern++) {
        if (*pattern == '#' ? !strchr("0123456789abcdef", *name) : *name != *pattern) {
            return 0;
        }
    }
    return *name == *pattern;
}

void clnorm__temporary_name(char name[CLNORM__TEMPORARY_NAME_SIZE])
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t moment = (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
    (void)snprintf(name, CLNORM__TEMPORARY_NAME_SIZE, ".clnorm-%08lx-%016llx.tmp",
                   (unsigned long)getpid() & 0xffffffffUL, (unsigned long long)moment);
}

/* ---- Walking the directory ---- */

typedef int visit_file(void *user, int directory, const char *name, const struct stat *facts,
                       int temporary);

/*
 * Calls visit for each file of ours; it may remove the file, and ends the walk by returning 0.
 * Whatever its kind, but for directories: the cache makes none, and a link or FIFO with an entry's
 * name stands where an entry should.
 */
static enum clnorm_status each_file(int directory, visit_file *visit, void *user)
{
    /* A descriptor of its own: reading a directory moves the position, which duplicates share. */
    const int own = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *const stream = own < 0 ? NULL : fdopendir(own);
    if (!stream) {
        if (own >= 0) {
            (void)close(own);
        }
        return CLNORM_IO_FAILED;
    }
    int go_on = 1;
    int error = 0;
    while (go_on) {
        errno = 0;
        const struct dirent *const item = readdir(stream);
        if (!item) {
            error = errno;
            break;
        }
        const int temporary = matches(item->d_name, temporary_pattern);
        struct stat facts;
        if ((temporary || matches(item->d_name, entry_pattern)) &&
            fstatat(directory, item->d_name, &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
            !S_ISDIR(facts.st_mode)) {
            go_on = visit(user, directory, item->d_name, &facts, temporary);
        }
    }
    (void)closedir(stream);
    return error ? CLNORM_IO_FAILED : CLNORM_OK;
}

/* ---- Listing ---- */

struct listing {
    struct clnorm__file *files;
    size_t count, room;
    int out_of_memory;
    int remove_stale; /* temporary files whose writer must be dead */
};

/* Writing an entry takes well below a second. */
static const int64_t stale_seconds = 3600;

static void remove_if_stale(int directory, const char *name, const struct stat *facts)
{
    if ((int64_t)time(NULL) - (int64_t)facts->st_mtime > stale_seconds) {
        (void)unlinkat(directory, name, 0);
    }
}

static int add_to_listing(void *user, int directory, const char *name, const struct stat *facts,
                          int temporary)
{
    struct listing *const listing = user;
    if (temporary) {
        if (listing->remove_stale) {
            remove_if_stale(directory, name, facts);
        }
        return 1;
    }
    if (listing->count == listing->room) {
        const size_t room = listing->room ? 2 * listing->room : 64;
        struct clnorm__file *const files = realloc(listing->files, room * sizeof *files);
        if (!files) {
            listing->out_of_memory = 1;
            return 0;
        }
        listing->files = files;
        listing->room = room;
    }
    struct clnorm__file *const file = &listing->files[listing->count++];
    *file = (struct clnorm__file){
        .bytes = facts->st_size > 0 ? (uint64_t)facts->st_size : 0,
        .used = (int64_t)facts->st_mtim.tv_sec,
        .used_fraction = (long)facts->st_mtim.tv_nsec,
    };
    memcpy(file->name, name, sizeof entry_pattern);
    return 1;
}

static int by_use(const void *left, const void *right)
{
    const struct clnorm__file *const a = left, *const b = right;
    if (a->used != b->used) {
        return a->used < b->used ? -1 : 1;
    }
    if (a->used_fraction != b->used_fraction) {
        return a->used_fraction < b->used_fraction ? -1 : 1;
    }
    return strcmp(a->name, b->name);
}

static enum clnorm_status list_files(int directory, struct listing *listing)
{
    enum clnorm_status status = each_file(directory, add_to_listing, listing);
    if (listing->out_of_memory) {
        status = CLNORM_OUT_OF_MEMORY;
    }
    if (status != CLNORM_OK) {
        free(listing->files);
        *listing = (struct listing){0};
        return status;
    }
    if (listing->count > 1) {
        qsort(listing->files, listing->count, sizeof *listing->files, by_use);
    }
    return CLNORM_OK;
}

enum clnorm_status clnorm__files_list(int directory, struct clnorm__file **files, size_t *count)
{
    struct listing listing = {0};
    const enum clnorm_status status = list_files(directory, &listing);
    if (status == CLNORM_OK) {
        *files = listing.files;
        *count = listing.count;
    }
    return status;
}

/* ---- Removing ---- */

uint64_t clnorm__files_evict(int directory, const char *keep, uint64_t limit)
{
    struct listing listing = {.remove_stale = 1};
    if (list_files(directory, &listing) != CLNORM_OK) {
        return 0; /* the next save tries again */
    }
    uint64_t total = 0;
    for (size_t i = 0; i < listing.count; i++) {
        total += listing.files[i].bytes;
    }
    uint64_t removed = 0;
    for (size_t i = 0; i < listing.count && total > limit; i++) {
        const struct clnorm__file *const file = &listing.files[i];
        if (strcmp(file->name, keep) == 0) {
            continue;
        }
        /*
         * Gone already: another process makes room at the same time. The space is free either way.
         */
        const int done = unlinkat(directory, file->name, 0) == 0;
        if (done || errno == ENOENT) {
            total -= file->bytes;
        }
        removed += (uint64_t)done;
    }
    free(listing.files);
    return removed;
}

struct clearing {
    size_t removed;
    int failed;
};

static int remove_file(void *user, int directory, const char *name, const struct stat *facts,
                       int temporary)
{
    struct clearing *const clearing = user;
    (void)facts;
    if (unlinkat(directory, name, 0) == 0) {
        clearing->removed += !temporary;
    } else if (errno != ENOENT) {
        clearing->failed = 1;
    }
    return 1;
}

int clnorm__files_clear(int directory, size_t *removed)
{
    struct clearing clearing = {0};
    const enum clnorm_status status = each_file(directory, remove_file, &clearing);
    *removed = clearing.removed;
    return status == CLNORM_OK && !clearing.failed;
}
