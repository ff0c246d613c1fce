#include "image_text.h"

#include "file.h"
#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char opening[] = "// clnorm ";

/* A line without its end, and without the slashes before it; *at moves behind it. */
static void take_line(const char **at, char line[CLNORM_SCHEDULE_TEXT_SIZE])
{
    const size_t length = strcspn(*at, "\r\n");
    const size_t skipped = strncmp(*at, "// ", 3) == 0 ? 3 : 0;
    snprintf(line, CLNORM_SCHEDULE_TEXT_SIZE, "%.*s", (int)(length - skipped), *at + skipped);
    *at += length + strspn(*at + length, "\r") + 1;
    if ((*at)[-1] == 0)
        --*at;
}

/* A text begins with three lines: version, problem, schedule. */
static int read_request(const char *path, const char *at, struct request *request)
{
    char line[CLNORM_SCHEDULE_TEXT_SIZE], message[256];
    take_line(&at, line);
    const char *const version = line + strlen(opening) - strlen("// ");
    if (strcmp(version, clnorm_version()) != 0)
        return fail(WORK_FAILED,
                    "--text: clnorm %s emitted '%s', and this is clnorm %s; emit it again", version,
                    path, clnorm_version());
    take_line(&at, line);
    if (clnorm_problem_parse(line, &request->problem, message, sizeof message) != CLNORM_OK)
        return fail(WORK_FAILED, "--text: '%s': '%s': %s", path, line, message);
    take_line(&at, line);
    if (clnorm_schedule_parse(line, &request->schedule, message, sizeof message) != CLNORM_OK)
        return fail(WORK_FAILED, "--text: '%s': '%s': %s", path, line, message);
    return DONE;
}

/* The next place where a text begins, at the start of a line. */
static const char *find_opening(const char *text, const char *from)
{
    const char *at = from;
    while ((at = strstr(at, opening)) && at != text && at[-1] != '\n')
        at++;
    return at;
}

int image_text_read(const char *path, struct request **requests, size_t *count)
{
    char *text;
    size_t size, room = 0;
    int status = file_read("--text", path, &text, &size);
    if (status != DONE)
        return status;
    for (const char *at = text; (at = find_opening(text, at)); at++)
        room++;
    struct request *const found = calloc(room + 1, sizeof *found);
    size_t used = 0;
    if (!found)
        status = fail(WORK_FAILED, "out of memory; free some and try again");
    for (const char *at = text; status == DONE && (at = find_opening(text, at)); at++)
        status = read_request(path, at, &found[used++]);
    if (status == DONE && used == 0)
        status = fail(
            WORK_FAILED,
            "--text: '%s' has none of clnorm's programs; 'clnorm emit --image' prints them", path);
    free(text);
    if (status == DONE) {
        *requests = found;
        *count = used;
    } else {
        free(found);
    }
    return status;
}
