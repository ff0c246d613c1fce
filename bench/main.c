/* clnorm-bench: clnorm beside the memory's limit and its peers. This file is the way through; see
 * contestant.h, measure.h, results.h and report.h for the parts. */
#define _POSIX_C_SOURCE 200809L
#include "load.h"
#include "message.h"
#include "options.h"
#include "report.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct kind {
    const char *name;
    int (*make)(struct bench *bench, const struct bench_data *data, struct bench_roster *roster);
} kinds[] = {
    {"limit", bench_make_limit},     {"clnorm", bench_make_clnorm},
    {"onednn", bench_make_onednn},   {"onednn-blocked", bench_make_onednn_blocked},
    {"pytorch", bench_make_pytorch},
};

struct contest {
    struct bench_options options;
    struct bench bench;
    struct bench_cases cases;
    struct bench_results results;
    unsigned left_out; /* cases that clnorm failed */
    int wanted[ROWS(kinds)];
};

double bench_tolerance(const enum clnorm_dtype dtype)
{
    return dtype == CLNORM_F64 ? 1e-12 : 1e-5;
}

double bench_peer_tolerance(const enum clnorm_dtype dtype)
{
    return dtype == CLNORM_F64 ? 1e-9 : clnorm_dtype_size(dtype) == 2 ? 2e-2 : 1e-3;
}

struct bench_contestant *bench_roster_add(struct bench_roster *const roster, const char *const name,
                                          const char *const variant)
{
    if (roster->count == BENCH_ROSTER_MAX) {
        bench_note("%s is left out: there are %d contestants already", name, BENCH_ROSTER_MAX);
        return NULL;
    }
    struct bench_contestant *const it = &roster->item[roster->count++];
    *it = (struct bench_contestant){.buffers = "reused"};
    snprintf(it->name, sizeof it->name, "%s", name);
    snprintf(it->variant, sizeof it->variant, "%s", variant);
    return it;
}

void bench_roster_clear(struct bench_roster *const roster)
{
    for (unsigned i = 0; i < roster->count; i++)
        roster->item[i].release(&roster->item[i]);
    roster->count = 0;
}

/* ---- Set-up ---------------------------------------------------------------------------------- */

/* Which kinds --contestants names; all without it. */
static int choose_kinds(struct contest *const c)
{
    const char *at = c->options.contestants;
    for (size_t i = 0; i < ROWS(kinds); i++)
        c->wanted[i] = !at;
    while (at && *at) {
        const size_t length = strcspn(at, ",");
        size_t i = 0;
        while (i < ROWS(kinds) &&
               (strlen(kinds[i].name) != length || strncmp(kinds[i].name, at, length) != 0))
            i++;
        if (i == ROWS(kinds))
            return bench_fail(BENCH_USAGE,
                              "--contestants: '%.*s' is none; expected some of limit, clnorm, "
                              "onednn, onednn-blocked, pytorch, parted by commas",
                              (int)length, at);
        c->wanted[i] = 1;
        at += length + (at[length] == ',');
    }
    return BENCH_DONE;
}

static int is_wanted(const struct contest *const c, const char *const name)
{
    for (size_t i = 0; i < ROWS(kinds); i++)
        if (c->wanted[i] && strcmp(kinds[i].name, name) == 0)
            return 1;
    return 0;
}

static int read_cases(struct contest *const c)
{
    int status = c->options.cases ? bench_cases_read(&c->cases, c->options.cases) : BENCH_DONE;
    for (int i = 0; status == BENCH_DONE && i < c->options.count; i++)
        status = bench_cases_add(&c->cases, c->options.problems[i], "PROBLEM");
    if (status == BENCH_DONE && c->cases.count == 0)
        return bench_fail(BENCH_USAGE, "there is nothing to time: give a PROBLEM or --cases FILE; "
                                       "'clnorm-bench --help' has examples");
    return status;
}

static int check_axis(const char *const axis)
{
    if (strcmp(axis, "size") == 0 || strcmp(axis, "channels") == 0 || strcmp(axis, "spatial") == 0)
        return BENCH_DONE;
    return bench_fail(BENCH_USAGE, "--axis: '%s' is not valid; expected size, channels or spatial",
                      axis);
}

static int open_device(struct contest *const c, const char *const selector)
{
    char message[1024];
    const struct clnorm_context_options options = {.size = sizeof options,
                                                   .device_selector = selector};
    struct bench_device *const device = &c->bench.device[c->bench.devices];
    const enum clnorm_status made =
        clnorm_context_create(&options, &device->context, message, sizeof message);
    if (made != CLNORM_OK)
        return bench_fail(BENCH_FAILED, "cannot use the device: %s: %s", clnorm_status_text(made),
                          message);
    const struct clnorm_target *const target = &clnorm_context_device(device->context)->target;
    const int fewer = target->kind == CLNORM_KIND_CPU && target->compute_units < c->bench.threads;
    device->threads = fewer ? target->compute_units : c->bench.threads;
    const int is_first = c->bench.devices++ == 0;
    if (!is_wanted(c, "limit"))
        return BENCH_DONE;
    device->limit = bench_limit_open(device, is_first ? c->bench.threads : 0);
    return device->limit ? BENCH_DONE
                         : bench_fail(BENCH_FAILED, "the limit cannot be measured; --contestants "
                                                    "clnorm does without");
}

