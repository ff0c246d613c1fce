#define _POSIX_C_SOURCE 200809L
#include "cases.h"

#include "message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS       4 /* that may have alternatives: operation, layout, dtype, dims */
#define LINE_SIZE   4096
#define BLANKS      " \t\r\n"
#define ELEMENT_MAX (INT64_C(1) << 33)

static int parse_dims(struct bench_case *const one)
{
    const char *at = one->dims;
    for (one->rank = 0; one->rank < BENCH_RANK_MAX; at++) {
        char *end;
        one->dim[one->rank++] = strtoll(at, &end, 10);
        at = end;
        if (*at != 'x')
            return 1;
    }
    return 0;
}

static int is_timed(const enum clnorm_operation operation)
{
    return operation == CLNORM_FORWARD || operation == CLNORM_INFER || operation == CLNORM_BACKWARD;
}

/* What the bench needs beyond a valid problem: fixed extents, some values, a known operation. */
static const char *refusal(const struct bench_case *const one)
{
    const struct clnorm_problem *const p = &one->problem;
    if (!is_timed(p->operation))
        return "forward, infer and backward are timed here; 'clnorm bench' times any operation";
    if (p->flags & (CLNORM_SGD | CLNORM_ADAM))
        return "no peer has the optimiser's step; leave out +sgd and +adam";
    if (p->batch == CLNORM_ANY || p->spatial == CLNORM_ANY)
        return "every extent must be a number here, since it is run; replace the '?'";
    if (p->batch == 0 || p->spatial == 0)
        return "there is nothing to time in an empty tensor; give extents of at least 1";
    if (p->batch * p->channels > ELEMENT_MAX / p->spatial)
        return "a tensor may have 2^33 values here; give smaller extents";
    return NULL;
}

static int append(struct bench_cases *const cases, const struct bench_case *const one)
{
    if (cases->count == cases->capacity) {
        const size_t capacity = cases->capacity ? 2 * cases->capacity : 64;
        struct bench_case *const items = realloc(cases->items, capacity * sizeof *items);
        if (!items)
            return bench_fail(BENCH_FAILED, "out of memory for the list of problems");
        cases->items = items;
        cases->capacity = capacity;
    }
    struct bench_case *const item = &cases->items[cases->count++];
    *item = *one;
    return BENCH_DONE;
}

static int add_problem(struct bench_cases *const cases, const char *const word[WORDS],
                       const char *const flags, const char *const place)
{
    struct bench_case one = {.rank = 0};
    char message[512];
    const int length = snprintf(one.text, sizeof one.text, "%s %s %s %s%s%s", word[0], word[1],
                                word[2], word[3], *flags ? " " : "", flags);
    if (length >= (int)sizeof one.text)
        return bench_fail(BENCH_USAGE, "%s: '%.40s...' is too long for a problem", place, one.text);
    if (clnorm_problem_parse(one.text, &one.problem, message, sizeof message) != CLNORM_OK)
        return bench_fail(BENCH_USAGE, "%s: '%s': %s", place, one.text, message);
    const char *const why = refusal(&one);
    if (why)
        return bench_fail(BENCH_USAGE, "%s: '%s': %s", place, one.text, why);
    one.dims = word[3];
    if (!parse_dims(&one))
        return bench_fail(BENCH_USAGE, "%s: '%s': at most %d dimensions here", place, one.text,
                          BENCH_RANK_MAX);
    return append(cases, &one);
}

/* Chooses each alternative of word `depth` in turn; the text of a list is cut at its commas. */
static int expand(struct bench_cases *const cases, char *const list[WORDS], const char *word[WORDS],
                  const unsigned depth, const char *const flags, const char *const place)
{
    if (depth == WORDS)
        return add_problem(cases, word, flags, place);
    int status = BENCH_DONE;
    for (char *at = list[depth]; at && status == BENCH_DONE;) {
        char *const comma = strchr(at, ',');
        if (comma)
            *comma = '\0';
        word[depth] = at;
        status = expand(cases, list, word, depth + 1, flags, place);
        if (comma)
            *comma = ',';
        at = comma ? comma + 1 : NULL;
    }
    return status;
}

