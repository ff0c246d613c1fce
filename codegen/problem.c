#include "problem.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PARAMETERS (CLNORM_SCALE | CLNORM_SHIFT)
#define OPTIMISERS (CLNORM_SGD | CLNORM_ADAM)
#define STATISTICS (CLNORM_RUNNING | CLNORM_BIASED | CLNORM_RENORM)
#define OUTPUT     (CLNORM_ADD | CLNORM_RELU)
#define LENGTHS    CLNORM_LENGTHS
#define TRAINING   (PARAMETERS | OUTPUT | STATISTICS | LENGTHS)
#define GRADIENT   (PARAMETERS | OUTPUT | OPTIMISERS | CLNORM_RENORM | LENGTHS)
#define FROZEN     (PARAMETERS | OUTPUT | OPTIMISERS | LENGTHS)

/* clang-format off */
static const struct clnorm__traits traits[CLNORM_OPERATION_COUNT] = {
    /*                         name               file           flags                          parts red fin map pl read */
    [CLNORM_MOMENTS] =         {"moments",         "forward.cl",  LENGTHS,                       0, 1, 1, 0, 4, 1},
    [CLNORM_MERGE] =           {"merge",           "forward.cl",  0,                             1, 0, 1, 0, 4, 0},
    [CLNORM_NORMALISE] =       {"normalise",       "forward.cl",  TRAINING,                      1, 0, 1, 1, 4, 1},
    [CLNORM_FORWARD] =         {"forward",         "forward.cl",  TRAINING | CLNORM_GHOST,       0, 1, 1, 1, 4, 1},
    [CLNORM_INFER] =           {"infer",           "infer.cl",    PARAMETERS | OUTPUT | LENGTHS, 0, 0, 0, 1, 0, 1},
    [CLNORM_BACKWARD_SUMS] =   {"backward-sums",   "backward.cl", CLNORM_RELU | LENGTHS,         0, 1, 1, 0, 2, 2},
    [CLNORM_INPUT_GRADIENT] =  {"input-gradient",  "backward.cl", GRADIENT,                      1, 0, 1, 1, 2, 2},
    [CLNORM_BACKWARD] =        {"backward",        "backward.cl", GRADIENT | CLNORM_GHOST,       0, 1, 1, 1, 2, 2},
    [CLNORM_BACKWARD_FROZEN] = {"backward-frozen", "backward.cl", FROZEN,                        0, 1, 1, 1, 2, 2},
    [CLNORM_UPDATE] =          {"update",          "update.cl",   PARAMETERS | OPTIMISERS,       0, 0, 1, 0, 0, 0},
};
/* clang-format on */

static const char *const layout_names[CLNORM_LAYOUT_COUNT] = {
    [CLNORM_NCHW] = "nchw", [CLNORM_NHWC] = "nhwc"};

static const struct {
    const char *name;
    size_t size, parameter_size;
} dtypes[CLNORM_DTYPE_COUNT] = {
    [CLNORM_F32] = {"f32", 4, 4},
    [CLNORM_F64] = {"f64", 8, 8},
    [CLNORM_F16] = {"f16", 2, 4},
    [CLNORM_BF16] = {"bf16", 2, 4},
};

static const struct {
    const char *name;
    uint32_t flag;
} flag_names[] = {
    {"scale", CLNORM_SCALE},     {"shift", CLNORM_SHIFT},     {"add", CLNORM_ADD},
    {"relu", CLNORM_RELU},       {"running", CLNORM_RUNNING}, {"biased", CLNORM_BIASED},
    {"sgd", CLNORM_SGD},         {"adam", CLNORM_ADAM},       {"renorm", CLNORM_RENORM},
    {"lengths", CLNORM_LENGTHS}, {"ghost", CLNORM_GHOST},
};
enum { FLAG_COUNT = sizeof flag_names / sizeof *flag_names };

const char *clnorm_operation_name(enum clnorm_operation operation)
{
    return (unsigned)operation < CLNORM_OPERATION_COUNT ? traits[operation].name : NULL;
}

const char *clnorm_layout_name(enum clnorm_layout layout)
{
    return (unsigned)layout < CLNORM_LAYOUT_COUNT ? layout_names[layout] : NULL;
}

const char *clnorm_dtype_name(enum clnorm_dtype dtype)
{
    return (unsigned)dtype < CLNORM_DTYPE_COUNT ? dtypes[dtype].name : NULL;
}

