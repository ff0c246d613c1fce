#include "tune.h"

#include "commands.h"
#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DUEL       0.2  /* seconds for one candidate */
#define HOPELESS   1.15 /* slower than the best so far by this: no more runs */
#define FINAL      0.5 /* seconds for one of the winner's duels; all at most a fifth of the budget */
#define WORTHWHILE 0.97 /* what is stored takes at most so much of the default's time */

enum { FINALS = 3 };

struct tuner {
    const struct tune_request *request;
    struct device_run run; /* its plan is the default's */
    struct replica replica;
    struct candidates candidates;
    struct clnorm_schedule best;
    double best_ratio; /* to the default's time */
    double start, end; /* when to stop trying */
    size_t tried, wrong, failed;
    char detail[256]; /* of the first that was wrong */
};

struct outcome {
    double default_time, best_time;
    int better, stored;
};

static struct clnorm_plan *make_plan(const struct tuner *tuner,
                                     const struct clnorm_schedule *schedule)
{
    const struct clnorm_plan_options with = {.size = sizeof with, .schedule = schedule};
    struct clnorm_plan *plan = NULL;
    const enum clnorm_status status =
        clnorm_plan_create(tuner->run.context, &tuner->request->problem, &with, &plan);
    return status == CLNORM_OK ? plan : NULL;
}

static int is_right(struct tuner *tuner, struct clnorm_plan *plan, char *detail, size_t size)
{
    struct clnorm_plan *const own = tuner->run.plan;
    tuner->run.plan = plan;
    const int right = replica_check(&tuner->replica, &tuner->run, detail, size);
    tuner->run.plan = own;
    /* Parameters stay as they are while runs are timed. */
    tuner->run.arguments.optimiser = (struct clnorm_optimiser){.step = 1};
    return right;
}

/* Against the default; kept as the best when it is faster than the best so far. */
static void time_candidate(struct tuner *tuner, struct clnorm_plan *plan,
                           const struct clnorm_schedule *schedule)
{
    struct duel duel = {.seconds = DUEL, .hopeless = HOPELESS * tuner->best_ratio};
    if (!duel_run(&duel, &tuner->run, tuner->run.plan, plan)) {
        tuner->failed++;
        return;
    }
    const double ratio = duel.second / duel.first;
    if (ratio < 0.99 * tuner->best_ratio) {
        tuner->best_ratio = ratio;
        tuner->best = *schedule;
        candidates_vary(&tuner->candidates, schedule);
    }
}

static void try_candidate(struct tuner *tuner, const struct clnorm_schedule *candidate)
{
    const struct clnorm_schedule schedule = *candidate;
    char detail[256] = "";
    struct clnorm_plan *const plan = make_plan(tuner, &schedule);
    tuner->tried++;
    if (!plan) {
        tuner->failed++;
        return;
    }
    if (is_right(tuner, plan, detail, sizeof detail)) {
        time_candidate(tuner, plan, &schedule);
    } else if (tuner->wrong++ == 0) {
        snprintf(tuner->detail, sizeof tuner->detail, "%.23s: %.220s", schedule.name, detail);
    }
    clnorm_plan_release(plan);
}

static void try_all(struct tuner *tuner)
{
    char text[CLNORM_PROBLEM_TEXT_SIZE];
    clnorm_problem_format(&tuner->request->problem, text);
    const int progress = isatty(STDERR_FILENO);
    const struct clnorm_schedule *next;
    while (tune_now() < tuner->end && (next = candidates_next(&tuner->candidates))) {
        if (progress)
            fprintf(stderr, "\r\033[K%s: %zu of %zu, best %.3f of the default's time, %.0f s left",
                    text, tuner->tried, tuner->candidates.count, tuner->best_ratio,
                    tuner->end - tune_now());
        try_candidate(tuner, next);
    }
    if (progress)
        fprintf(stderr, "\r\033[K");
}

static int by_ratio(const void *a, const void *b)
{
    const struct duel *const x = a, *const y = b;
    const double left = x->second / x->first, right = y->second / y->first;
    return (left > right) - (left < right);
}

/*
 * Once more and for longer: the best of many short measurements is partly luck. Of three duels the
 * middle one counts, and none may be lost.
 */
static int confirm(struct tuner *tuner, struct outcome *outcome)
{
    const double share = tuner->request->seconds / (5 * FINALS);
    struct duel duels[FINALS];
    struct clnorm_plan *const plan = make_plan(tuner, &tuner->best);
    int ran = plan != NULL;
    for (unsigned i = 0; i < FINALS && ran; i++) {
        duels[i] = (struct duel){.seconds = share < FINAL ? share : FINAL, .hopeless = 1e30};
        ran = duel_run(&duels[i], &tuner->run, tuner->run.plan, plan);
    }
    clnorm_plan_release(plan);
    if (!ran)
        return fail(WORK_FAILED, "the best schedule ran before and now fails; try again");
    qsort(duels, FINALS, sizeof *duels, by_ratio);
    const struct duel *const middle = &duels[FINALS / 2], *const worst = &duels[FINALS - 1];
    outcome->default_time = middle->first;
    outcome->best_time = middle->second;
    if (outcome->best_time > outcome->default_time) { /* luck it was: the default is the best */
        tuner->best = *clnorm_plan_schedule(tuner->run.plan);
        outcome->best_time = outcome->default_time;
    }
    outcome->better = middle->second <= WORTHWHILE * middle->first && worst->second < worst->first;
    return DONE;
}