/* Those of --device, parted by commas, each with its part of that text for a label. */
static int open_devices(struct contest *const c)
{
    const char *at = c->options.device;
    if (!at || !strchr(at, ','))
        return open_device(c, at);
    for (int status; *at; at += *at == ',') {
        const size_t length = strcspn(at, ",");
        if (c->bench.devices == BENCH_DEVICE_MAX)
            return bench_fail(BENCH_USAGE, "--device: more than %d devices", BENCH_DEVICE_MAX);
        char *const label = c->bench.device[c->bench.devices].label;
        snprintf(label, sizeof c->bench.device->label, "%.*s", (int)length, at);
        status = open_device(c, label);
        if (status != BENCH_DONE)
            return status;
        at += length;
    }
    return BENCH_DONE;
}

/* A peer that is missing is left out with a line; the limit and clnorm must be there. */
static int set_up(struct contest *const c)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    c->bench.threads = cores > 0 ? (unsigned)cores : 1;
    c->bench.schedule = (unsigned)c->options.schedule;
    c->bench.all_schedules = c->options.all_schedules;
    const int status = open_devices(c);
    if (status != BENCH_DONE)
        return status;
    if (is_wanted(c, "onednn") || is_wanted(c, "onednn-blocked"))
        c->bench.onednn = bench_onednn_open(c->options.onednn);
    if (is_wanted(c, "pytorch"))
        c->bench.pytorch = bench_pytorch_open(c->options.python, c->bench.threads);
    return BENCH_DONE;
}

/* ---- The contest ----------------------------------------------------------------------------- */

static int enter(struct contest *const c, const struct bench_data *const data,
                 struct bench_roster *const roster, const char *const title)
{
    int status = BENCH_DONE;
    for (size_t i = 0; i < ROWS(kinds) && status == BENCH_DONE; i++) {
        if (!c->wanted[i])
            continue;
        bench_progress("%s: making and checking %s", title, kinds[i].name);
        status = kinds[i].make(&c->bench, data, roster);
    }
    return status;
}

static int time_case(struct contest *const c, const struct bench_case *const one,
                     struct bench_roster *const roster, const char *const title)
{
    struct bench_times times[BENCH_ROSTER_MAX];
    struct bench_data data;
    const char *const why = bench_data_make(&data, one);
    int status =
        why ? bench_fail(BENCH_FAILED, "%s: %s", one->text, why) : enter(c, &data, roster, title);
    bench_data_free(&data);
    const pid_t peer = bench_pytorch_process(c->bench.pytorch);
    const struct bench_load before = bench_load_now(peer);
    if (status == BENCH_DONE)
        status = bench_measure(roster, c->options.seconds, title, times);
    const double others = bench_load_others(before, bench_load_now(peer));
    for (unsigned i = 0; i < roster->count; i++)
        times[i].others = others;
    if (status == BENCH_DONE)
        status = bench_results_add(&c->results, &c->bench, one, roster, times);
    bench_roster_clear(roster);
    return status;
}

/* A case that cannot be timed, or that clnorm gets wrong, does not keep the others from their turn.
 */
static void run_cases(struct contest *const c, struct bench_roster *const roster)
{
    for (size_t i = 0; i < c->cases.count; i++) {
        const struct bench_case *const one = &c->cases.items[i];
        char title[BENCH_TEXT_SIZE + 64];
        snprintf(title, sizeof title, "[%zu/%zu] %s", i + 1, c->cases.count, one->text);
        bench_step("%s", title);
        int status = time_case(c, one, roster, title);
        bench_progress("%s", "");
        if (status == BENCH_DONE)
            status = c->options.json ? bench_report_json(&c->results, one)
                                     : bench_report_text(&c->results, one);
        c->left_out += status != BENCH_DONE;
    }
}

static int conclude(const struct contest *const c)
{
    const struct bench_options *const o = &c->options;
    int status = BENCH_DONE;
    bench_summarise(&c->results, &c->cases, o->json ? stderr : stdout);
    if (o->table)
        status = bench_table_write(&c->results, &c->cases, o->table);
    if (o->plot && status == BENCH_DONE)
        status = bench_plot_write(&c->results, &c->cases, o->axis, o->plot);
    if (status == BENCH_DONE && c->left_out)
        status = bench_fail(BENCH_FAILED, "%u of %zu problems could not be timed", c->left_out,
                            c->cases.count);
    return status;
}

static int contend(struct contest *const c)
{
    struct bench_roster *const roster = calloc(1, sizeof *roster);
    int status = roster ? set_up(c) : bench_fail(BENCH_FAILED, "out of memory");
    if (status == BENCH_DONE) {
        run_cases(c, roster);
        status = conclude(c);
    }
    free(roster);
    bench_pytorch_close(c->bench.pytorch);
    bench_onednn_close(c->bench.onednn);
    for (unsigned i = 0; i < c->bench.devices; i++) {
        bench_limit_close(c->bench.device[i].limit);
        clnorm_context_release(c->bench.device[i].context);
    }
    return status;
}

int main(int argc, char **argv)
{
    struct contest c = {.left_out = 0};
    signal(SIGPIPE, SIG_IGN); /* a reader or a peer that has gone is a failed write */
    int status = bench_options_parse(&c.options, argc, argv);
    if (status == BENCH_DONE && c.options.help) {
        bench_options_help();
        return BENCH_DONE;
    }
    if (status == BENCH_DONE)
        status = choose_kinds(&c);
    if (status == BENCH_DONE)
        status = check_axis(c.options.axis);
    if (status == BENCH_DONE)
        status = read_cases(&c);
    if (status == BENCH_DONE)
        status = c.options.latency ? bench_latency(c.options.device, &c.cases, c.options.json)
                                   : contend(&c);
    bench_results_free(&c.results);
    bench_cases_free(&c.cases);
    return status;
}
