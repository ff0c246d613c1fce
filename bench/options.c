#include "options.h"

#include "message.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, TEXT, NUMBER };

static const struct option {
    const char *name;
    enum kind kind;
    size_t offset;
    const char *value, *help;
    double low, high;
} table[] = {
#define AT(member) .offset = offsetof(struct bench_options, member)
    {"--cases", TEXT, AT(cases), .value = "FILE",
     .help = "problems to time, one or several a line; # comments"},
    {"--contestants", TEXT, AT(contestants), .value = "A,B",
     .help = "of clnorm, limit, onednn, onednn-blocked, pytorch; default: all there are"},
    {"--seconds", NUMBER, AT(seconds), .value = "S",
     .help = "to spend on each contestant of a problem; 0.2", .high = 3600},
    {"--device", TEXT, AT(device), .value = "D",
     .help =
         "index or part of a name, as 'clnorm devices' lists; of several, A,B, the fastest counts"},
    {"--onednn", TEXT, AT(onednn), .value = "LIB,...",
     .help = "libraries of oneDNN to time, the fastest counts; the one found at build time"},
    {"--python", TEXT, AT(python), .value = "PY", .help = "a Python that has PyTorch; python3"},
    {"--schedule", NUMBER, AT(schedule), .value = "N",
     .help = "time clnorm under schedule N instead of its choice", .high = 1000},
    {"--all-schedules", FLAG, AT(all_schedules), .value = "",
     .help = "each legal schedule too, as clnorm:NAME"},
    {"--json", FLAG, AT(json), .value = "",
     .help = "one object a line; the summary goes to standard error"},
    {"--plot", TEXT, AT(plot), .value = "FILE.png", .help = "draw the results (needs gnuplot)"},
    {"--axis", TEXT, AT(axis), .value = "size|channels|spatial",
     .help = "of the plot's second panel; size"},
    {"--table", TEXT, AT(table), .value = "FILE.md",
     .help = "write the results as a Markdown table"},
    {"--latency", FLAG, AT(latency), .value = "", .help = "host costs instead: runs, plans, text"},
    {"--help", FLAG, AT(help), .value = "", .help = "this page"},
#undef AT
};

void bench_options_help(void)
{
    printf(
        "Usage: clnorm-bench [options] [PROBLEM...]\n\n"
        "Times clnorm beside the memory's limit, oneDNN and PyTorch. Each result is checked in\n"
        "double precision before it is timed; then the contestants take turns in blocks of runs.\n"
        "A PROBLEM is as for 'clnorm bench': forward, infer or backward, with fixed extents. Its\n"
        "operation, layout, dtype and dims may each be several, parted by commas.\n\nOptions:\n");
    for (size_t i = 0; i < ROWS(table); i++) {
        char left[48];
        snprintf(left, sizeof left, "%s%s%s", table[i].name, *table[i].value ? " " : "",
                 table[i].value);
        printf("  %-28s%s\n", left, table[i].help);
    }
    printf("\nExamples:\n"
           "  clnorm-bench 'forward,infer,backward nchw,nhwc f32 32x64x56x56 +scale +shift'\n"
           "  clnorm-bench --cases bench/quick.txt --contestants clnorm,limit --seconds 1\n"
           "  clnorm-bench --cases bench/shapes.txt --python peers/bin/python --plot shapes.png\n");
}

static int set_number(const struct option *const option, const char *const text,
                      double *const number)
{
    char *end;
    *number = strtod(text, &end);
    if (end != text && !*end && *number >= option->low && *number <= option->high)
        return BENCH_DONE;
    return bench_fail(BENCH_USAGE, "%s: '%s' is not valid; expected a number from %g to %g",
                      option->name, text, option->low, option->high);
}

static const struct option *find(const char *const text, const size_t length)
{
    for (size_t i = 0; i < ROWS(table); i++)
        if (strlen(table[i].name) == length && strncmp(table[i].name, text, length) == 0)
            return &table[i];
    return NULL;
}

/* Reads argv[*at], and what follows it where that is its value. */
static int parse_option(struct bench_options *const options, const int argc, char **const argv,
                        int *const at)
{
    const char *const text = argv[*at], *value = strchr(text, '=');
    const size_t length = value ? (size_t)(value++ - text) : strlen(text);
    const struct option *const option = find(text, length);
    if (!option)
        return bench_fail(BENCH_USAGE, "%.*s is not an option; 'clnorm-bench --help' lists them",
                          (int)length, text);
    void *const to = (char *)options + option->offset;
    if (option->kind == FLAG && value)
        return bench_fail(BENCH_USAGE, "%s takes no value; leave out '=%s'", option->name, value);
    if (option->kind == FLAG) {
        *(int *)to = 1;
        return BENCH_DONE;
    }
    if (!value && *at + 1 < argc)
        value = argv[++*at];
    if (!value || !*value)
        return bench_fail(BENCH_USAGE, "%s has no value; expected %s", option->name, option->value);
    if (option->kind == NUMBER)
        return set_number(option, value, to);
    *(const char **)to = value;
    return BENCH_DONE;
}

int bench_options_parse(struct bench_options *const options, const int argc, char **const argv)
{
    *options = (struct bench_options){
        .onednn = ONEDNN_LIBRARY, .python = "python3", .seconds = 0.2, .axis = "size"};
    options->problems = argv;
    for (int at = 1; at < argc; at++) {
        if (strncmp(argv[at], "--", 2) != 0) {
            argv[options->count++] = argv[at]; /* never past what is read */
            continue;
        }
        const int status = parse_option(options, argc, argv, &at);
        if (status != BENCH_DONE)
            return status;
    }
    return BENCH_DONE;
}
