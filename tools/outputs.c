#define _XOPEN_SOURCE 700
#include "outputs.h"

#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int cannot(const struct output *output, const char *what)
{
    return fail(WORK_FAILED, "%s: cannot %s '%s': %s; name another file", output->option, what,
                output->path, strerror(errno));
}

/* a + b + c, malloc'd. */
static char *join(const char *a, const char *b, const char *c)
{
    const size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
    char *const text = malloc(size);
    if (text)
        snprintf(text, size, "%s%s%s", a, b, c);
    return text;
}

/* The path without links: of the file, or of its folder and then the name when there is no file
 * yet. NULL: errno. */
static char *resolve(const char *path)
{
    char *const whole = realpath(path, NULL);
    if (whole || errno != ENOENT)
        return whole;
    const char *const slash = strrchr(path, '/');
    const char *const name = slash ? slash + 1 : path;
    char *const folder = slash ? strndup(path, (size_t)(slash + 1 - path)) : strdup(".");
    char *const real = folder ? realpath(folder, NULL) : NULL;
    char *const joined = real && *name ? join(real, "/", name) : NULL;
    free(folder);
    free(real);
    return joined;
}

/* Where the output goes; whatever is wrong with the target is said now. */
static int find_target(struct output *output)
{
    if (strcmp(output->path, "-") == 0) {
        output->direct = 1;
        return DONE;
    }
    struct stat status;
    output->target = resolve(output->path);
    if (!output->target)
        return cannot(output, "write");
    if (stat(output->target, &status) != 0)
        return DONE;
    output->direct = !S_ISREG(status.st_mode);
    errno = EISDIR;
    return S_ISDIR(status.st_mode) || access(output->target, W_OK) != 0 ? cannot(output, "write")
                                                                        : DONE;
}

static int same_target(const struct output *a, const struct output *b)
{
    return a->target && b->target ? strcmp(a->target, b->target) == 0 : a->target == b->target;
}

int outputs_add(struct outputs *outputs, const char *option, const char *path)
{
    struct output *const output = &outputs->items[outputs->count++];
    *output = (struct output){.option = option, .path = path};
    const int status = find_target(output);
    for (const struct output *other = outputs->items; status == DONE && other < output; other++)
        if (same_target(other, output))
            return fail(WRONG_USAGE,
                        "%s: '%s' is also the file of %s; give each output its own file", option,
                        path, other->option);
    return status;
}

static int write_all(int file, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t wrote = write(file, (const char *)data + done, size - done);
        if (wrote < 0 && errno != EINTR)
            return 0;
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return 1;
}

/* Returns 0 with errno set when something did not get through. */
static int write_npy(int file, const struct npy_array *array)
{
    char prefix[NPY_PREFIX_SIZE];
    const size_t length = npy_format(&array->header, prefix);
    return write_all(file, prefix, length) && write_all(file, array->data, array->bytes);
}

/* A new file beside the target, with the mode of the file it will replace. Returns its descriptor,
 * or -1. */
static int open_temporary(struct output *output)
{
    int file = -1;
    for (unsigned attempt = 0; file < 0 && attempt < 1000; attempt++) {
        char suffix[48];
        snprintf(suffix, sizeof suffix, ".%ld-%u.tmp", (long)getpid(), attempt);
        free(output->temporary);
        output->temporary = join(output->target, suffix, "");
        file = output->temporary
                   ? open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)
                   : -1;
        if (file < 0 && (!output->temporary || errno != EEXIST))
            break;
    }
    if (file < 0) {
        free(output->temporary);
        output->temporary = NULL;
    }
    struct stat status;
    if (file >= 0 && stat(output->target, &status) == 0 && fchmod(file, status.st_mode & 0777) != 0)
        errno = 0; /* some file systems know no modes: the data matters more */
    return file;
}

static int write_temporary(struct output *output)
{
    const int file = open_temporary(output);
    if (file < 0)
        return cannot(output, "write beside");
    const int written = write_npy(file, &output->array);
    const int error = errno;
    if (close(file) == 0 && written)
        return DONE;
    errno = written ? errno : error;
    return cannot(output, "write");
}

static int write_direct(struct output *output)
{
    const int file = output->target ? open(output->target, O_WRONLY | O_CLOEXEC) : STDOUT_FILENO;
    const int written = file >= 0 && write_npy(file, &output->array);
    const int error = errno;
    if (file >= 0 && output->target && close(file) != 0 && written)
        return cannot(output, "write");
    errno = error;
    return written ? DONE : cannot(output, "write");
}

/* Puts the temporary file in the target's place, keeping a second name for what was there, to go
 * back to. */
static int put_in_place(struct output *output)
{
    output->previous = join(output->temporary, ".old", "");
    if (output->previous && link(output->target, output->previous) != 0) {
        free(output->previous);
        output->previous = NULL;
    }
    if (rename(output->temporary, output->target) != 0)
        return cannot(output, "write");
    free(output->temporary);
    output->temporary = NULL;
    return DONE;
}

static void take_back(struct output *output)
{
    if (output->previous)
        rename(output->previous, output->target);
    else
        unlink(output->target);
    free(output->previous);
    output->previous = NULL;
}

/* Runs `step` on the outputs that are written in place, or on those that are not, until one fails.
 */
static int each(struct outputs *outputs, int direct, int (*step)(struct output *), size_t *done)
{
    int status = DONE;
    for (*done = 0; *done < outputs->count; ++*done) {
        struct output *const output = &outputs->items[*done];
        if (output->direct == direct && (status = step(output)) != DONE)
            break;
    }
    return status;
}

int outputs_commit(struct outputs *outputs)
{
    size_t done;
    int status = each(outputs, 0, write_temporary, &done);
    if (status == DONE)
        status = each(outputs, 1, write_direct, &done);
    if (status != DONE)
        return status;
    status = each(outputs, 0, put_in_place, &done);
    for (size_t i = 0; status != DONE && i < done; i++)
        if (!outputs->items[i].direct)
            take_back(&outputs->items[i]);
    return status;
}

static void remove_file(char *path)
{
    if (path)
        unlink(path);
    free(path);
}

void outputs_free(struct outputs *outputs)
{
    for (size_t i = 0; i < outputs->count; i++) {
        struct output *const output = &outputs->items[i];
        remove_file(output->temporary);
        remove_file(output->previous);
        free(output->target);
        npy_free(&output->array);
    }
    outputs->count = 0;
}
