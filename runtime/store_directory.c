#define _POSIX_C_SOURCE 200809L

#include "store_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * One place the environment may name. A relative path there is ignored, as the XDG base directory
 * specification asks.
 */
struct place {
    const char *variable;
    const char *below; /* what follows the variable's value */
};

static const struct place places[] = {
    {"CLNORM_CACHE_DIR", ""},
    {"XDG_CACHE_HOME", "/clnorm"},
    {"HOME", "/.cache/clnorm"},
};

static char *join(const char *first, const char *separator, const char *second)
{
    const size_t a = strlen(first), b = strlen(separator), c = strlen(second);
    char *const text = malloc(a + b + c + 1);
    if (text) {
        memcpy(text, first, a);
        memcpy(text + a, separator, b);
        memcpy(text + a + b, second, c + 1);
    }
    return text;
}

/*
 * malloc'd; NULL with errno ENOMEM when out of memory, with another errno when there is no current
 * directory.
 */
static char *current_directory(void)
{
    for (size_t size = 256;; size *= 2) {
        char *const path = malloc(size);
        if (!path) {
            errno = ENOMEM;
            return NULL;
        }
        if (getcwd(path, size)) {
            return path;
        }
        const int error = errno;
        free(path);
        errno = error;
        if (error != ERANGE) {
            return NULL;
        }
    }
}

/* Absolute, so that a later chdir of the application does not move the cache. */
static enum clnorm_status make_absolute(const char *relative, char **path)
{
    char *const current = current_directory();
    if (!current) {
        *path = NULL;
        return errno == ENOMEM ? CLNORM_OUT_OF_MEMORY : CLNORM_OK;
    }
    *path = join(current, "/", relative);
    free(current);
    return *path ? CLNORM_OK : CLNORM_OUT_OF_MEMORY;
}

static enum clnorm_status from_environment(char **path)
{
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const char *const value = getenv(places[i].variable);
        if (value && value[0] == '/') {
            *path = join(value, "", places[i].below);
            return *path ? CLNORM_OK : CLNORM_OUT_OF_MEMORY;
        }
        /* Said outright to be none: the same as the option "". */
        if (i == 0 && value && value[0] == '\0') {
            break;
        }
    }
    *path = NULL;
    return CLNORM_OK;
}

enum clnorm_status clnorm__directory_resolve(const char *option, char **path)
{
    if (!option) {
        return from_environment(path);
    }
    if (option[0] == '\0') {
        *path = NULL;
        return CLNORM_OK;
    }
    if (option[0] != '/') {
        return make_absolute(option, path);
    }
    *path = join(option, "", "");
    return *path ? CLNORM_OK : CLNORM_OUT_OF_MEMORY;
}

/*
 * Parents first. Failures are left to the open that follows: on some file systems making a
 * directory that exists fails with other errors than EEXIST.
 */
static void make_directories(const char *path)
{
    char *const copy = join(path, "", "");
    if (!copy) {
        return;
    }
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(copy, 0700);
        *slash = '/';
    }
    (void)mkdir(copy, 0700);
    free(copy);
}

int clnorm__directory_open(const char *path, int create)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    int directory = open(path, flags);
    if (directory < 0 && errno == ENOENT && create) {
        make_directories(path);
        directory = open(path, flags);
    }
    if (directory < 0) {
        return -1;
    }
    struct stat facts;
    if (fstat(directory, &facts) != 0 || facts.st_uid != geteuid() ||
        (facts.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        (void)close(directory);
        errno = EPERM;
        return -1;
    }
    return directory;
}
