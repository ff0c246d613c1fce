#include "message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int fail(enum exit_status status, const char *format, ...)
{
    char line[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    for (size_t end = strlen(line); end > 0 && line[end - 1] == '\n'; end--)
        line[end - 1] = '\0';
    for (unsigned char *at = (unsigned char *)line; *at; at++)
        if (*at < 0x20 || *at == 0x7f)
            *at = ' ';
    fprintf(stderr, "clnorm: %s\n", line);
    return (int)status;
}

int print_json(cJSON *object)
{
    char *const text = object ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    if (!text)
        return fail(WORK_FAILED,
                    "out of memory while writing JSON; free some memory and try again");
    const int written = printf("%s\n", text);
    cJSON_free(text);
    return written < 0 ? finish_output() : DONE;
}

int finish_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return DONE;
    return fail(WORK_FAILED, "standard output: %s; see where it leads", strerror(errno));
}
