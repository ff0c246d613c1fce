/*
 * The C preprocessor as oracle of the specialiser: a kernel file with the symbols and values as -D
 * flags, and the emitted text, must preprocess to the same tokens.
 */
#define _POSIX_C_SOURCE 200809L
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "emit.h"
#include "problem.h"
#include "variants.h"

/* Every how many-th variant is tried: each costs two runs of the preprocessor. */
#define STRIDE 23

struct state {
    char directory[64];
    unsigned seen, tried;
};

/* What a command prints, blanks squeezed out of it but between words; malloc'd. */
static char *tokens_of(const char *command)
{
    FILE *const pipe = popen(command, "r");
    assert_non_null(pipe);
    char *const text = calloc(1, 1 << 20);
    size_t length = 0;
    int blank = 0, c;
    while ((c = fgetc(pipe)) != EOF && length < (1 << 20) - 2) {
        if (isspace(c)) {
            blank = 1;
            continue;
        }
        if (blank && length > 0 && (isalnum(c) || c == '_') &&
            (isalnum(text[length - 1]) || text[length - 1] == '_'))
            text[length++] = ' ';
        text[length++] = (char)c;
        blank = 0;
    }
    assert_int_equal(pclose(pipe), 0);
    return text;
}

static char *tokens_of_kernel_file(const struct variant *v)
{
    static char command[16384];
    struct clnorm__symbol symbols[CLNORM__SYMBOL_CAPACITY];
    clnorm__emit_symbols(&v->problem, &v->schedule, symbols);
    const struct clnorm__values_list values = clnorm__emit_values(&v->problem, &v->schedule);
    assert_true(values.count < CLNORM__VALUE_CAPACITY - 1);
    size_t used = (size_t)snprintf(command, sizeof command, "cpp -P -undef -I'%s'", KERNELS);
    for (const struct clnorm__symbol *s = symbols; s->name; s++)
        used +=
            (size_t)snprintf(command + used, sizeof command - used, " -D%s=%d", s->name, s->value);
    for (unsigned i = 0; i < values.count; i++)
        used += (size_t)snprintf(command + used, sizeof command - used, " -D'%s=%s'",
                                 values.value[i].name, values.value[i].text);
    snprintf(command + used, sizeof command - used, " '%s/%s'", KERNELS,
             clnorm__problem_traits(&v->problem).file);
    return tokens_of(command);
}

static char *tokens_of_text(const struct variant *v, const char *directory)
{
    char path[128], command[256], message[256];
    struct clnorm_source source;
    assert_int_equal(
        clnorm_source_emit(&v->problem, &v->schedule, &source, message, sizeof message), CLNORM_OK);
    snprintf(path, sizeof path, "%s/text.cl", directory);
    FILE *const file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(source.text, 1, source.length, file), source.length);
    assert_int_equal(fclose(file), 0);
    clnorm_source_free(&source);
    snprintf(command, sizeof command, "cpp -P -undef %s", path);
    char *const tokens = tokens_of(command);
    assert_int_equal(unlink(path), 0);
    return tokens;
}

static int compare(void *user, const struct variant *v)
{
    struct state *const state = user;
    if (state->seen++ % STRIDE != 0)
        return 0;
    state->tried++;
    char *const expected = tokens_of_kernel_file(v), *const emitted =
                                                         tokens_of_text(v, state->directory);
    assert_true(strlen(expected) > 100);
    assert_string_equal(emitted, expected);
    free(expected);
    free(emitted);
    return 0;
}

static void test_same_tokens(void **unused)
{
    (void)unused;
    struct state state = {.directory = "/tmp/clnorm-oracle-XXXXXX"};
    assert_non_null(mkdtemp(state.directory));
    assert_int_equal(visit_variants(compare, &state), 0);
    assert_int_equal(rmdir(state.directory), 0);
    print_message("%u of %u variants compared\n", state.tried, state.seen);
    assert_true(state.tried > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_tokens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
