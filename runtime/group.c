#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "group.h"
#include "options.h"
#include "report.h"

enum clnorm_status clnorm__group_fail(struct clnorm_group *group, enum clnorm_status status,
                                      const char *format, ...)
{
    char text[sizeof group->error]; /* an argument may be the error that was there */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(group->error, text, sizeof text);
    return status;
}

/* NULL, or what is wrong with weights. */
static const char *check_weights(const double *weights, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (!(weights[i] >= 0) || !isfinite(weights[i]))
            return "a weight is negative or not finite";
        sum += weights[i];
    }
    return sum > 0 && isfinite(sum) ? NULL : "the weights must have a finite sum above 0";
}

/* NULL, or what is wrong. */
static const char *check_options(const struct clnorm_group_options *o)
{
    if (o->count == 0 || !o->contexts)
        return "a group needs at least one context";
    for (size_t i = 0; i < o->count; i++) {
        if (!o->contexts[i])
            return "one of options.contexts is NULL";
        for (size_t k = 0; k < i; k++)
            if (o->contexts[k] == o->contexts[i])
                return "a context is a member twice";
    }
    if ((unsigned)o->sharing >= CLNORM_SHARING_COUNT)
        return "options.sharing is not of enum clnorm_sharing_mode";
    if (!(o->smoothing >= 0 && o->smoothing <= 1))
        return "options.smoothing must be 0 to 1";
    return o->weights ? check_weights(o->weights, o->count) : NULL;
}

enum clnorm_status clnorm_group_create(const struct clnorm_group_options *options,
                                       struct clnorm_group **group, char *message, size_t size)
{
    static const size_t sizes[] = {0};
    const struct clnorm__report report = {.message = message, .size = size};
    struct clnorm_group_options all;
    if (!group || !options)
        return clnorm__refuse(report, CLNORM_INVALID_ARGUMENT, "options or group is NULL");
    *group = NULL;
    if (!clnorm__options_copy(&all, sizeof all, options, sizes))
        return clnorm__refuse(report, CLNORM_INVALID_ARGUMENT,
                              "options.size must be sizeof(struct clnorm_group_options)");
    const char *const wrong = check_options(&all);
    if (wrong)
        return clnorm__refuse(report, CLNORM_INVALID_ARGUMENT, "%s", wrong);
    struct clnorm_group *const made = calloc(1, sizeof *made);
    if (made)
        made->members = calloc(all.count, sizeof *made->members);
    if (!made || !made->members) {
        clnorm_group_release(made);
        return clnorm__refuse(report, CLNORM_OUT_OF_MEMORY, "out of memory");
    }
    made->count = all.count;
    made->sharing = all.sharing;
    made->smoothing = all.smoothing > 0 ? all.smoothing : 0.25;
    for (size_t i = 0; i < all.count; i++) {
        made->members[i].context = all.contexts[i];
        made->members[i].weight = all.weights ? all.weights[i] : 1;
    }
    *group = made;
    return CLNORM_OK;
}

void clnorm_group_release(struct clnorm_group *group)
{
    if (group)
        free(group->members);
    free(group);
}

size_t clnorm_group_error(const struct clnorm_group *group, char *text, size_t size)
{
    return clnorm__text_copy(group->error, text, size);
}

void clnorm_group_weights(const struct clnorm_group *group, double *weights)
{
    for (size_t i = 0; i < group->count; i++)
        weights[i] = group->members[i].weight;
}

enum clnorm_status clnorm_group_set_weights(struct clnorm_group *group, const double *weights)
{
    if (!group)
        return CLNORM_INVALID_ARGUMENT;
    const char *const wrong =
        weights ? check_weights(weights, group->count) : "no weights given (NULL)";
    if (wrong)
        return clnorm__group_fail(group, CLNORM_INVALID_ARGUMENT, "%s", wrong);
    for (size_t i = 0; i < group->count; i++)
        group->members[i].weight = weights[i];
    return CLNORM_OK;
}

static double weight_of(const struct clnorm__member *member, int alike)
{
    return member->status != CLNORM_OK ? 0 : alike ? 1 : member->weight;
}

/* Where a cut is, walked from member to member. */
struct cut {
    uint64_t batch, first;
    double total, sum;
    int alike; /* no weights to go by */
};

static struct cut start_cut(const struct clnorm_group *group, uint64_t batch)
{
    struct cut cut = {.batch = batch};
    for (cut.alike = 0; cut.alike < 2; cut.alike++) {
        for (size_t i = 0; i < group->count; i++)
            cut.total += weight_of(&group->members[i], cut.alike);
        if (cut.total > 0)
            break;
    }
    return cut;
}

static uint64_t next_share(struct cut *cut, const struct clnorm__member *member)
{
    cut->sum += weight_of(member, cut->alike);
    if (!(cut->total > 0))
        return 0;
    const double place = (double)cut->batch * (cut->sum / cut->total) + 0.5;
    const int ends = cut->sum == cut->total || place >= (double)cut->batch;
    const uint64_t first = cut->first;
    cut->first = ends ? cut->batch : (uint64_t)place;
    return cut->first - first;
}

void clnorm_group_shares(const struct clnorm_group *group, uint64_t batch, uint64_t *shares)
{
    struct cut at = start_cut(group, batch);
    for (size_t i = 0; i < group->count; i++)
        shares[i] = next_share(&at, &group->members[i]);
}

void clnorm__group_cut(struct clnorm_group_plan *plan, uint64_t batch)
{
    struct cut at = start_cut(plan->group, batch);
    for (size_t i = 0; i < plan->group->count; i++)
        plan->parts[i].report.share = next_share(&at, &plan->group->members[i]);
}

/* Samples per second; 0 where nothing was measured. */
static double speed_of(const struct clnorm_group_report *report)
{
    return report->seconds > 0 ? (double)report->share / report->seconds : 0;
}

void clnorm__group_learn(struct clnorm_group_plan *plan)
{
    struct clnorm_group *const group = plan->group;
    const int adapts = group->sharing == CLNORM_SHARING_ADAPTING;
    const int measures = group->sharing == CLNORM_SHARING_MEASURED && !group->measured;
    double speeds = 0, weights = 0;
    int all = 1;
    if (plan->runs++ == 0 || !(adapts || measures))
        return;
    for (size_t i = 0; i < group->count; i++) {
        const double speed = speed_of(&plan->parts[i].report);
        speeds += speed;
        weights += speed > 0 ? group->members[i].weight : 0;
        all &= speed > 0 || group->members[i].weight == 0 || group->members[i].status != CLNORM_OK;
    }
    for (size_t i = 0; i < group->count; i++) {
        const double speed = speed_of(&plan->parts[i].report);
        const double newest = measures ? 1 : group->smoothing;
        double *const weight = &group->members[i].weight;
        if (speed > 0)
            *weight = (1 - newest) * *weight + newest * (speed / speeds * weights);
    }
    group->measured = all;
}

enum clnorm_status clnorm_group_member(const struct clnorm_group *group, size_t member, char *text,
                                       size_t size)
{
    if (!group || member >= group->count)
        return CLNORM_INVALID_ARGUMENT;
    clnorm__text_copy(group->members[member].text, text, size);
    return group->members[member].status;
}

void clnorm_group_restore(struct clnorm_group *group, size_t member)
{
    if (!group || member >= group->count)
        return;
    group->members[member].status = CLNORM_OK;
    group->members[member].text[0] = 0;
}
