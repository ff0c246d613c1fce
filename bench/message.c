#define _POSIX_C_SOURCE 200809L
#include "message.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define ERASE "\r\033[K"

static void print_line(const char *const format, va_list arguments)
{
    char line[2048];
    vsnprintf(line, sizeof line, format, arguments);
    for (unsigned char *at = (unsigned char *)line; *at; at++)
        if (*at < 0x20 || *at == 0x7f)
            *at = ' ';
    fprintf(stderr, "%sclnorm-bench: %s\n", isatty(STDERR_FILENO) ? ERASE : "", line);
}

int bench_fail(const enum bench_status status, const char *const format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
    return (int)status;
}

void bench_note(const char *const format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
}

static void print_place(const char *const format, va_list arguments)
{
    const int terminal = isatty(STDERR_FILENO);
    fputs(terminal ? ERASE : "", stderr);
    vfprintf(stderr, format, arguments);
    fputs(terminal ? "" : "\n", stderr);
    fflush(stderr);
}

void bench_step(const char *const format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_place(format, arguments);
    va_end(arguments);
}

void bench_progress(const char *const format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (isatty(STDERR_FILENO))
        print_place(format, arguments);
    va_end(arguments);
}
