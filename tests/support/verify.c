#include "verify.h"

#include "compare.h"
#include "reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether a device cannot run a problem, or not under the schedule. */
static int is_beyond(const struct clnorm_device *const device,
                     const struct clnorm_problem *const problem,
                     const struct clnorm_schedule *const schedule)
{
    return (problem->dtype == CLNORM_F64 && !device->target.f64) ||
           (schedule && !clnorm_schedule_fits(schedule, problem, &device->target));
}

/* As clnorm_plan_create. To refuse what the device can run is a failure, and so is the reverse; only
 * a device without a compiler may do as it can. */
static enum clnorm_status make_plan(struct clnorm_context *const context,
                                    const struct clnorm_problem *const problem,
                                    const struct clnorm_schedule *const schedule,
                                    struct clnorm_plan **const plan, char *const detail,
                                    const size_t size)
{
    const struct clnorm_plan_options options = {.size = sizeof options, .schedule = schedule};
    const struct clnorm_device *const device = clnorm_context_device(context);
    const int beyond = is_beyond(device, problem, schedule);
    const enum clnorm_status status = clnorm_plan_create(context, problem, &options, plan);
    if (status != CLNORM_OK)
        clnorm_context_error(context, detail, size);
    if (status == CLNORM_UNSUPPORTED && !beyond && device->compiler)
        return CLNORM_DEVICE_FAILED;
    if (status == CLNORM_OK && beyond) {
        snprintf(detail, size, "a plan was made that the device cannot run");
        clnorm_plan_release(*plan);
        *plan = NULL;
        return CLNORM_DEVICE_FAILED;
    }
    return status;
}

static void set_status(struct clnorm_verify_result *const result, const enum clnorm_status status)
{
    result->status = status == CLNORM_UNSUPPORTED ? CLNORM_VERIFY_UNSUPPORTED : CLNORM_VERIFY_FAIL;
    if (!result->detail[0])
        snprintf(result->detail, sizeof result->detail, "%s", clnorm_status_text(status));
}

/* Reference and device on copies of the same inputs; `observed` has the inputs and receives the
 * device's outputs. */
static void run_both(struct clnorm_context *const context, struct clnorm_plan *const plan,
                     const struct clnorm_case *const one, struct clnorm_values *const observed,
                     struct clnorm_verify_result *const result)
{
    struct clnorm_values expected;
    int trespass = 0;
    enum clnorm_status status = clnorm_values_copy(&expected, observed);
    if (status != CLNORM_OK) {
        set_status(result, status);
        return;
    }
    clnorm_reference_run(&expected);
    status = clnorm_device_run(context, plan, observed, &one->device, &trespass, result->detail,
                               sizeof result->detail);
    if (status != CLNORM_OK) {
        set_status(result, status);
    } else {
        const double ratio =
            clnorm_compare(&expected, observed, result->detail, sizeof result->detail);
        result->max_error = ratio * result->tolerance;
        if (trespass || ratio > 1)
            result->status = CLNORM_VERIFY_FAIL;
    }
    clnorm_values_free(&expected);
}

static struct clnorm_plan *plan_case(struct clnorm_context *const context,
                                     const struct clnorm_case *const one,
                                     struct clnorm_verify_result *const result)
{
    struct clnorm_plan *plan = NULL;
    const enum clnorm_status status =
        make_plan(context, &one->problem, one->scheduled ? &one->schedule : NULL, &plan,
                  result->detail, sizeof result->detail);
    if (plan)
        clnorm_schedule_format(clnorm_plan_schedule(plan), result->schedule);
    else if (one->scheduled)
        clnorm_schedule_format(&one->schedule, result->schedule);
    if (!plan)
        set_status(result, status);
    return plan;
}

