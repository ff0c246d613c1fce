/* Every sub-command: a row here, a row in main.c's table, and a file of its own. */
#ifndef CLNORM_TOOLS_COMMANDS_H
#define CLNORM_TOOLS_COMMANDS_H

#include "options.h"

extern const struct command command_devices;
extern const struct command command_emit;
extern const struct command command_forward;
extern const struct command command_infer;
extern const struct command command_backward;
extern const struct command command_moments;
extern const struct command command_check;
extern const struct command command_bench;
extern const struct command command_tune;
extern const struct command command_compile;
extern const struct command command_bundle;
extern const struct command command_cache;

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

#endif