/* The rest of a line, with one blank between words and none at the end. */
static void join_flags(char *const flags, const size_t size, char **const rest)
{
    size_t length = 0;
    flags[0] = '\0';
    for (char *word; (word = strtok_r(NULL, BLANKS, rest)) && length < size;)
        length += (size_t)snprintf(flags + length, size - length, "%s%s", length ? " " : "", word);
}

/* Where dims stand in text that was made by add_problem: behind the third blank. */
static const char *find_dims(const char *text)
{
    for (int blanks = 0; blanks < WORDS - 1; blanks++)
        text = strchr(text, ' ') + 1;
    return text;
}

int bench_cases_add(struct bench_cases *const cases, const char *const line,
                    const char *const place)
{
    char copy[LINE_SIZE], flags[BENCH_TEXT_SIZE], *rest, *list[WORDS];
    const char *word[WORDS];
    const size_t length = strcspn(line, "#\n");
    if (length >= sizeof copy)
        return bench_fail(BENCH_USAGE, "%s: a line may have %d characters; split it", place,
                          LINE_SIZE - 1);
    memcpy(copy, line, length);
    copy[length] = '\0';
    for (unsigned i = 0; i < WORDS; i++) {
        list[i] = strtok_r(i ? NULL : copy, BLANKS, &rest);
        if (!list[i] && i == 0)
            return BENCH_DONE;
        if (!list[i])
            return bench_fail(BENCH_USAGE,
                              "%s: '%.80s' is not a problem; expected 'operation layout dtype "
                              "dims +flags', as in 'forward nchw f32 32x64x56x56 +scale'",
                              place, line);
    }
    join_flags(flags, sizeof flags, &rest);
    const int status = expand(cases, list, word, 0, flags, place);
    for (size_t i = 0; i < cases->count; i++) /* items move when the list grows */
        cases->items[i].dims = find_dims(cases->items[i].text);
    return status;
}

int bench_cases_read(struct bench_cases *const cases, const char *const path)
{
    char line[LINE_SIZE + 1], place[512];
    int status = BENCH_DONE;
    FILE *const file = fopen(path, "r");
    if (!file)
        return bench_fail(BENCH_USAGE, "--cases: %s: %s; give a file with a problem on each line",
                          path, strerror(errno));
    for (unsigned at = 1; status == BENCH_DONE && fgets(line, sizeof line, file); at++) {
        snprintf(place, sizeof place, "%s:%u", path, at);
        status = bench_cases_add(cases, line, place);
    }
    if (status == BENCH_DONE && ferror(file))
        status = bench_fail(BENCH_FAILED, "--cases: %s: %s", path, strerror(errno));
    fclose(file);
    return status;
}

void bench_cases_free(struct bench_cases *const cases)
{
    free(cases->items);
    *cases = (struct bench_cases){.count = 0};
}

double bench_tensor_bytes(const struct bench_case *const one)
{
    const struct clnorm_problem *const p = &one->problem;
    return (double)p->batch * (double)p->channels * (double)p->spatial *
           (double)clnorm_dtype_size(p->dtype);
}

unsigned bench_tensors_read(const struct clnorm_problem *const problem)
{
    const unsigned extra = problem->operation == CLNORM_BACKWARD
                               ? (problem->flags & CLNORM_RELU) != 0
                               : (problem->flags & CLNORM_ADD) != 0;
    return (problem->operation == CLNORM_BACKWARD ? 2 : 1) + extra;
}

unsigned bench_tensors_written(const struct clnorm_problem *const problem)
{
    return problem->operation == CLNORM_BACKWARD && problem->flags & CLNORM_ADD ? 2 : 1;
}
