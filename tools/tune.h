/*
 * What `clnorm tune` is made of: the schedules worth trying (tune_candidates.c), whether one gives
 * right results at full size (tune_verify.c), and how fast it is (tune_time.c).
 */
#ifndef CLNORM_TOOLS_TUNE_H
#define CLNORM_TOOLS_TUNE_H

#include "device_run.h"
#include "values.h"

/* ---- One problem (tune_problem.c) ---- */

struct tune_request {
    const char *device; /* selector, or NULL */
    struct clnorm_problem problem;
    double seconds;
    int json;
    struct clnorm_context *store; /* whose tuning is changed; NULL: none */
};

/* Tries schedules, stores the winner, reports on standard output. Returns the exit status. */
int tune_problem(const struct tune_request *request);

/* ---- Candidates ---- */

enum { CANDIDATES_MAX = 256 };

/* Schedules for one problem, each with a text or launches of its own. */
struct candidates {
    struct clnorm_problem problem;
    struct clnorm_target target;
    struct candidate {
        struct clnorm_schedule schedule;
        unsigned rank; /* lower ones are tried before */
        uint64_t fingerprint;
        int tried;
    } items[CANDIDATES_MAX];
    size_t count;
};

/*
 * Starts with the default schedule, marked as tried, `known` (NULL: none), and all rows of the
 * schedule table.
 */
void candidates_start(struct candidates *candidates, const struct clnorm_problem *problem,
                      const struct clnorm_target *target, const struct clnorm_schedule *known);

/* Adds the legal schedules that differ from `best` in one number. */
void candidates_vary(struct candidates *candidates, const struct clnorm_schedule *best);

/* The most promising one that was not tried, now marked as tried; NULL when there is none left. */
const struct clnorm_schedule *candidates_next(struct candidates *candidates);

/* ---- Times ---- */

double tune_now(void); /* seconds */

/* Two plans on the same buffers, in turn. */
struct duel {
    double seconds;       /* to spend */
    double hopeless;      /* a ratio above which there is no point in going on */
    double first, second; /* medians, in seconds */
};

/* 0 when a run fails. */
int duel_run(struct duel *duel, struct device_run *run, struct clnorm_plan *first,
             struct clnorm_plan *second);

/* ---- Verification ---- */

/*
 * The f64 reference of a few channels, which stand for all: channel c of the tensors holds the data
 * of channel c mod `channels`. So a run at full size is checked in full, for little.
 */
struct replica {
    struct clnorm_problem problem; /* with the few channels */
    struct clnorm_values expected, observed;
    unsigned char *input[CLNORM_SLOT_COUNT];  /* as stored, of what is read */
    unsigned char *output[CLNORM_SLOT_COUNT]; /* of the device, all channels */
    unsigned char *first[CLNORM_SLOT_COUNT], *group[CLNORM_SLOT_COUNT]; /* of `channels` channels */
    unsigned char *scratch;
};

/* For the buffers of a run. *replica is valid for replica_close whatever is returned. */
int replica_open(struct replica *replica, const struct device_run *run);

/*
 * Puts the inputs into the run's buffers and poison into its outputs, runs its plan once, and
 * compares. 1: right. 0: not, with a line in detail[size]. Does not print.
 */
int replica_check(struct replica *replica, struct device_run *run, char *detail, size_t size);

void replica_close(struct replica *replica);

#endif
