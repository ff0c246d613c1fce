#include "options.h"

#include "message.h"

#include <stdlib.h>
#include <string.h>

const char *const option_layouts[] = {"nchw", "nhwc", NULL};
const char *const option_kinds[] = {"auto", "cpu", "gpu", "fpga", NULL};

struct parse {
    const struct command *command;
    void *values;
    char given[OPTIONS_MAX]; /* which rows have been */
    const char *input;       /* the row that took standard input */
};

static int is_option(const char *text)
{
    return text[0] == '-' && text[1] != '\0';
}

static void *value_at(const struct parse *parse, const struct option *option)
{
    return (char *)parse->values + option->offset;
}

static const char *expectation(const struct option *option)
{
    if (option->type == OPTION_INPUT || option->type == OPTION_OUTPUT)
        return "a file name, or '-'";
    return option->expects ? option->expects : option->value;
}

static int wrong_value(const struct option *option, const char *text)
{
    return fail(WRONG_USAGE, "%s: '%s' is not valid; expected %s", option->name, text,
                expectation(option));
}

static int set_flag(struct parse *parse, const struct option *option, const char *text)
{
    (void)text;
    *(int *)value_at(parse, option) = 1;
    return DONE;
}

static int set_text(struct parse *parse, const struct option *option, const char *text)
{
    if (!*text)
        return fail(WRONG_USAGE, "%s: the value is empty; expected %s", option->name,
                    expectation(option));
    *(const char **)value_at(parse, option) = text;
    return DONE;
}

static int set_input(struct parse *parse, const struct option *option, const char *text)
{
    if (strcmp(text, "-") == 0) {
        if (parse->input)
            return fail(WRONG_USAGE,
                        "%s: standard input ('-') is already taken by %s; give one of them a file",
                        option->name, parse->input);
        parse->input = option->name;
    }
    return set_text(parse, option, text);
}

static int read_number(const struct option *option, const char *text, double *number)
{
    char *end;
    *number = strtod(text, &end);
    /* Written so that NaN fails, and " 1" and "1 " do too. */
    const int bounded = *number >= option->low && *number <= option->high;
    return strchr("+-.0123456789", *text) && end != text && !*end && bounded;
}

static int set_number(struct parse *parse, const struct option *option, const char *text)
{
    double number;
    if (!read_number(option, text, &number))
        return wrong_value(option, text);
    *(double *)value_at(parse, option) = number;
    return DONE;
}

static int set_count(struct parse *parse, const struct option *option, const char *text)
{
    double number;
    if (strspn(text, "0123456789") != strlen(text) || !read_number(option, text, &number))
        return wrong_value(option, text);
    *(unsigned *)value_at(parse, option) = (unsigned)number;
    return DONE;
}

static int set_choice(struct parse *parse, const struct option *option, const char *text)
{
    for (int i = 0; option->choices[i]; i++) {
        if (strcmp(option->choices[i], text) == 0) {
            *(int *)value_at(parse, option) = i;
            return DONE;
        }
    }
    return wrong_value(option, text);
}

/* One row per enum option_type; OPTION_LIST is taken whole by parse_operands. */
static int (*const setters[])(struct parse *, const struct option *, const char *) = {
    [OPTION_FLAG] = set_flag,     [OPTION_TEXT] = set_text,     [OPTION_INPUT] = set_input,
    [OPTION_OUTPUT] = set_text,   [OPTION_NUMBER] = set_number, [OPTION_COUNT] = set_count,
    [OPTION_CHOICE] = set_choice,
};

/* The row whose name is the first `length` bytes of `text`, or the number of rows. */
static size_t find_option(const struct command *command, const char *text, size_t length)
{
    size_t i = 0;
    for (; i < command->option_count; i++)
        if (strlen(command->options[i].name) == length &&
            strncmp(command->options[i].name, text, length) == 0)
            break;
    return i;
}