uint32_t clnorm_operation_flags(enum clnorm_operation operation)
{
    return (unsigned)operation < CLNORM_OPERATION_COUNT ? traits[operation].flags : 0;
}

size_t clnorm_dtype_size(enum clnorm_dtype dtype)
{
    return (unsigned)dtype < CLNORM_DTYPE_COUNT ? dtypes[dtype].size : 0;
}

size_t clnorm_dtype_parameter_size(enum clnorm_dtype dtype)
{
    return (unsigned)dtype < CLNORM_DTYPE_COUNT ? dtypes[dtype].parameter_size : 0;
}

struct clnorm__traits clnorm__problem_traits(const struct clnorm_problem *problem)
{
    struct clnorm__traits t = traits[problem->operation];
    if (problem->operation == CLNORM_BACKWARD_FROZEN && !(problem->flags & PARAMETERS))
        t.reduces = 0;
    return t;
}

int clnorm__channels_first(const struct clnorm_problem *problem)
{
    return problem->channels == 1 || (problem->layout == CLNORM_NCHW && problem->spatial != 1);
}

int clnorm__extents_known(const struct clnorm_problem *problem)
{
    return problem->batch != CLNORM_ANY && problem->spatial != CLNORM_ANY;
}

enum clnorm_status clnorm__invalid(char *message, size_t size, const char *format, ...)
{
    if (size > 0) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(message, size, format, arguments);
        va_end(arguments);
    }
    return CLNORM_INVALID_ARGUMENT;
}

/* a*b <= limit without overflow, for a, b >= 0; unknown extents (-1) count as 1. */
static int product_fits(int64_t *product, int64_t factor)
{
    const int64_t limit = INT64_C(1) << 60;
    if (factor == CLNORM_ANY || factor == 0)
        return 1;
    if (*product > limit / factor)
        return 0;
    *product *= factor;
    return *product < limit;
}

/* The names of the flags in a set, " +a +b", into text. */
static void format_flags(uint32_t flags, char *text, size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (unsigned i = 0; i < FLAG_COUNT; i++)
        if (flags & flag_names[i].flag)
            used += (size_t)snprintf(text + used, size - used, " +%s", flag_names[i].name);
}

static enum clnorm_status check_ghost(const struct clnorm_problem *problem, char *message,
                                      size_t size)
{
    const uint32_t flags = problem->flags;
    if (flags & CLNORM_GHOST && flags & CLNORM_RENORM)
        return clnorm__invalid(
            message, size,
            "+ghost and +renorm do not go together: one wants the noise of small "
            "batches, the other takes it out");
    if (flags & CLNORM_GHOST && (problem->ghost < 1 || problem->ghost > INT32_MAX))
        return clnorm__invalid(message, size,
                               "+ghost needs the samples of a sub-batch, 1 to 2147483647, as in "
                               "+ghost=32, not %" PRId64,
                               problem->ghost);
    if (!(flags & CLNORM_GHOST) && problem->ghost != 0)
        return clnorm__invalid(message, size, "ghost is %" PRId64 ": without +ghost it must be 0",
                               problem->ghost);
    return CLNORM_OK;
}

static enum clnorm_status check_flags(const struct clnorm_problem *problem, char *message,
                                      size_t size)
{
    const char *const operation = traits[problem->operation].name;
    const uint32_t accepted = traits[problem->operation].flags, flags = problem->flags;
    char some[128];
    if (flags & ~accepted) {
        char all[128];
        format_flags(flags & ~accepted, some, sizeof some);
        format_flags(accepted, all, sizeof all);
        return clnorm__invalid(message, size, "%s does not take the flags%s; it takes%s", operation,
                               some[0] ? some : " given", all[0] ? all : " none");
    }
    if ((flags & CLNORM_BIASED) && !(flags & CLNORM_RUNNING))
        return clnorm__invalid(message, size,
                               "+biased says how running statistics are kept: it needs +running");
    if ((flags & OPTIMISERS) == OPTIMISERS)
        return clnorm__invalid(message, size, "give one optimiser, +sgd or +adam");
    if ((flags & OPTIMISERS) && !(flags & PARAMETERS))
        return clnorm__invalid(message, size,
                               "an optimiser needs parameters: +scale, +shift or both");
    if (problem->operation == CLNORM_UPDATE && !(flags & OPTIMISERS))
        return clnorm__invalid(message, size, "update needs an optimiser: +sgd or +adam");
    return check_ghost(problem, message, size);
}

