/* clnorm: the library at the command line. This file finds the sub-command; each has a file of its
 * own. */
#define _POSIX_C_SOURCE 200809L
#include "commands.h"
#include "message.h"

#include <clnorm/codegen.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command *const commands[] = {
    &command_devices,  &command_emit,    &command_forward, &command_infer,
    &command_backward, &command_moments, &command_check,   &command_bench,
    &command_tune,     &command_compile, &command_bundle,  &command_cache,
};

static int print_help(void)
{
    printf("Usage: clnorm COMMAND [arguments]\n\n"
           "Batch normalization on any OpenCL device: CPUs, GPUs and FPGAs.\n\nCommands:\n");
    for (size_t i = 0; i < ROWS(commands); i++)
        printf("  %-10s%s\n", commands[i]->name, commands[i]->summary);
    printf("\n'clnorm COMMAND --help' explains one, with examples; 'clnorm --version' prints the "
           "version.\n\n"
           "Where a file is named, '-' means standard input or output. Exit status: 0 done, 1 the "
           "work\n"
           "failed, 2 wrong usage; one line on standard error says what is wrong, where, and what "
           "to do.\n\n"
           "Examples:\n"
           "  clnorm devices\n"
           "  clnorm forward x.npy -o y.npy --scale gamma.npy --shift beta.npy --relu\n"
           "  clnorm emit 'forward nhwc f16 ?x64x? +scale +shift +relu' --target gpu\n");
    return finish_output();
}

static int is_help(const char *text)
{
    return strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (is_help(argv[i])) {
            options_help(command, stdout);
            return finish_output();
        }
    }
    const int status = command->run(command, argc, argv);
    const int flushed = status == DONE ? finish_output() : DONE;
    return status == DONE ? flushed : status;
}

int main(int argc, char **argv)
{
    /* A reader that has gone is a failed write: one line, and no half-made files. */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2)
        return fail(WRONG_USAGE, "a command is missing; 'clnorm --help' lists them");
    if (is_help(argv[1]))
        return print_help();
    if (strcmp(argv[1], "--version") == 0) {
        printf("clnorm %s\n", clnorm_version());
        return finish_output();
    }
    for (size_t i = 0; i < ROWS(commands); i++)
        if (strcmp(argv[1], commands[i]->name) == 0)
            return run_command(commands[i], argc - 2, argv + 2);
    return fail(WRONG_USAGE, "'%s' is not a command; 'clnorm --help' lists them", argv[1]);
}
