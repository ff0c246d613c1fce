#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "emit.h"
#include "geometry.h"
#include "signature.h"
#include "text.h"

/* ---- Structure: symbols the specialiser resolves ---- */

/* The tree over a work-group has a level that folds items `distance` apart: down to one record a
 * channel of the tile. */
static int folds(const struct clnorm_schedule *s, uint32_t distance)
{
    return s->group >= 2 * distance && s->tile <= distance;
}

void clnorm__emit_symbols(const struct clnorm_problem *p, const struct clnorm_schedule *s,
                          struct clnorm__symbol symbols[CLNORM__SYMBOL_CAPACITY])
{
    const struct clnorm__traits traits = clnorm__problem_traits(p);
    const enum clnorm_operation op = p->operation;
    const uint64_t spread = clnorm__spread(p, s), row = (uint64_t)p->channels * spread;
    const int first = clnorm__channels_first(p) && spread == 1;
    const int frozen = op == CLNORM_BACKWARD_FROZEN;
    const int backward = op >= CLNORM_BACKWARD_SUMS && op <= CLNORM_BACKWARD_FROZEN;
    const int serial = s->walk == CLNORM_WALK_SERIAL;
    const struct clnorm__symbol all[] = {
        {"F64", p->dtype == CLNORM_F64},
        {"F16", p->dtype == CLNORM_F16},
        {"BF16", p->dtype == CLNORM_BF16},
        {"SCALE", (p->flags & CLNORM_SCALE) != 0},
        {"SHIFT", (p->flags & CLNORM_SHIFT) != 0},
        {"ADD", (p->flags & CLNORM_ADD) != 0},
        {"RELU", (p->flags & CLNORM_RELU) != 0},
        {"RUNNING", (p->flags & CLNORM_RUNNING) != 0},
        {"BIASED", (p->flags & CLNORM_BIASED) != 0},
        {"RENORM", (p->flags & CLNORM_RENORM) != 0},
        {"GHOST", (p->flags & CLNORM_GHOST) != 0},
        {"LENGTHS", (p->flags & CLNORM_LENGTHS) != 0},
        {"OFFSET", (p->flags & (CLNORM_SHIFT | CLNORM_RENORM)) != 0},
        {"SGD", (p->flags & CLNORM_SGD) != 0},
        {"OPTIMISER", (p->flags & (CLNORM_SGD | CLNORM_ADAM)) != 0},
        {"INFER", op == CLNORM_INFER},
        {"BACKWARD", backward},
        {"FROZEN", frozen},
        {"SUMS", backward && (!frozen || traits.reduces)},
        {"DOT", traits.reduces && (!frozen || (p->flags & CLNORM_SCALE))},
        {"KEEP_MOMENTS", op == CLNORM_MOMENTS || op == CLNORM_MERGE},
        {"KEEP_SUMS", op == CLNORM_BACKWARD_SUMS},
        {"REDUCE", traits.reduces != 0},
        {"MAP", traits.maps != 0},
        {"STORES", traits.maps != 0},
        {"FUSED", clnorm__may_fuse(p, s)},
        {"SPLIT", clnorm__may_split(p, s)},
        {"CHANNELS_FIRST", first},
        {"GROUP_WALK", s->walk == CLNORM_WALK_GROUP},
        {"SUBGROUP", s->fold == CLNORM_FOLD_SUBGROUP},
        {"COLLECTIVE", s->fold == CLNORM_FOLD_COLLECTIVE},
        {"SCRATCH", clnorm__has_scratch(s)},
        {"PIPELINE", s->walk == CLNORM_WALK_PIPELINE || s->walk == CLNORM_WALK_DATAFLOW},
        {"BOUNDED", s->bound > 0},
        {"SCALAR", s->lanes == 1},
        {"NARROW", serial && !first && row < s->lanes},
        {"SPREADS", spread > 1},
        {"STREAMS", serial && s->stream > 0 && s->lanes > 1 && traits.maps},
        {"FETCHES", serial && s->fetch},
        {"BAKED", s->baked != 0},
        {"FOLD_512", folds(s, 512)},
        {"FOLD_256", folds(s, 256)},
        {"FOLD_128", folds(s, 128)},
        {"FOLD_64", folds(s, 64)},
        {"FOLD_32", folds(s, 32)},
        {"FOLD_16", folds(s, 16)},
        {"FOLD_8", folds(s, 8)},
        {"FOLD_4", folds(s, 4)},
        {"FOLD_2", folds(s, 2)},
        {"FOLD_1", folds(s, 1)},
        {NULL, 0},
    };
    _Static_assert(sizeof all <= CLNORM__SYMBOL_CAPACITY * sizeof *symbols,
                   "CLNORM__SYMBOL_CAPACITY is too small");
    memcpy(symbols, all, sizeof all);
}