enum clnorm_status clnorm_problem_check(const struct clnorm_problem *problem, char *message,
                                        size_t size)
{
    if (!problem)
        return clnorm__invalid(message, size, "no problem given (NULL)");
    if ((unsigned)problem->operation >= CLNORM_OPERATION_COUNT)
        return clnorm__invalid(message, size, "operation %d is not of enum clnorm_operation",
                               (int)problem->operation);
    if ((unsigned)problem->layout >= CLNORM_LAYOUT_COUNT)
        return clnorm__invalid(message, size, "layout %d is not of enum clnorm_layout",
                               (int)problem->layout);
    if ((unsigned)problem->dtype >= CLNORM_DTYPE_COUNT)
        return clnorm__invalid(message, size, "dtype %d is not of enum clnorm_dtype",
                               (int)problem->dtype);
    if (problem->channels < 1 || problem->channels > INT32_MAX)
        return clnorm__invalid(message, size, "channels must be 1 to 2147483647, not %" PRId64,
                               problem->channels);
    if (problem->batch < CLNORM_ANY || problem->spatial < CLNORM_ANY)
        return clnorm__invalid(message, size,
                               "batch and spatial extents must be 0 or more, or CLNORM_ANY");
    int64_t product = problem->channels;
    if (!product_fits(&product, problem->batch) || !product_fits(&product, problem->spatial))
        return clnorm__invalid(message, size, "the tensor is too large: N*C*S must be below 2^60");
    return check_flags(problem, message, size);
}

void clnorm_problem_format(const struct clnorm_problem *problem,
                           char text[CLNORM_PROBLEM_TEXT_SIZE])
{
    char batch[24] = "?", spatial[24] = "?", flags[128];
    if (problem->batch != CLNORM_ANY)
        snprintf(batch, sizeof batch, "%" PRId64, problem->batch);
    if (problem->spatial != CLNORM_ANY)
        snprintf(spatial, sizeof spatial, "%" PRId64, problem->spatial);
    format_flags(problem->flags, flags, sizeof flags);
    if (problem->flags & CLNORM_GHOST) /* the last flag */
        snprintf(flags + strlen(flags), sizeof flags - strlen(flags), "=%" PRId64, problem->ghost);
    snprintf(text, CLNORM_PROBLEM_TEXT_SIZE, "%s %s %s %sx%" PRId64 "x%s%s",
             traits[problem->operation].name, layout_names[problem->layout],
             dtypes[problem->dtype].name, batch, problem->channels, spatial, flags);
}

/* ---- Parsing ---- */

struct word {
    const char *start;
    int length;
};

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct word next_word(const char **at)
{
    while (is_blank(**at))
        ++*at;
    struct word word = {*at, 0};
    while (**at && !is_blank(**at) && word.length < 4096) {
        ++*at;
        word.length++;
    }
    return word;
}

static int word_is(struct word word, const char *name)
{
    return strlen(name) == (size_t)word.length &&
           memcmp(word.start, name, (size_t)word.length) == 0;
}

/* The place of a word among names, or -1 with a message that lists them. */
static int find_name(struct word word, const char *what, const char *(*name)(unsigned),
                     unsigned count, char *message, size_t size)
{
    char all[256];
    size_t used = 0;
    for (unsigned i = 0; i < count; i++) {
        if (word_is(word, name(i)))
            return (int)i;
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", name(i));
    }
    if (word.length == 0)
        clnorm__invalid(message, size, "%s is missing; it is one of %s", what, all);
    else
        clnorm__invalid(message, size, "'%.*s' is not %s; it is one of %s",
                        word.length > 40 ? 40 : word.length, word.start, what, all);
    return -1;
}

static const char *operation_at(unsigned i)
{
    return traits[i].name;
}
static const char *layout_at(unsigned i)
{
    return layout_names[i];
}
static const char *dtype_at(unsigned i)
{
    return dtypes[i].name;
}
static const char *flag_at(unsigned i)
{
    return flag_names[i].name;
}

/* One extent at *at, below end: digits or `?`. */
static int parse_extent(const char **at, const char *end, int64_t *extent)
{
    if (*at < end && **at == '?') {
        ++*at;
        *extent = CLNORM_ANY;
        return 1;
    }
    const char *const start = *at;
    *extent = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
        if (*extent > (INT64_MAX - 9) / 10)
            return 0;
        *extent = *extent * 10 + (**at - '0');
    }
    return *at > start;
}

