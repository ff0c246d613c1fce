#define _POSIX_C_SOURCE 200809L

#include "store_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Reading ---- */

/* Errors of this process or machine, not of the entry: it may be sound, so it stays. */
static int is_passing(int error)
{
    static const int passing[] = {EMFILE, ENFILE, ENOMEM, EINTR, EAGAIN};
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++) {
        if (passing[i] == error) {
            return 1;
        }
    }
    return 0;
}

int clnorm__read_all(int file, void *to, size_t size)
{
    unsigned char *bytes = to;
    while (size > 0) {
        const ssize_t got = read(file, bytes, size);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return 0;
        }
        if (got > 0) {
            bytes += got;
            size -= (size_t)got;
        }
    }
    return 1;
}

/* Whether the user alone could have written the file. */
static int is_trusted(const struct stat *facts)
{
    return S_ISREG(facts->st_mode) && facts->st_uid == geteuid() &&
           (facts->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/*
 * Nothing is allocated before the header has agreed with the size of the file, and that is
 * bounded. Read, not mapped: a file that shrinks meanwhile is then a short read instead of a
 * signal.
 */
static enum clnorm__found read_entry(int file, const struct clnorm__key *key, void **bytes,
                                     struct clnorm__entry *entry)
{
    struct stat facts;
    unsigned char header[CLNORM__ENTRY_HEADER_SIZE];
    if (fstat(file, &facts) != 0 || !is_trusted(&facts) ||
        !clnorm__read_all(file, header, sizeof header) ||
        !clnorm__entry_header_check(header, (uint64_t)facts.st_size) ||
        lseek(file, 0, SEEK_SET) != 0) {
        return CLNORM__FOUND_BAD;
    }
    const size_t size = (size_t)facts.st_size;
    unsigned char *const all = malloc(size);
    if (!all) {
        return CLNORM__FOUND_BUSY;
    }
    if (!clnorm__read_all(file, all, size) || !clnorm__entry_parse(all, size, entry) ||
        (key && !clnorm__entry_has_key(entry, key))) {
        free(all);
        return CLNORM__FOUND_BAD;
    }
    *bytes = all;
    return CLNORM__FOUND_SOUND;
}

/* The descriptor, or -1 and what that means. */
static int open_file(int directory, const char *name, enum clnorm__found *found)
{
    /* O_NONBLOCK: opening a FIFO that someone put there must not wait for its writer. */
    const int file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        *found = errno == ENOENT     ? CLNORM__FOUND_NONE
                 : is_passing(errno) ? CLNORM__FOUND_BUSY
                                     : CLNORM__FOUND_BAD;
    }
    return file;
}

enum clnorm__found clnorm__file_read(int directory, const char *name, const struct clnorm__key *key,
                                     void **bytes, struct clnorm__entry *entry)
{
    enum clnorm__found found;
    const int file = open_file(directory, name, &found);
    if (file < 0) {
        return found;
    }
    found = read_entry(file, key, bytes, entry);
    if (found == CLNORM__FOUND_SOUND && key) {
        (void)futimens(file, NULL); /* a read-only file system only loses the order of eviction */
    }
    (void)close(file);
    return found;
}

static enum clnorm__found read_text(int file, size_t limit, char **text)
{
    struct stat facts;
    if (fstat(file, &facts) != 0 || !is_trusted(&facts) || facts.st_size < 0 ||
        (uintmax_t)facts.st_size > limit) {
        return CLNORM__FOUND_BAD;
    }
    const size_t size = (size_t)facts.st_size;
    char *const all = malloc(size + 1);
    if (!all) {
        return CLNORM__FOUND_BUSY;
    }
    if (!clnorm__read_all(file, all, size) || memchr(all, 0, size)) {
        free(all);
        return CLNORM__FOUND_BAD;
    }
    all[size] = '\0';
    *text = all;
    return CLNORM__FOUND_SOUND;
}

enum clnorm__found clnorm__file_read_text(int directory, const char *name, size_t limit,
                                          char **text)
{
    enum clnorm__found found;
    const int file = open_file(directory, name, &found);
    if (file >= 0) {
        found = read_text(file, limit, text);
        (void)close(file);
    }
    return found;
}

/* ---- Writing ---- */

static int write_all(int file, const unsigned char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t put = write(file, bytes, size);
        if (put == 0 || (put < 0 && errno != EINTR)) {
            return 0;
        }
        if (put > 0) {
            bytes += put;
            size -= (size_t)put;
        }
    }
    return 1;
}

static int sync_file(int file)
{
    int result;
    do {
        result = fsync(file);
    } while (result != 0 && errno == EINTR);
    return result == 0;
}

/*
 * O_EXCL settles what the name does not: threads at the same nanosecond, or equal process ids on
 * two hosts.
 */
static int create_temporary(int directory, mode_t mode, char name[CLNORM__TEMPORARY_NAME_SIZE])
{
    const int attempts = 32;
    int file = -1;
    for (int i = 0; i < attempts && file < 0; i++) {
        clnorm__temporary_name(name);
        file = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        if (file < 0 && errno != EEXIST && errno != EINTR) {
            break;
        }
    }
    return file;
}

int clnorm__file_write(int directory, const char *name, mode_t mode, const void *bytes, size_t size)
{
    char temporary[CLNORM__TEMPORARY_NAME_SIZE];
    const int file = create_temporary(directory, mode, temporary);
    if (file < 0) {
        return 0;
    }
    int sound = write_all(file, bytes, size) && sync_file(file);
    /*
     * Some file systems report a failed write only here. After EINTR the descriptor is gone and
     * the data synced.
     */
    sound = (close(file) == 0 || errno == EINTR) && sound;
    if (!sound || renameat(directory, temporary, directory, name) != 0) {
        const int error = errno;
        (void)unlinkat(directory, temporary, 0);
        errno = error;
        return 0;
    }
    /* Not all file systems can do this; without it a crash loses the entry, never half of it. */
    (void)fsync(directory);
    return 1;
}