/* Dataflow walk: vectors that a channel holds, so that a kernel that pauses does not stop the others
 * at once. */
enum { CHANNEL_DEPTH = 64 };

/* ---- Values: names that stay in the text, given by #define lines ---- */

/* test_oracle sees to it that the last one stays free. */
static struct clnorm__value *next_value(struct clnorm__values_list *values)
{
    const unsigned at = values->count;
    values->count += at < CLNORM__VALUE_CAPACITY - 1;
    return &values->value[at];
}

static void add_number(struct clnorm__values_list *values, const char *name, uint64_t number)
{
    struct clnorm__value *const v = next_value(values);
    snprintf(v->name, sizeof v->name, "%s", name);
    snprintf(v->text, sizeof v->text, "%" PRIu64, number);
}

/* A word that the lanes are part of: "float" gives float16, or float for one lane. */
static void add_word(struct clnorm__values_list *values, const char *name, const char *word,
                     uint32_t lanes, const char *suffix)
{
    struct clnorm__value *const v = next_value(values);
    snprintf(v->name, sizeof v->name, "%s", name);
    if (lanes > 1)
        snprintf(v->text, sizeof v->text, "%s%" PRIu32 "%s", word, lanes, suffix);
    else
        snprintf(v->text, sizeof v->text, "%s%s", word, suffix);
}

static void add_numbers(struct clnorm__values_list *values, const struct clnorm_problem *p,
                        const struct clnorm_schedule *s)
{
    add_number(values, "CHANNELS", (uint64_t)p->channels);
    add_number(values, "SPREAD", clnorm__spread(p, s));
    add_number(values, "ROW", (uint64_t)p->channels * clnorm__spread(p, s));
    add_number(values, "LANES", s->lanes);
    add_number(values, "GROUP", s->group);
    add_number(values, "FINISH_GROUP", clnorm__finish_group(s));
    add_number(values, "WIDE", clnorm__finish_width(s));
    add_number(values, "TILE", clnorm__tile_channels(p, s));
    add_number(values, "TALLIES", clnorm__tallies(p, s));
    add_number(values, "TABLE", clnorm__table_size(p, s));
    add_number(values, "DEPTH", clnorm__depth(p));
    add_number(values, "SLOTS", clnorm__slots(p, s));
    add_number(values, "CHANNEL_DEPTH", CHANNEL_DEPTH);
    add_number(values, "COLUMNS", clnorm__tallies(p, s) * s->lanes);
    add_number(values, "FAR", CLNORM__FAR / clnorm_dtype_size(p->dtype));
    add_number(values, "NEAR", CLNORM__NEAR / clnorm_dtype_size(p->dtype));
    add_number(values, "ABREAST", CLNORM__ABREAST);
    add_number(values, "AHEAD", clnorm__rows_ahead(p, s));
    add_number(values, "BLOCK", s->block);
    add_number(values, "FIRST_BLOCK", s->block < 4 ? s->block : 4);
    add_number(values, "GHOST_BATCH", (uint64_t)p->ghost);
    add_number(values, "SET", clnorm__problem_traits(p).planes * (uint64_t)p->channels);
    add_number(values, "STATES", p->flags & CLNORM_ADAM ? 2 : 1);
    if (!s->baked)
        return;
    const struct clnorm_launches plan =
        clnorm_launches_plan(p, s, (uint64_t)p->batch, (uint64_t)p->spatial);
    add_number(values, "BATCH", plan.batch);
    add_number(values, "SPATIAL", plan.spatial);
    add_number(values, "ROWS", plan.spatial);
}

/* (int4)(0, 1, 2, 3): for choosing lanes by their number, in a type that masks reals. */
static void add_masks(struct clnorm__values_list *values, const struct clnorm_problem *p,
                      uint32_t lanes)
{
    const char *const word = p->dtype == CLNORM_F64 ? "long" : "int";
    add_word(values, "mask_lanes", word, lanes, "");
    struct clnorm__value *const v = next_value(values);
    snprintf(v->name, sizeof v->name, "LANE_NUMBERS");
    int used = snprintf(v->text, sizeof v->text, "((%s%" PRIu32 ")(0", word, lanes);
    for (uint32_t i = 1; i < lanes; i++)
        used += snprintf(v->text + used, sizeof v->text - (size_t)used, ", %" PRIu32, i);
    snprintf(v->text + used, sizeof v->text - (size_t)used, "))");
}