void clnorm_verify_run(struct clnorm_context *const context, const struct clnorm_case *const one,
                       struct clnorm_verify_result *const result,
                       struct clnorm_values *const observed)
{
    struct clnorm_values values = {.batch = 0};
    *result = (struct clnorm_verify_result){
        .status = CLNORM_VERIFY_PASS,
        .tolerance = clnorm_reference_unit(one->problem.dtype),
        .target = one->target ? one->target : "device",
    };
    clnorm_problem_format(&one->problem, result->problem);
    struct clnorm_plan *const plan = plan_case(context, one, result);
    if (plan) {
        const enum clnorm_status status =
            clnorm_values_create(&values, &one->problem, one->batch, one->spatial, one->sets);
        if (status == CLNORM_OK) {
            values.count = one->count;
            clnorm_data_fill(&values, one->data, one->seed);
            run_both(context, plan, one, &values, result);
        } else {
            set_status(result, status);
        }
        clnorm_plan_release(plan);
    }
    if (observed)
        *observed = values;
    else
        clnorm_values_free(&values);
}

enum clnorm_status clnorm_verify_execute(struct clnorm_context *const context,
                                         const struct clnorm_schedule *const schedule,
                                         struct clnorm_values *const values,
                                         const struct clnorm_device_options *const options,
                                         char *const detail, const size_t size)
{
    struct clnorm_plan *plan = NULL;
    int trespass = 0;
    enum clnorm_status status = make_plan(context, &values->problem, schedule, &plan, detail, size);
    if (status != CLNORM_OK)
        return status;
    status = clnorm_device_run(context, plan, values, options, &trespass, detail, size);
    clnorm_plan_release(plan);
    return status == CLNORM_OK && trespass ? CLNORM_DEVICE_FAILED : status;
}

struct clnorm_context *clnorm_verify_context(char *const message, const size_t size)
{
    const char *const cache = getenv("CLNORM_TEST_CACHE");
    const struct clnorm_context_options options = {
        .size = sizeof options,
        .device_selector = getenv("CLNORM_TEST_DEVICE"),
        .cache_directory = cache ? cache : "",
    };
    struct clnorm_context *context = NULL;
    return clnorm_context_create(&options, &context, message, size) == CLNORM_OK ? context : NULL;
}

struct list {
    struct clnorm_context *context;
    int (*report)(void *user, const struct clnorm_verify_result *result, size_t index,
                  size_t total);
    void *user;
    size_t index, total;
    int failures;
};

static int count_case(void *const user, const struct clnorm_case *const one)
{
    (void)one;
    ++*(size_t *)user;
    return 0;
}

/* Which data and extents: a problem's text alone does not tell. */
static void describe(struct clnorm_verify_result *const result, const struct clnorm_case *const one)
{
    char line[sizeof result->detail];
    if (result->status == CLNORM_VERIFY_PASS)
        return;
    snprintf(line, sizeof line, "%s data, N=%lld S=%lld, seed %llu: %.180s",
             clnorm_data_name(one->data), (long long)one->batch, (long long)one->spatial,
             (unsigned long long)one->seed, result->detail);
    memcpy(result->detail, line, sizeof line);
}

static int run_case(void *const user, const struct clnorm_case *const one)
{
    struct list *const list = user;
    struct clnorm_verify_result result;
    clnorm_verify_run(list->context, one, &result, NULL);
    describe(&result, one);
    list->failures += result.status == CLNORM_VERIFY_FAIL;
    const size_t index = list->index++;
    return list->report ? list->report(list->user, &result, index, list->total) : 0;
}

int clnorm_verify_cases(struct clnorm_context *const context, const unsigned effort,
                        int (*const report)(void *user, const struct clnorm_verify_result *result,
                                            size_t index, size_t total),
                        void *const user)
{
    const enum clnorm_effort level =
        effort < CLNORM_EFFORT_COUNT ? (enum clnorm_effort)effort : CLNORM_EFFORT_FULL;
    struct list list = {.context = context, .report = report, .user = user};
    clnorm_cases_visit(level, count_case, &list.total);
    clnorm_cases_visit(level, run_case, &list);
    return list.failures;
}
