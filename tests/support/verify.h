/*
 * Device against reference: one case, or the whole list. Used by the tests and by `clnorm check`.
 */
#ifndef CLNORM_VERIFY_VERIFY_H
#define CLNORM_VERIFY_VERIFY_H

#include "cases.h"

enum clnorm_verify_status {
    CLNORM_VERIFY_PASS,
    CLNORM_VERIFY_FAIL,
    CLNORM_VERIFY_UNSUPPORTED /* by this device: f64 without cl_khr_fp64, work-groups it cannot hold,
                                 sub-groups or collective functions it lacks */
};

struct clnorm_verify_result {
    enum clnorm_verify_status status;
    double max_error; /* normalised: at most `tolerance` is right. reference.h has what each output
                         may be off by */
    double tolerance; /* 1e-5, or 1e-12 for f64 */
    char detail[256]; /* what is wrong or unsupported; "" for a pass */
    char problem[CLNORM_PROBLEM_TEXT_SIZE];
    char schedule[CLNORM_SCHEDULE_TEXT_SIZE];
    const char *target; /* "cpu", "gpu", "fpga", or "device": whose schedule it ran under */
};

/*
 * Runs one case: data, reference, device, comparison. Everything that goes wrong is in the result.
 * When `observed` is not NULL it receives the values as the device left them, to be freed by the
 * caller; empty when nothing ran.
 */
void clnorm_verify_run(struct clnorm_context *context, const struct clnorm_case *one,
                       struct clnorm_verify_result *result, struct clnorm_values *observed);

/*
 * Runs values->problem on the device, under `schedule` (NULL: the library's) and `options` (NULL:
 * plain), and leaves what it wrote in the values. Writing outside the outputs counts as
 * CLNORM_DEVICE_FAILED, and so does saying that something is not supported which the device can do.
 * detail[size] has a line on failure.
 */
enum clnorm_status clnorm_verify_execute(struct clnorm_context *context,
                                         const struct clnorm_schedule *schedule,
                                         struct clnorm_values *values,
                                         const struct clnorm_device_options *options, char *detail,
                                         size_t size);

/*
 * A context as tests want it: the device named by CLNORM_TEST_DEVICE, else the best; no disk cache
 * but CLNORM_TEST_CACHE when that is set. NULL, with a line in message[size], when there is none.
 */
struct clnorm_context *clnorm_verify_context(char *message, size_t size);

/*
 * Runs the case list at an effort (enum clnorm_effort; more is the last). Calls report after each
 * case, unless NULL; a report that returns other than 0 ends it. Returns the number of failures.
 */
int clnorm_verify_cases(struct clnorm_context *context, unsigned effort,
                        int (*report)(void *user, const struct clnorm_verify_result *result,
                                      size_t index, size_t total),
                        void *user);

#endif
