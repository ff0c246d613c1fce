/*
 * onednn.c: oneDNN's batch normalization on the CPU, in process, with its own threads. "onednn" has
 * the case's layout; "onednn-blocked" the layout that oneDNN likes best, nChw16c, into which a
 * user's network must first be brought: it is shown beside nchw. Buffers are oneDNN's own and
 * reused. Each library given is a variant. A failure only leaves the peer out.
 */
#include "contestant.h"
#include "message.h"

#ifndef CLNORM_WITH_ONEDNN

struct bench_onednn *bench_onednn_open(const char *const libraries)
{
    (void)libraries;
    bench_note("oneDNN is left out: it was not there at build time; scripts/bench.sh installs it, "
               "or give -DCLNORM_ONEDNN=PREFIX to cmake");
    return NULL;
}

void bench_onednn_close(struct bench_onednn *const onednn)
{
    (void)onednn;
}

int bench_make_onednn(struct bench *const bench, const struct bench_data *const data,
                      struct bench_roster *const roster)
{
    (void)bench, (void)data, (void)roster;
    return BENCH_DONE;
}

int bench_make_onednn_blocked(struct bench *const bench, const struct bench_data *const data,
                              struct bench_roster *const roster)
{
    (void)bench, (void)data, (void)roster;
    return BENCH_DONE;
}

#else

#include "onednn_primitive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK         16
#define LIBRARIES_MAX 4

struct bench_onednn {
    struct onednn library[LIBRARIES_MAX];
    unsigned count;
};

static void release(struct bench_contestant *const self)
{
    onednn_primitive_release(self->state);
    free(self->state);
}

static int run(struct bench_contestant *const self, const unsigned count, double *const seconds)
{
    for (unsigned i = 0; i < count; i++) {
        const double start = bench_now();
        if (!onednn_primitive_run(self->state))
            return bench_fail(BENCH_FAILED, "%s failed in a run", self->name);
        seconds[i] = bench_now() - start;
    }
    return BENCH_DONE;
}

static int add(const struct bench *const bench, const struct bench_data *const data,
               const struct onednn *const dnn, const char *const name, const onednn_layout layout,
               struct bench_roster *const roster)
{
    const char *const text = data->one->text;
    char what[32] = "a run";
    struct onednn_primitive *const p = calloc(1, sizeof *p);
    if (!p)
        return bench_fail(BENCH_FAILED, "%s: out of memory", text);
    const int made = onednn_primitive_make(p, dnn, data, layout);
    const double error = made ? onednn_primitive_check(p, what) : 0;
    const int right = error <= bench_peer_tolerance(data->one->problem.dtype);
    if (!made)
        bench_note("%s: oneDNN %s does not do this here; %s is left out", text, dnn->name, name);
    else if (!right)
        bench_note("%s: oneDNN %s is left out, it is wrong: %s has error %.3g", text, dnn->name,
                   what, error);
    struct bench_contestant *const it =
        made && right ? bench_roster_add(roster, name, dnn->name) : NULL;
    if (!it) {
        onednn_primitive_release(p);
        free(p);
        return BENCH_DONE;
    }
    it->threads = bench->threads;
    it->error = error;
    it->state = p;
    it->run = run;
    it->release = release;
    return BENCH_DONE;
}

static int add_all(const struct bench *const bench, const struct bench_data *const data,
                   const char *const name, const onednn_layout layout,
                   struct bench_roster *const roster)
{
    int status = BENCH_DONE;
    for (unsigned i = 0; status == BENCH_DONE && i < bench->onednn->count; i++)
        status = add(bench, data, &bench->onednn->library[i], name, layout, roster);
    return status;
}

/* oneDNN has neither doubles nor, on CPUs, the residual. */
static int is_possible(const struct clnorm_problem *const problem)
{
    return problem->dtype != CLNORM_F64 && !(problem->flags & CLNORM_ADD);
}

int bench_make_onednn(struct bench *const bench, const struct bench_data *const data,
                      struct bench_roster *const roster)
{
    const struct clnorm_problem *const problem = &data->one->problem;
    if (!bench->onednn)
        return BENCH_DONE;
    if (!is_possible(problem)) {
        bench_note("%s: oneDNN on CPUs has no f64 and no +add; it is left out", data->one->text);
        return BENCH_DONE;
    }
    return add_all(bench, data, "onednn",
                   problem->layout == CLNORM_NHWC ? onednn_last : onednn_first, roster);
}

int bench_make_onednn_blocked(struct bench *const bench, const struct bench_data *const data,
                              struct bench_roster *const roster)
{
    const struct clnorm_problem *const problem = &data->one->problem;
    if (!bench->onednn || !is_possible(problem) || problem->layout != CLNORM_NCHW ||
        problem->channels % BLOCK != 0)
        return BENCH_DONE;
    return add_all(bench, data, "onednn-blocked", onednn_blocked, roster);
}

struct bench_onednn *bench_onednn_open(const char *const libraries)
{
    char path[1024];
    struct bench_onednn *const onednn = calloc(1, sizeof *onednn);
    for (const char *at = libraries; onednn && *at && onednn->count < LIBRARIES_MAX;) {
        const size_t length = strcspn(at, ",");
        snprintf(path, sizeof path, "%.*s", (int)length, at);
        onednn->count += (unsigned)onednn_load(&onednn->library[onednn->count], path);
        at += length + (at[length] == ',');
    }
    if (onednn && onednn->count)
        return onednn;
    bench_onednn_close(onednn);
    return NULL;
}

void bench_onednn_close(struct bench_onednn *const onednn)
{
    for (unsigned i = 0; onednn && i < onednn->count; i++)
        onednn_unload(&onednn->library[i]);
    free(onednn);
}

#endif
