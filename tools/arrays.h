/* What forward, infer and backward share: .npy files in, one run on a device, .npy files out. */
#ifndef CLNORM_TOOLS_ARRAYS_H
#define CLNORM_TOOLS_ARRAYS_H

#include "options.h"

#include <clnorm/codegen.h>

/* Values of the options of the three; what a command does not know stays as array_settings_default
 * makes it. */
struct array_settings {
    const char *x, *dy, *y, *add;                    /* tensors read */
    const char *output, *dadd;                       /* tensors written: y or dx, and dadd */
    const char *scale, *shift, *mean, *invstd, *var; /* parameters read */
    const char *statistics;                          /* moments read, in place of mean and var */
    const char *running_mean, *running_var;
    const char *save_mean, *save_invstd; /* parameters written */
    const char *new_running_mean, *new_running_var;
    const char *dscale, *dshift;
    const char *device;
    double epsilon, momentum;
    int layout, relu, biased, frozen;
};

struct array_settings array_settings_default(void);

/* STATISTICS_IN: what 'clnorm moments' keeps; it stands for the rows of mean and var. */
enum array_role { TENSOR_IN, PARAMETER_IN, STATISTICS_IN, TENSOR_OUT, PARAMETER_OUT };

/* One file of a command. The first row is x, whose shape and dtype all others follow. */
struct array_file {
    const char *option; /* that names it, for messages */
    size_t path;        /* offset of its path in struct array_settings */
    const char *buffer; /* its name in struct clnorm_arguments */
    enum array_role role;
    uint32_t flag; /* that giving the file adds to the problem */
};

#define ARRAY_FILES_MAX 16
#define ARRAY_FILE(option, field, buffer, role, flag)                                              \
    {                                                                                              \
        option, offsetof(struct array_settings, field), buffer, role, flag                         \
    }

/* Option rows, the help text first in `...`; and the rows that several of the commands have. */
#define ARRAY_OPTION(name, type, field, value, ...)                                                \
    {                                                                                              \
        name, type, offsetof(struct array_settings, field), value, .help = __VA_ARGS__             \
    }
#define ARRAY_INPUT(name, field, ...)  ARRAY_OPTION(name, OPTION_INPUT, field, "F", __VA_ARGS__)
#define ARRAY_OUTPUT(name, field, ...) ARRAY_OPTION(name, OPTION_OUTPUT, field, "F", __VA_ARGS__)
#define ARRAY_OPTION_LAYOUT                                                                        \
    ARRAY_OPTION("--layout", OPTION_CHOICE, layout, "nchw|nhwc",                                   \
                 "the channel axis: the second (nchw, default) or the last",                       \
                 .choices = option_layouts)
#define ARRAY_OPTION_DEVICE                                                                        \
    ARRAY_OPTION("--device", OPTION_TEXT, device, "D",                                             \
                 "index or part of a name, as 'clnorm devices' lists")
#define ARRAY_OPTION_EPSILON                                                                       \
    ARRAY_OPTION("--epsilon", OPTION_NUMBER, epsilon, "E", "added to the variance (default 1e-5)", \
                 .expects = "a number >= 0 such as 1e-5", .low = 0, .high = 1e30)

/* Reads, runs and writes. `flags` are those of the problem that no file stands for. Returns the
 * exit status. */
int array_command(enum clnorm_operation operation, uint32_t flags, const struct array_file *files,
                  size_t count, const struct array_settings *settings);

#endif