/* Reads argv[*at], and the argument after it where that is its value. */
static int parse_option(struct parse *parse, int argc, char **argv, int *at)
{
    const char *const text = argv[*at];
    const char *const equals = strncmp(text, "--", 2) == 0 ? strchr(text, '=') : NULL;
    const size_t length = equals ? (size_t)(equals - text) : strlen(text);
    const size_t row = find_option(parse->command, text, length);
    if (row == parse->command->option_count)
        return fail(WRONG_USAGE,
                    "%.*s is not an option of 'clnorm %s'; 'clnorm %s --help' lists them",
                    (int)length, text, parse->command->name, parse->command->name);

    const struct option *const option = &parse->command->options[row];
    if (parse->given[row]++)
        return fail(WRONG_USAGE, "%s is given twice; give it once", option->name);
    if (option->type == OPTION_FLAG && equals)
        return fail(WRONG_USAGE, "%s takes no value; leave out '%s'", option->name, equals);
    if (option->type == OPTION_FLAG || equals)
        return setters[option->type](parse, option, equals ? equals + 1 : "");
    if (*at + 1 == argc || strncmp(argv[*at + 1], "--", 2) == 0)
        return fail(WRONG_USAGE, "%s has no value; expected %s", option->name, expectation(option));
    return setters[option->type](parse, option, argv[++*at]);
}

static int parse_operands(struct parse *parse, int count, char **operands)
{
    int next = 0;
    for (size_t row = 0; row < parse->command->option_count && next < count; row++) {
        const struct option *const option = &parse->command->options[row];
        if (is_option(option->name))
            continue;
        parse->given[row] = 1;
        if (option->type == OPTION_LIST) {
            const struct option_list list = {.items = operands + next,
                                             .count = (size_t)(count - next)};
            *(struct option_list *)value_at(parse, option) = list;
            return DONE;
        }
        const int status = setters[option->type](parse, option, operands[next++]);
        if (status != DONE)
            return status;
    }
    if (next < count)
        return fail(
            WRONG_USAGE,
            "'%s' is one argument too many (put quotes around a problem); usage: clnorm %s %s",
            operands[next], parse->command->name, parse->command->synopsis);
    return DONE;
}

/* What is required has been given, and nothing without what it needs. */
static int check_given(const struct parse *parse)
{
    const struct command *const command = parse->command;
    for (size_t row = 0; row < command->option_count; row++) {
        const struct option *const option = &command->options[row];
        if (option->required && !parse->given[row])
            return fail(WRONG_USAGE, "%s is missing; usage: clnorm %s %s", option->name,
                        command->name, command->synopsis);
        if (parse->given[row] && option->needs &&
            !parse->given[find_option(command, option->needs, strlen(option->needs))])
            return fail(WRONG_USAGE, "%s needs %s; give both or neither", option->name,
                        option->needs);
    }
    return DONE;
}

int options_parse(const struct command *command, int argc, char **argv, void *values)
{
    struct parse parse = {.command = command, .values = values};
    int operands = 0, options_ended = 0;
    for (int at = 0; at < argc; at++) {
        if (!options_ended && strcmp(argv[at], "--") == 0) {
            options_ended = 1;
        } else if (options_ended || !is_option(argv[at])) {
            argv[operands++] = argv[at]; /* operands <= at: nothing unread is lost */
        } else {
            const int status = parse_option(&parse, argc, argv, &at);
            if (status != DONE)
                return status;
        }
    }
    const int status = parse_operands(&parse, operands, argv);
    return status == DONE ? check_given(&parse) : status;
}

void options_help(const struct command *command, FILE *out)
{
    fprintf(out, "Usage: clnorm %s %s\n\n%s\nArguments:\n", command->name, command->synopsis,
            command->text);
    for (size_t row = 0; row < command->option_count; row++) {
        const struct option *const option = &command->options[row];
        char left[80];
        const int named = is_option(option->name) && option->type != OPTION_FLAG;
        snprintf(left, sizeof left, "%s%s%s", option->name, named ? " " : "",
                 named ? option->value : "");
        fprintf(out, strlen(left) < 26 ? "  %-26s%s\n" : "  %s\n                            %s\n",
                left, option->help);
    }
    fprintf(out, "  %-26s%s\n\nExamples:\n%s", "--help", "this page", command->examples);
}
