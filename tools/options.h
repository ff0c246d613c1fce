/*
 * Command-line options as data: a table with one row per option or operand, read into a struct of
 * the command's own.
 */
#ifndef CLNORM_TOOLS_OPTIONS_H
#define CLNORM_TOOLS_OPTIONS_H

#include <stddef.h>
#include <stdio.h>

enum option_type {
    OPTION_FLAG,  /* int: 1 when given */
    OPTION_TEXT,  /* const char * */
    OPTION_INPUT, /* const char *: a file to read, "-" for standard input, which only one option may
                     take */
    OPTION_OUTPUT, /* const char *: a file to write, "-" for standard output */
    OPTION_NUMBER, /* double in [low, high] */
    OPTION_COUNT,  /* unsigned in [low, high] */
    OPTION_CHOICE, /* int: index in `choices` */
    OPTION_LIST    /* struct option_list: all operands from here on */
};

struct option_list {
    char **items;
    size_t count;
};

/* A name that starts with '-' is an option; any other is an operand, and operands come in table
 * order. */
struct option {
    const char *name;
    enum option_type type;
    size_t offset;     /* of the value in the command's struct */
    const char *value; /* what --help calls the value: "F" */
    const char *help;
    const char *expects; /* what a message says is expected; NULL: value, or a file name */
    const char *needs;   /* the option without which this one makes no sense, or NULL */
    int required;
    double low, high;           /* numbers and counts: inclusive bounds */
    const char *const *choices; /* ends with NULL */
};

#define OPTIONS_MAX 32

struct command {
    const char *name;
    const char *summary;  /* a line of `clnorm --help` */
    const char *synopsis; /* what follows the command's name */
    const char *text;     /* what it does, as paragraphs */
    const char *examples; /* lines a reader can paste */
    const struct option *options;
    size_t option_count;
    int (*run)(const struct command *self, int argc,
               char **argv); /* argv after the name; returns the exit status */
};

/*
 * Reads argv[0..argc) into *values; a value not given stays as it is. `--name V` and `--name=V` are
 * the same;
 * "--" ends the options. argv is reordered: operands come first. Returns DONE, or WRONG_USAGE after
 * printing its line.
 */
int options_parse(const struct command *command, int argc, char **argv, void *values);

/* The command's page: synopsis, text, options, examples. */
void options_help(const struct command *command, FILE *out);

/* For `choices`: "nchw", "nhwc"; and "auto", "cpu", "gpu", "fpga". The indices are those of
 * clnorm's enums. */
extern const char *const option_layouts[];
extern const char *const option_kinds[];

#endif
