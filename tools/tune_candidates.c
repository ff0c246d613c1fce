#include "commands.h"
#include "tune.h"

#include <string.h>

/* How soon a candidate is tried. */
enum rank { KNOWN, ROW, VARIATION, ROW_OF_ANOTHER_WALK };

/*
 * Two schedules are one when their texts, but for the comment on top, and their launches are the
 * same. FNV-1a; 0 when there is no text.
 */
static uint64_t hash(uint64_t state, const void *data, size_t size)
{
    const unsigned char *const bytes = data;
    for (size_t i = 0; i < size; i++)
        state = (state ^ bytes[i]) * UINT64_C(0x100000001b3);
    return state;
}

static uint64_t fingerprint_of(const struct clnorm_problem *problem,
                               const struct clnorm_schedule *schedule)
{
    struct clnorm_source source;
    if (clnorm_source_emit(problem, schedule, &source, NULL, 0) != CLNORM_OK)
        return 0;
    const char *const blank_line = strstr(source.text, "\n\n");
    const char *const body = blank_line ? blank_line : source.text;
    uint64_t state = hash(UINT64_C(0xcbf29ce484222325), body, strlen(body));
    clnorm_source_free(&source);
    const struct clnorm_launches l = clnorm_launches_plan(
        problem, schedule, (uint64_t)problem->batch, (uint64_t)problem->spatial);
    /* From `global` and `batch` on these structs are 64-bit numbers, without gaps. */
    for (unsigned i = 0; i < l.count; i++) {
        const uint64_t step = l.launch[i].step;
        state = hash(state, &step, sizeof step);
        state = hash(state, &l.launch[i].global,
                     sizeof l.launch[i] - offsetof(struct clnorm_launch, global));
    }
    return hash(state, &l.batch, sizeof l - offsetof(struct clnorm_launches, batch)) | 1;
}

/* Adds a schedule that is legal and unlike all there are. */
static void add(struct candidates *candidates, const struct clnorm_schedule *schedule,
                enum rank rank)
{
    const struct clnorm_problem *const problem = &candidates->problem;
    if (candidates->count == CANDIDATES_MAX ||
        clnorm_schedule_check(schedule, problem, NULL, 0) != CLNORM_OK ||
        !clnorm_schedule_fits(schedule, problem, &candidates->target))
        return;
    /* Plans give the same bits each run, whatever tuning found. */
    if (schedule->fold == CLNORM_FOLD_COLLECTIVE)
        return;
    const uint64_t fingerprint = fingerprint_of(problem, schedule);
    for (size_t i = 0; i < candidates->count; i++)
        if (candidates->items[i].fingerprint == fingerprint)
            return;
    if (fingerprint)
        candidates->items[candidates->count++] =
            (struct candidate){.schedule = *schedule, .rank = rank, .fingerprint = fingerprint};
}

void candidates_start(struct candidates *candidates, const struct clnorm_problem *problem,
                      const struct clnorm_target *target, const struct clnorm_schedule *known)
{
    struct clnorm_schedule schedule;
    enum clnorm_walk walk = CLNORM_WALK_SERIAL;
    *candidates = (struct candidates){.problem = *problem, .target = *target};
    for (unsigned i = 0; clnorm_schedule_choose(problem, target, i, &schedule); i++) {
        if (i == 0)
            walk = schedule.walk;
        add(candidates, &schedule, schedule.walk == walk ? ROW : ROW_OF_ANOTHER_WALK);
        if (i == 0)
            candidates->items[0].tried = 1;
        if (i == 0 && known)
            add(candidates, known, KNOWN);
    }
}

/* ---- Variations ---- */

enum change { TIMES, DIVIDED_BY, SET };

/* Changes of one number, the more promising first. A new number of struct clnorm_schedule that is
 * worth tuning is one row or more here. */
static const struct variation {
    size_t offset, size;
    enum change change;
    uint64_t operand;
} variations[] = {
#define NUMBER(field, change, operand)                                                             \
    {                                                                                              \
        offsetof(struct clnorm_schedule, field), sizeof((struct clnorm_schedule *)0)->field,       \
            change, operand                                                                        \
    }
    NUMBER(resident, SET, UINT64_MAX),
    NUMBER(resident, SET, 0),
    NUMBER(stream, SET, 1),
    NUMBER(stream, SET, 0),
    NUMBER(baked, SET, 1),
    NUMBER(baked, SET, 0),
    NUMBER(fold, SET, CLNORM_FOLD_SUBGROUP),
    NUMBER(fold, SET, CLNORM_FOLD_TREE),
    NUMBER(lanes, TIMES, 2),
    NUMBER(lanes, DIVIDED_BY, 2),
    NUMBER(parts, TIMES, 2),
    NUMBER(parts, DIVIDED_BY, 2),
    NUMBER(block, TIMES, 2),
    NUMBER(block, DIVIDED_BY, 2),
    NUMBER(resident, TIMES, 2),
    NUMBER(resident, TIMES, 4),
    NUMBER(resident, DIVIDED_BY, 2),
    NUMBER(tile, TIMES, 2),
    NUMBER(tile, DIVIDED_BY, 2),
    NUMBER(tile, SET, 1),
    NUMBER(group, DIVIDED_BY, 2),
    NUMBER(group, TIMES, 2),
    NUMBER(parts, TIMES, 4),
    NUMBER(block, TIMES, 4),
#undef NUMBER
};

static uint64_t changed(uint64_t value, const struct variation *variation)
{
    switch (variation->change) {
    case TIMES: return value > UINT64_MAX / variation->operand ? value : value * variation->operand;
    case DIVIDED_BY: return value / variation->operand;
    case SET: break;
    }
    return variation->operand;
}

/* A number that a change takes out of its range is refused by clnorm_schedule_check later. */
static void apply(struct clnorm_schedule *schedule, const struct variation *variation)
{
    char *const at = (char *)schedule + variation->offset;
    uint32_t number;
    uint64_t bytes;
    if (variation->size == sizeof bytes) {
        memcpy(&bytes, at, sizeof bytes);
        bytes = changed(bytes, variation);
        memcpy(at, &bytes, sizeof bytes);
    } else {
        memcpy(&number, at, sizeof number);
        number = (uint32_t)changed(number, variation);
        memcpy(at, &number, sizeof number);
    }
}

void candidates_vary(struct candidates *candidates, const struct clnorm_schedule *best)
{
    for (size_t i = 0; i < ROWS(variations); i++) {
        struct clnorm_schedule schedule = *best;
        memcpy(schedule.name, "tuned", sizeof "tuned");
        apply(&schedule, &variations[i]);
        /* Over channels last the one follows the other. */
        if (clnorm_schedule_check(&schedule, &candidates->problem, NULL, 0) != CLNORM_OK)
            schedule.tile = schedule.lanes;
        add(candidates, &schedule, VARIATION);
    }
}

const struct clnorm_schedule *candidates_next(struct candidates *candidates)
{
    struct candidate *next = NULL;
    for (size_t i = 0; i < candidates->count; i++) {
        struct candidate *const item = &candidates->items[i];
        if (!item->tried && (!next || item->rank < next->rank))
            next = item;
    }
    if (!next)
        return NULL;
    next->tried = 1;
    return &next->schedule;
}
