#include "problem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* How a field of struct clnorm_schedule is kept and spelled. */
enum spelling {
    WALK,     /* an enum clnorm_walk, by its name */
    FOLD,     /* an enum clnorm_fold, likewise, left out where it is the tree */
    NUMBER,   /* a uint32_t */
    OPTIONAL, /* a uint32_t, left out where it is 0 */
    BYTES     /* a uint64_t; its largest value is `always` */
};

static const char *const walk_names[CLNORM_WALK_COUNT] = {
    [CLNORM_WALK_SERIAL] = "serial",
    [CLNORM_WALK_GROUP] = "group",
    [CLNORM_WALK_PIPELINE] = "pipeline",
    [CLNORM_WALK_DATAFLOW] = "dataflow",
};

static const char *const fold_names[CLNORM_FOLD_COUNT] = {
    [CLNORM_FOLD_TREE] = "tree",
    [CLNORM_FOLD_SUBGROUP] = "subgroup",
    [CLNORM_FOLD_COLLECTIVE] = "collective",
};

/* By spelling: none of numbers. */
static const struct names {
    const char *const *name;
    unsigned count;
} names[] = {
    [WALK] = {walk_names, CLNORM_WALK_COUNT},
    [FOLD] = {fold_names, CLNORM_FOLD_COUNT},
};
_Static_assert(sizeof(enum clnorm_walk) == sizeof(uint32_t) &&
                   sizeof(enum clnorm_fold) == sizeof(uint32_t),
               "what is spelled by name is kept as a number is");

/* The fields as the text orders them: a new number of struct clnorm_schedule is one line here. */
static const struct field {
    const char *name;
    size_t offset;
    enum spelling spelling;
} fields[] = {
    {"walk", offsetof(struct clnorm_schedule, walk), WALK},
    {"lanes", offsetof(struct clnorm_schedule, lanes), NUMBER},
    {"group", offsetof(struct clnorm_schedule, group), NUMBER},
    {"tile", offsetof(struct clnorm_schedule, tile), NUMBER},
    {"block", offsetof(struct clnorm_schedule, block), NUMBER},
    {"parts", offsetof(struct clnorm_schedule, parts), NUMBER},
    {"resident", offsetof(struct clnorm_schedule, resident), BYTES},
    {"stream", offsetof(struct clnorm_schedule, stream), BYTES},
    {"fetch", offsetof(struct clnorm_schedule, fetch), NUMBER},
    {"baked", offsetof(struct clnorm_schedule, baked), NUMBER},
    {"bound", offsetof(struct clnorm_schedule, bound), OPTIONAL},
    {"fold", offsetof(struct clnorm_schedule, fold), FOLD},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };
_Static_assert(FIELD_COUNT <= 32, "the fields seen are bits of a uint32_t");

static const char nameless[] = "custom", always[] = "always";

int clnorm_schedule_same(const struct clnorm_schedule *a, const struct clnorm_schedule *b)
{
    static const size_t sizes[] = {[WALK] = sizeof(uint32_t),
                                   [FOLD] = sizeof(uint32_t),
                                   [NUMBER] = sizeof(uint32_t),
                                   [OPTIONAL] = sizeof(uint32_t),
                                   [BYTES] = sizeof(uint64_t)};
    int same = strncmp(a->name, b->name, sizeof a->name) == 0;
    for (unsigned i = 0; i < FIELD_COUNT && same; i++)
        same = memcmp((const char *)a + fields[i].offset, (const char *)b + fields[i].offset,
                      sizes[fields[i].spelling]) == 0;
    return same;
}

/* ---- Writing ---- */

static void format_field(const struct clnorm_schedule *schedule, const struct field *field,
                         char *text, size_t size)
{
    const char *const at = (const char *)schedule + field->offset;
    uint32_t number;
    uint64_t bytes;
    const struct names *of;
    switch (field->spelling) {
    case WALK:
    case FOLD:
        memcpy(&number, at, sizeof number);
        of = &names[field->spelling];
        snprintf(text, size, "%s", number < of->count ? of->name[number] : "none");
        break;
    case NUMBER:
    case OPTIONAL:
        memcpy(&number, at, sizeof number);
        snprintf(text, size, "%" PRIu32, number);
        break;
    case BYTES:
        memcpy(&bytes, at, sizeof bytes);
        if (bytes == UINT64_MAX)
            snprintf(text, size, "%s", always);
        else
            snprintf(text, size, "%" PRIu64, bytes);
        break;
    }
}

static int may_be_left_out(const struct field *field)
{
    return field->spelling == OPTIONAL || field->spelling == FOLD;
}

static int is_left_out(const struct clnorm_schedule *schedule, const struct field *field)
{
    uint32_t number;
    memcpy(&number, (const char *)schedule + field->offset, sizeof number);
    return may_be_left_out(field) && number == 0;
}

