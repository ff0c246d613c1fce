/*
 * The one list of cases: the tests, `clnorm check` and the bench read it. A case is a problem,
 * extents, data and how to run it; what is right is the reference's affair.
 */
#ifndef CLNORM_VERIFY_CASES_H
#define CLNORM_VERIFY_CASES_H

#include "data.h"
#include "device.h"

/*
 * Small: every operation, layout, dtype and schedule on a handful of values, for simulators.
 * Groups: of those the walks of work-groups, for ways to compile barriers.
 * Portable: most of small, quick, and every flag set in one of the layouts and dtypes, for
 * implementations other than the one that full is for. The pipeline of an FPGA, which takes other
 * compilers seconds, is there once for each operation and layout, and where the library chooses it.
 * Quick: 75 programs, every operation and layout, every dtype, the awkward channel counts.
 * Full: quick, all schedules of forward and backward, all awkward shapes (short rows, few channels,
 * ragged parts and stores past the caches in every way in place, too), and every flag set of every
 * operation in one of the layouts and dtypes, so that each of those meets each flag.
 * Exhaustive: every flag set in every layout and dtype; some 2500 programs.
 */
enum clnorm_effort {
    CLNORM_EFFORT_GROUPS,
    CLNORM_EFFORT_SMALL,
    CLNORM_EFFORT_PORTABLE,
    CLNORM_EFFORT_QUICK,
    CLNORM_EFFORT_FULL,
    CLNORM_EFFORT_EXHAUSTIVE,
    CLNORM_EFFORT_COUNT
};

struct clnorm_case {
    struct clnorm_problem problem;
    int64_t batch, spatial, sets;
    double count; /* for input-gradient; 0: N*S */
    enum clnorm_data data;
    uint64_t seed;
    struct clnorm_device_options device;
    const char *target; /* "cpu", "gpu", "fpga": what the schedule was chosen for; "device": by the
                           library */
    int scheduled;      /* 1: schedule is to be used */
    struct clnorm_schedule schedule;
};

/*
 * What an effort does to a schedule. Small: four lanes and 32 work-items at most, which a simulator
 * goes through one by one. Portable: two lanes, since rusticl takes up to 20 s to compile four in a
 * fused serial walk, and a minute for eight. Groups: 16 work-items, for PoCL's compilation of
 * barriers that writes them out one by one.
 */
void clnorm_cases_narrow(enum clnorm_effort effort, struct clnorm_schedule *schedule);

/*
 * Calls visit for each case of an effort, those with the same program next to each other; a visit
 * that returns other than 0 ends it. Cases come in the same order with the same seeds every time.
 */
void clnorm_cases_visit(enum clnorm_effort effort,
                        int (*visit)(void *user, const struct clnorm_case *one), void *user);

#endif
