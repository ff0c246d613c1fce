/*
 * The directory of the program cache and the files in it. No state: each call opens what it needs,
 * so that a directory removed, replaced or filled by another process meanwhile is an ordinary
 * case.
 */
#ifndef CLNORM_RUNTIME_STORE_FILES_H
#define CLNORM_RUNTIME_STORE_FILES_H

#include <clnorm/clnorm.h>
#include <sys/types.h>

#include "key.h"
#include "store_entry.h"

/* ---- The directory (store_directory.c) ---- */

/*
 * The absolute path of the cache directory for a context's cache_directory option, malloc'd; NULL
 * when there is none to use. CLNORM_OUT_OF_MEMORY is the only error.
 */
enum clnorm_status clnorm__directory_resolve(const char *option, char **path);

/*
 * Opens a cache directory, made with its missing parents (mode 0700) when `create`. -1 with errno
 * ENOENT when there is none, EPERM when it belongs to someone else or others may write to it, else
 * as open(2).
 */
int clnorm__directory_open(const char *path, int create);

/* ---- One file (store_file.c) ---- */

enum clnorm__found {
    CLNORM__FOUND_NONE,  /* no such entry */
    CLNORM__FOUND_SOUND, /* every check passed */
    CLNORM__FOUND_BAD, /* something is there that is not a sound entry of ours, or cannot be read */
    CLNORM__FOUND_BUSY /* could not look: out of memory or descriptors; the entry may be sound */
};

/*
 * Reads and checks the file `name`. Sound: *bytes is malloc'd, *entry points into it. With key not
 * NULL the entry must be for that key, and is marked as used now.
 */
enum clnorm__found clnorm__file_read(int directory, const char *name, const struct clnorm__key *key,
                                     void **bytes, struct clnorm__entry *entry);

/*
 * The text of the file `name`, malloc'd and zero-terminated, of at most `limit` bytes. Bad: also
 * when it has a zero byte, or is not the user's alone to write to.
 */
enum clnorm__found clnorm__file_read_text(int directory, const char *name, size_t limit,
                                          char **text);

/* All of `size` bytes from where a descriptor is. 0: an error, or there are fewer. */
int clnorm__read_all(int file, void *to, size_t size);

/*
 * Puts a file with these bytes and this mode, less the umask, under `name`, whole or not at all,
 * for any reader at any moment. 0 on failure, with errno.
 */
int clnorm__file_write(int directory, const char *name, mode_t mode, const void *bytes,
                       size_t size);

/* ---- All files (store_evict.c) ---- */

struct clnorm__file {
    char name[CLNORM__ENTRY_NAME_SIZE];
    uint64_t bytes;
    int64_t used;       /* seconds since 1970 */
    long used_fraction; /* nanoseconds */
};

/* Longest name of a temporary file, zero included. */
#define CLNORM__TEMPORARY_NAME_SIZE 40

/* The name of a temporary file that most likely is unused. */
void clnorm__temporary_name(char name[CLNORM__TEMPORARY_NAME_SIZE]);

/* The entries, least recently used first, in one malloc'd array; NULL when there are none. */
enum clnorm_status clnorm__files_list(int directory, struct clnorm__file **files, size_t *count);

/*
 * Removes the least recently used entries until those left take at most `limit` bytes, but never
 * `keep`; and what killed writers left behind. Returns how many entries it removed.
 */
uint64_t clnorm__files_evict(int directory, const char *keep, uint64_t limit);

/*
 * Removes all entries and all temporary files. 0 when one could not be removed. *removed counts
 * the entries.
 */
int clnorm__files_clear(int directory, size_t *removed);

#endif
