#define _XOPEN_SOURCE 700
#include "scratch.h"

#include "message.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int scratch_make(char path[SCRATCH_PATH_SIZE])
{
    const char *const parent = getenv("TMPDIR");
    const int length = snprintf(path, SCRATCH_PATH_SIZE - 64, "%s/clnorm-XXXXXX",
                                parent && *parent ? parent : "/tmp");
    errno = ENAMETOOLONG;
    if (length >= SCRATCH_PATH_SIZE - 64 || !mkdtemp(path))
        return fail(WORK_FAILED,
                    "cannot make the folder '%s': %s; set TMPDIR to one that can be written", path,
                    strerror(errno));
    return DONE;
}

void scratch_join(char joined[SCRATCH_PATH_SIZE], const char *path, const char *name)
{
    snprintf(joined, SCRATCH_PATH_SIZE, "%.*s/%.60s", SCRATCH_PATH_SIZE - 64, path, name);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    remove(path);
    return 0;
}

void scratch_remove(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