static void add_types(struct clnorm__values_list *values, const struct clnorm_problem *p,
                      const struct clnorm_schedule *s)
{
    static const struct {
        const char *real, *stored;
    } types[CLNORM_DTYPE_COUNT] = {
        [CLNORM_F32] = {"float", "float"},
        [CLNORM_F64] = {"double", "double"},
        [CLNORM_F16] = {"float", "ushort"},
        [CLNORM_BF16] = {"float", "ushort"},
    };
    add_word(values, "real", types[p->dtype].real, 1, "");
    add_word(values, "reals", types[p->dtype].real, s->lanes, "");
    add_word(values, "wide", types[p->dtype].real, clnorm__finish_width(s), "");
    add_word(values, "stored", types[p->dtype].stored, 1, "");
    add_word(values, "stored_lanes", types[p->dtype].stored, s->lanes, "");
    add_word(values, "vstore_lanes", "vstore", s->lanes, "");
    add_word(values, "vload_half_lanes", "vload_half", s->lanes, "");
    add_word(values, "vstore_half_lanes", "vstore_half", s->lanes, "_rte");
    add_word(values, "as_reals", "as_float", s->lanes, "");
    add_word(values, "as_bits", "as_uint", s->lanes, "");
    add_word(values, "bits_of_reals", "uint", s->lanes, "");
    add_word(values, "convert_bits", "convert_uint", s->lanes, "");
    add_word(values, "convert_stored", "convert_ushort", s->lanes, "");
    add_masks(values, p, s->lanes);
}

struct clnorm__values_list clnorm__emit_values(const struct clnorm_problem *p,
                                               const struct clnorm_schedule *s)
{
    struct clnorm__values_list values = {0};
    add_numbers(&values, p, s);
    add_types(&values, p, s);
    return values;
}

static int uses_name(const char *text, const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = text; (at = strstr(at, name)) != NULL; at += length)
        if ((at == text || !clnorm__is_word(at[-1])) && !clnorm__is_word(at[length]))
            return 1;
    return 0;
}

/* ---- The text: header, values, kernels ---- */

static void print_header(struct clnorm__text *out, const struct clnorm_problem *p,
                         const struct clnorm_schedule *s)
{
    char problem[CLNORM_PROBLEM_TEXT_SIZE], schedule[CLNORM_SCHEDULE_TEXT_SIZE];
    clnorm_problem_format(p, problem);
    clnorm_schedule_format(s, schedule);
    clnorm__text_print(out, "// clnorm %s\n// %s\n// %s\n\n", clnorm_version(), problem, schedule);
}

static void print_values(struct clnorm__text *out, const struct clnorm__values_list *values,
                         const char *body)
{
    for (unsigned i = 0; i < values->count; i++)
        if (uses_name(body, values->value[i].name))
            clnorm__text_print(out, "#define %s %s\n", values->value[i].name,
                               values->value[i].text);
    clnorm__text_print(out, "\n");
}

static const char *print_source(struct clnorm__text *out, const struct clnorm_problem *p,
                                const struct clnorm_schedule *s)
{
    struct clnorm__symbol symbols[CLNORM__SYMBOL_CAPACITY];
    const struct clnorm__values_list values = clnorm__emit_values(p, s);
    struct clnorm__text body = {0};
    clnorm__emit_symbols(p, s, symbols);
    const char *const file =
        s->walk == CLNORM_WALK_DATAFLOW ? "forward_dataflow.cl" : clnorm__problem_traits(p).file;
    const char *error = clnorm__specialise(file, symbols, &body);
    if (!error && !body.failed) {
        print_header(out, p, s);
        print_values(out, &values, body.bytes);
        clnorm__text_append(out, body.bytes, body.length);
    }
    out->failed |= body.failed;
    clnorm__text_free(&body);
    return error;
}

enum clnorm_status clnorm_source_emit(const struct clnorm_problem *problem,
                                      const struct clnorm_schedule *schedule,
                                      struct clnorm_source *source, char *message, size_t size)
{
    if (!source)
        return clnorm__invalid(message, size, "no place for the source given (NULL)");
    *source = (struct clnorm_source){0};
    enum clnorm_status status = clnorm_problem_check(problem, message, size);
    if (status == CLNORM_OK)
        status = clnorm_schedule_check(schedule, problem, message, size);
    if (status != CLNORM_OK)
        return status;
    const struct clnorm_problem bounded = clnorm__bounded(problem, schedule);
    struct clnorm__text out = {0};
    const char *error = print_source(&out, &bounded, schedule);
    if (!error && !out.failed && !clnorm__signatures_read(out.bytes, source->kernels))
        error = "a kernel has too many arguments";
    if (error || out.failed) {
        clnorm__text_free(&out);
        *source = (struct clnorm_source){0};
        clnorm__invalid(message, size,
                        error ? "internal error in the kernel files: %s" : "out of memory", error);
        return error ? CLNORM_INVALID_ARGUMENT : CLNORM_OUT_OF_MEMORY;
    }
    source->text = out.bytes;
    source->length = out.length;
    return CLNORM_OK;
}

void clnorm_source_free(struct clnorm_source *source)
{
    if (!source)
        return;
    struct clnorm__text text = {.bytes = source->text};
    clnorm__text_free(&text);
    *source = (struct clnorm_source){0};
}