static enum clnorm_status parse_dims(struct word word, struct clnorm_problem *problem,
                                     char *message, size_t size)
{
    const char *at = word.start, *const end = word.start + word.length;
    const int shown = word.length > 60 ? 60 : word.length;
    int64_t spatial = 1;
    unsigned rank = 0;
    int unknown = 0;
    for (;; at++) {
        int64_t extent;
        if (!parse_extent(&at, end, &extent))
            return clnorm__invalid(
                message, size,
                "dims '%.*s': extents are numbers below 2^60 or `?`, joined by x "
                "(as in 32x64x56x56 or ?x64x?)",
                shown, word.start);
        if (rank == 0)
            problem->batch = extent;
        else if (rank == 1)
            problem->channels = extent;
        else if (extent == CLNORM_ANY)
            unknown = 1;
        else if (extent == 0)
            spatial = 0;
        else if (!product_fits(&spatial, extent))
            return clnorm__invalid(message, size, "dims '%.*s': the tensor is too large", shown,
                                   word.start);
        rank++;
        if (at == end)
            break;
        if (*at != 'x')
            return clnorm__invalid(message, size, "dims '%.*s': extents are joined by x", shown,
                                   word.start);
    }
    if (rank < 2)
        return clnorm__invalid(
            message, size, "dims '%.*s': at least batch and channels are needed, as in 256x1024",
            shown, word.start);
    if (problem->channels == CLNORM_ANY)
        return clnorm__invalid(
            message, size, "dims '%.*s': the channel count must be known; kernels are made for it",
            shown, word.start);
    problem->spatial = unknown ? CLNORM_ANY : spatial;
    return CLNORM_OK;
}

/* "ghost=32" becomes the word "ghost" and 32. 0: there is no number, or it is none. */
static int parse_ghost(struct word *word, int64_t *ghost)
{
    const char *const end = word->start + word->length;
    const char *at = memchr(word->start, '=', (size_t)word->length);
    if (!at)
        return 1;
    word->length = (int)(at++ - word->start);
    return word_is(*word, "ghost") && *at != '?' && parse_extent(&at, end, ghost) && at == end;
}

static enum clnorm_status parse_flags(const char **at, struct clnorm_problem *problem,
                                      char *message, size_t size)
{
    for (;;) {
        struct word word = next_word(at);
        if (word.length == 0)
            return CLNORM_OK;
        if (word.start[0] != '+')
            return clnorm__invalid(message, size,
                                   "'%.*s' after the dims: flags begin with +, as in +scale",
                                   word.length > 40 ? 40 : word.length, word.start);
        word.start++;
        word.length--;
        const struct word whole = word;
        if (!parse_ghost(&word, &problem->ghost))
            return clnorm__invalid(message, size,
                                   "'+%.*s': only +ghost has a number, below 2^31, as in +ghost=32",
                                   whole.length > 40 ? 40 : whole.length, whole.start);
        const int flag = find_name(word, "a flag", flag_at, FLAG_COUNT, message, size);
        if (flag < 0)
            return CLNORM_INVALID_ARGUMENT;
        problem->flags |= flag_names[flag].flag;
    }
}

enum clnorm_status clnorm_problem_parse(const char *text, struct clnorm_problem *problem,
                                        char *message, size_t size)
{
    if (!text || !problem)
        return clnorm__invalid(message, size, "no problem text given (NULL)");
    struct clnorm_problem parsed = {0};
    const char *at = text;
    const int operation = find_name(next_word(&at), "an operation", operation_at,
                                    CLNORM_OPERATION_COUNT, message, size);
    if (operation < 0)
        return CLNORM_INVALID_ARGUMENT;
    const int layout =
        find_name(next_word(&at), "a layout", layout_at, CLNORM_LAYOUT_COUNT, message, size);
    if (layout < 0)
        return CLNORM_INVALID_ARGUMENT;
    const int dtype =
        find_name(next_word(&at), "a dtype", dtype_at, CLNORM_DTYPE_COUNT, message, size);
    if (dtype < 0)
        return CLNORM_INVALID_ARGUMENT;
    parsed.operation = (enum clnorm_operation)operation;
    parsed.layout = (enum clnorm_layout)layout;
    parsed.dtype = (enum clnorm_dtype)dtype;
    enum clnorm_status status = parse_dims(next_word(&at), &parsed, message, size);
    if (status == CLNORM_OK)
        status = parse_flags(&at, &parsed, message, size);
    if (status == CLNORM_OK)
        status = clnorm_problem_check(&parsed, message, size);
    if (status == CLNORM_OK)
        *problem = parsed;
    return status;
}
