#include "tuning.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char clnorm__tuning_header[] =
    "# Tuning of clnorm: the fastest schedules that `clnorm tune` found, one a line. Edit, copy "
    "to\n"
    "# a machine with the same device and driver, or delete as you like; of two lines for the "
    "same\n"
    "# device and problems the later counts. Everything after a # is a comment.\n"
    "# device | driver | platform | class of problems | schedule | time of a run\n";

static const char blanks[] = " \t\r";

static enum clnorm__line_kind damaged(char *reason, size_t size, const char *format, ...)
{
    if (size > 0) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(reason, size, format, arguments);
        va_end(arguments);
    }
    return CLNORM__LINE_DAMAGED;
}

/* ---- Names ---- */

/* A copy without blanks at the ends, and with '_' for what means something in the file. */
static void clean_name(const char *name, char clean[128])
{
    size_t length = 0;
    for (name += strspn(name, blanks); *name && length < 127; name++) {
        const unsigned char c = (unsigned char)*name;
        const int reserved = c < ' ' || c == 0x7f || c == '|' || c == '#';
        clean[length++] = (char)(strchr(blanks, c) ? ' ' : reserved ? '_' : c);
    }
    while (length > 0 && strchr(blanks, clean[length - 1]))
        length--;
    clean[length] = 0;
}

struct clnorm__tuning_names clnorm__tuning_names(const struct clnorm_device *device)
{
    struct clnorm__tuning_names names;
    clean_name(device->device_name, names.device);
    clean_name(device->driver, names.driver);
    clean_name(device->platform_name, names.platform);
    return names;
}

int clnorm__tuning_names_same(const struct clnorm__tuning_names *a,
                              const struct clnorm__tuning_names *b)
{
    return strcmp(a->device, b->device) == 0 && strcmp(a->driver, b->driver) == 0 &&
           strcmp(a->platform, b->platform) == 0;
}

int clnorm__tuning_compare(const struct clnorm_problem *a, const struct clnorm_problem *b)
{
    const int64_t keys[][2] = {
        {a->operation, b->operation}, {a->layout, b->layout},   {a->dtype, b->dtype},
        {a->channels, b->channels},   {a->spatial, b->spatial}, {a->batch, b->batch},
        {a->flags, b->flags},         {a->ghost, b->ghost},
    };
    size_t i = 0;
    while (i + 1 < sizeof keys / sizeof *keys && keys[i][0] == keys[i][1])
        i++;
    return (keys[i][0] > keys[i][1]) - (keys[i][0] < keys[i][1]);
}

/* ---- Seconds, by hand: a locale may have a decimal comma ---- */

static void format_seconds(double seconds, char text[40])
{
    const double nanoseconds = seconds * 1e9 + 0.5;
    const uint64_t n = nanoseconds < 1e18 ? (uint64_t)nanoseconds : UINT64_C(1000000000000000000);
    snprintf(text, 40, "%" PRIu64 ".%09" PRIu64 " s", n / 1000000000, n % 1000000000);
}

/* "0.00123 s": 0 when it is not that. */
static int parse_seconds(const char *text, double *seconds)
{
    const size_t whole = strspn(text, "0123456789");
    const char *const dot = text + whole;
    const size_t fraction = *dot == '.' ? strspn(dot + 1, "0123456789") : 0;
    const char *const unit = dot + (*dot == '.') + fraction;
    double value = 0, place = 1;
    if (whole == 0 || whole > 18 || fraction > 18)
        return 0;
    for (const char *at = text; at < unit; at++) {
        if (at > dot)
            place /= 10;
        if (at != dot)
            value = at < dot ? 10 * value + (*at - '0') : value + place * (*at - '0');
    }
    *seconds = value;
    return strcmp(unit + strspn(unit, blanks), "s") == 0;
}

/* ---- A line ---- */

enum field { DEVICE, DRIVER, PLATFORM, PROBLEM, SCHEDULE, SECONDS, FIELD_COUNT };

/* Cuts a line at its bars into fields without blanks at their ends. 0: too few or too many. */
static int split(char *text, const char *field[FIELD_COUNT])
{
    unsigned count = 0;
    for (char *at = text; at; count++) {
        char *const bar = strchr(at, '|');
        char *end = bar ? bar : at + strlen(at);
        if (count == FIELD_COUNT)
            return 0;
        at += strspn(at, blanks);
        while (end > at && strchr(blanks, end[-1]))
            end--;
        *end = 0;
        field[count] = at;
        at = bar ? bar + 1 : NULL;
    }
    return count == FIELD_COUNT;
}

static enum clnorm__line_kind parse_fields(const char *const field[FIELD_COUNT],
                                           struct clnorm__tuning_line *line, char *reason,
                                           size_t size)
{
    struct clnorm_problem problem;
    if (strlen(field[DEVICE]) > 127 || strlen(field[DRIVER]) > 127 || strlen(field[PLATFORM]) > 127)
        return damaged(reason, size, "the name of a device, driver or platform is too long");
    clean_name(field[DEVICE], line->names.device);
    clean_name(field[DRIVER], line->names.driver);
    clean_name(field[PLATFORM], line->names.platform);
    if (clnorm_problem_parse(field[PROBLEM], &problem, reason, size) != CLNORM_OK ||
        clnorm_schedule_parse(field[SCHEDULE], &line->schedule, reason, size) != CLNORM_OK)
        return CLNORM__LINE_DAMAGED;
    if (!parse_seconds(field[SECONDS], &line->seconds))
        return damaged(reason, size, "'%.40s' is not a time in seconds, as in '0.00125 s'",
                       field[SECONDS]);
    clnorm_problem_class(&problem, &line->problem); /* whoever edits may write any of the class */
    return CLNORM__LINE_ENTRY;
}

enum clnorm__line_kind clnorm__tuning_parse(const char *text, size_t length,
                                            struct clnorm__tuning_line *line, char *reason,
                                            size_t size)
{
    char copy[CLNORM__TUNING_LINE_SIZE];
    const char *field[FIELD_COUNT];
    const char *const comment = memchr(text, '#', length);
    const size_t used = comment ? (size_t)(comment - text) : length;
    if (used >= sizeof copy)
        return damaged(reason, size, "the line is too long");
    memcpy(copy, text, used);
    copy[used] = 0;
    if (copy[strspn(copy, blanks)] == 0)
        return CLNORM__LINE_EMPTY;
    if (!split(copy, field))
        return damaged(reason, size, "%s",
                       "a line is: device | driver | platform | problem | schedule | time");
    return parse_fields(field, line, reason, size);
}

size_t clnorm__tuning_format(const struct clnorm__tuning_line *line,
                             char text[CLNORM__TUNING_LINE_SIZE])
{
    char problem[CLNORM_PROBLEM_TEXT_SIZE], schedule[CLNORM_SCHEDULE_TEXT_SIZE], seconds[40];
    clnorm_problem_format(&line->problem, problem);
    clnorm_schedule_format(&line->schedule, schedule);
    format_seconds(line->seconds, seconds);
    return (size_t)snprintf(text, CLNORM__TUNING_LINE_SIZE, "%s | %s | %s | %s | %s | %s\n",
                            line->names.device, line->names.driver, line->names.platform, problem,
                            schedule, seconds);
}
