#include "file.h"

#include "message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t limit = (size_t)1 << 30;

/* Returns 0 with errno set when reading or memory failed. */
static int read_all(FILE *in, char **bytes, size_t *size)
{
    size_t room = 1 << 16, got = 1;
    for (*size = 0; got > 0 && *size < limit; *size += got) {
        char *const more = room - *size > 1 && *bytes ? *bytes : realloc(*bytes, room *= 2);
        if (!more)
            return 0;
        *bytes = more;
        got = fread(*bytes + *size, 1, room - *size - 1, in);
    }
    (*bytes)[*size] = 0;
    errno = ferror(in) ? errno : EFBIG;
    return !ferror(in) && *size < limit;
}

int file_read(const char *option, const char *path, char **bytes, size_t *size)
{
    const int standard = strcmp(path, "-") == 0;
    FILE *const in = standard ? stdin : fopen(path, "rb");
    *bytes = NULL;
    if (!in)
        return fail(WORK_FAILED, "%s: cannot read '%s': %s", option, path, strerror(errno));
    const int read = read_all(in, bytes, size);
    const int error = errno;
    if (!standard)
        fclose(in);
    if (read)
        return DONE;
    free(*bytes);
    *bytes = NULL;
    return fail(WORK_FAILED, "%s: cannot read '%s': %s", option, path, strerror(error));
}