void clnorm_schedule_format(const struct clnorm_schedule *schedule,
                            char text[CLNORM_SCHEDULE_TEXT_SIZE])
{
    const char *const name = schedule->name[0] ? schedule->name : nameless;
    int used = snprintf(text, CLNORM_SCHEDULE_TEXT_SIZE, "%.23s:", name);
    for (unsigned i = 0; i < FIELD_COUNT && used < CLNORM_SCHEDULE_TEXT_SIZE; i++) {
        char value[24];
        if (is_left_out(schedule, &fields[i]))
            continue;
        format_field(schedule, &fields[i], value, sizeof value);
        used += snprintf(text + used, (size_t)(CLNORM_SCHEDULE_TEXT_SIZE - used), " %s=%s",
                         fields[i].name, value);
    }
}

/* ---- Reading ---- */

/* Part of a text that has no zero at its end. */
struct word {
    const char *start;
    size_t length;
};

static const char blanks[] = " \t\r\n";

static struct word next_word(const char **at)
{
    *at += strspn(*at, blanks);
    const struct word word = {.start = *at, .length = strcspn(*at, blanks)};
    *at += word.length;
    return word;
}

static int word_is(struct word word, const char *name)
{
    return strlen(name) == word.length && memcmp(word.start, name, word.length) == 0;
}

/* How much of a word a message shows. */
static int shown(struct word word)
{
    return word.length > 40 ? 40 : (int)word.length;
}

/* Decimal digits only, at most `limit`. */
static int parse_number(struct word word, uint64_t limit, uint64_t *number)
{
    uint64_t value = 0;
    for (size_t i = 0; i < word.length; i++) {
        const unsigned digit = (unsigned)(unsigned char)word.start[i] - '0';
        if (digit > 9 || value > (limit - digit) / 10)
            return 0;
        value = value * 10 + digit;
    }
    *number = value;
    return word.length > 0;
}

static int parse_choice(struct word word, const struct names *of, uint64_t *number)
{
    unsigned i = 0;
    while (i < of->count && !word_is(word, of->name[i]))
        i++;
    *number = i;
    return i < of->count;
}

/* The value of a field, into the schedule; 0 when it is not one. */
static int parse_value(struct word word, const struct field *field,
                       struct clnorm_schedule *schedule)
{
    char *const at = (char *)schedule + field->offset;
    uint64_t number = UINT64_MAX;
    int good = 0;
    switch (field->spelling) {
    case WALK:
    case FOLD:
    case NUMBER:
    case OPTIONAL:
        good = field->spelling == WALK || field->spelling == FOLD
                   ? parse_choice(word, &names[field->spelling], &number)
                   : parse_number(word, UINT32_MAX, &number);
        memcpy(at, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
        break;
    case BYTES:
        good = word_is(word, always) || parse_number(word, UINT64_MAX, &number);
        memcpy(at, &number, sizeof number);
        break;
    }
    return good;
}

static enum clnorm_status parse_name(struct word word, char name[24], char *message, size_t size)
{
    if (word.length < 2 || word.start[word.length - 1] != ':')
        return clnorm__invalid(message, size,
                               "schedule '%.*s': it begins with a name and a colon, as in 'cpu:'",
                               shown(word), word.start);
    word.length--;
    if (word.length > 23)
        return clnorm__invalid(message, size, "schedule '%.*s': a name has at most 23 characters",
                               shown(word), word.start);
    if (!word_is(word, nameless))
        memcpy(name, word.start, word.length);
    return CLNORM_OK;
}

/* "name=value", a field that was not seen before. */
static enum clnorm_status parse_field(struct word word, struct clnorm_schedule *schedule,
                                      uint32_t *seen, char *message, size_t size)
{
    const char *const equals = memchr(word.start, '=', word.length);
    const struct word name = {word.start, equals ? (size_t)(equals - word.start) : word.length};
    unsigned i = 0;
    while (i < FIELD_COUNT && !(equals && word_is(name, fields[i].name)))
        i++;
    if (i == FIELD_COUNT)
        return clnorm__invalid(message, size,
                               "schedule: '%.*s' is none of its numbers, as in 'lanes=4'",
                               shown(word), word.start);
    if (*seen & UINT32_C(1) << i)
        return clnorm__invalid(message, size, "schedule: %s is given twice", fields[i].name);
    *seen |= UINT32_C(1) << i;
    const struct word value = {equals + 1, word.length - name.length - 1};
    if (!parse_value(value, &fields[i], schedule))
        return clnorm__invalid(message, size, "schedule: %s cannot be '%.*s'", fields[i].name,
                               shown(value), value.start);
    return CLNORM_OK;
}

enum clnorm_status clnorm_schedule_parse(const char *text, struct clnorm_schedule *schedule,
                                         char *message, size_t size)
{
    if (!text || !schedule)
        return clnorm__invalid(message, size, "no schedule text given (NULL)");
    struct clnorm_schedule parsed = {.name = ""};
    uint32_t seen = 0;
    enum clnorm_status status = parse_name(next_word(&text), parsed.name, message, size);
    struct word word = {text, 0};
    while (status == CLNORM_OK && (word = next_word(&text)).length > 0)
        status = parse_field(word, &parsed, &seen, message, size);
    for (unsigned i = 0; i < FIELD_COUNT && status == CLNORM_OK; i++)
        if (!may_be_left_out(&fields[i]) && !(seen & UINT32_C(1) << i))
            status = clnorm__invalid(message, size, "schedule: %s is missing", fields[i].name);
    if (status == CLNORM_OK)
        *schedule = parsed;
    return status;
}