/* A result that no longer holds is taken back. */
static int keep(struct tuner *tuner, struct outcome *outcome)
{
    if (!tuner->request->store)
        return DONE;
    const enum clnorm_status status =
        outcome->better ? clnorm_tuning_set(tuner->request->store, &tuner->request->problem,
                                            &tuner->best, outcome->best_time)
                        : clnorm_tuning_remove(tuner->request->store, &tuner->request->problem);
    if (status != CLNORM_OK)
        return context_fail(tuner->request->store, status, "store the result of tuning");
    outcome->stored = outcome->better;
    return DONE;
}

/* ---- Report ---- */

static int report_json(const struct tuner *tuner, const struct outcome *outcome)
{
    char problem[CLNORM_PROBLEM_TEXT_SIZE], group[CLNORM_PROBLEM_TEXT_SIZE];
    char first[CLNORM_SCHEDULE_TEXT_SIZE], best[CLNORM_SCHEDULE_TEXT_SIZE];
    struct clnorm_problem representative;
    clnorm_problem_class(&tuner->request->problem, &representative);
    clnorm_problem_format(&tuner->request->problem, problem);
    clnorm_problem_format(&representative, group);
    clnorm_schedule_format(clnorm_plan_schedule(tuner->run.plan), first);
    clnorm_schedule_format(&tuner->best, best);
    const struct {
        const char *name, *text;
    } texts[] = {{"problem", problem},
                 {"class", group},
                 {"device", clnorm_context_device(tuner->run.context)->device_name},
                 {"default_schedule", first},
                 {"schedule", best}};
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"default_s", outcome->default_time},
                   {"best_s", outcome->best_time},
                   {"ratio", outcome->best_time / outcome->default_time},
                   {"tried", (double)tuner->tried},
                   {"candidates", (double)(tuner->candidates.count - 1)},
                   {"wrong", (double)tuner->wrong},
                   {"failed", (double)tuner->failed},
                   {"seconds", tune_now() - tuner->start}};
    cJSON *const object = cJSON_CreateObject();
    for (size_t i = 0; i < ROWS(texts); i++)
        cJSON_AddStringToObject(object, texts[i].name, texts[i].text);
    for (size_t i = 0; i < ROWS(numbers); i++)
        cJSON_AddNumberToObject(object, numbers[i].name, numbers[i].value);
    cJSON_AddBoolToObject(object, "stored", outcome->stored);
    return print_json(object);
}

static int report_text(const struct tuner *tuner, const struct outcome *outcome)
{
    char problem[CLNORM_PROBLEM_TEXT_SIZE], schedule[CLNORM_SCHEDULE_TEXT_SIZE];
    clnorm_problem_format(&tuner->request->problem, problem);
    clnorm_schedule_format(&tuner->best, schedule);
    printf("%s\n  default %.1f us, best %.1f us, ratio %.3f; %zu of %zu candidates in %.0f s\n",
           problem, 1e6 * outcome->default_time, 1e6 * outcome->best_time,
           outcome->best_time / outcome->default_time, tuner->tried, tuner->candidates.count - 1,
           tune_now() - tuner->start);
    if (outcome->better)
        printf("  %s%s\n", outcome->stored ? "stored: " : "", schedule);
    else
        printf("  the default stands: nothing is faster by 3 %%\n");
    if (tuner->wrong)
        printf("  %zu gave wrong results and were passed over, the first: %s\n", tuner->wrong,
               tuner->detail);
    if (tuner->failed)
        printf("  %zu could not be built or run\n", tuner->failed);
    return finish_output();
}

/* ---- The way through ---- */

static int start(struct tuner *tuner, struct clnorm_context *context)
{
    struct clnorm_schedule known;
    const struct clnorm_problem *const p = &tuner->request->problem;
    int status = device_run_open(&tuner->run, context, p, p->batch, p->spatial);
    if (status == DONE)
        status = replica_open(&tuner->replica, &tuner->run);
    if (status != DONE)
        return status;
    if (!is_right(tuner, tuner->run.plan, tuner->detail, sizeof tuner->detail))
        return fail(WORK_FAILED,
                    "the default schedule gives wrong results on %s: %s; see 'clnorm check'",
                    clnorm_context_device(context)->device_name, tuner->detail);
    tuner->best = *clnorm_plan_schedule(tuner->run.plan);
    tuner->best_ratio = 1;
    const int has =
        tuner->request->store && clnorm_tuning_get(tuner->request->store, p, &known, NULL);
    candidates_start(&tuner->candidates, p, &clnorm_context_device(context)->target,
                     has ? &known : NULL);
    candidates_vary(&tuner->candidates, &tuner->best);
    return DONE;
}

static int tune_in(struct tuner *tuner, struct clnorm_context *context)
{
    struct outcome outcome = {.stored = 0};
    tuner->start = tune_now();
    int status = start(tuner, context);
    tuner->end = tune_now() + 0.8 * tuner->request->seconds; /* the rest is for confirm */
    if (status == DONE)
        try_all(tuner);
    if (status == DONE)
        status = confirm(tuner, &outcome);
    if (status == DONE)
        status = keep(tuner, &outcome);
    if (status != DONE)
        return status;
    return tuner->request->json ? report_json(tuner, &outcome) : report_text(tuner, &outcome);
}

/*
 * In a context without a disk cache: what is tried and found slow need not stay. Its programs go
 * with it.
 */
int tune_problem(const struct tune_request *request)
{
    struct clnorm_context *context = NULL;
    struct tuner *const tuner = calloc(1, sizeof *tuner);
    if (!tuner)
        return fail(WORK_FAILED, "out of memory");
    tuner->request = request;
    int status = context_open(request->device, CLNORM_KIND_AUTO, "", &context);
    if (status == DONE)
        status = tune_in(tuner, context);
    replica_close(&tuner->replica);
    device_run_close(&tuner->run);
    clnorm_context_release(context);
    free(tuner);
    return status;
}
