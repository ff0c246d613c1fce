/* summary.c: what all cases say together: each operation and layout beside the limit and the peers,
 * then a line for each thing that was asked of clnorm, with what was measured. */
#include "load.h"
#include "message.h"
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MIB 1048576.0

/* Ratios of many cases: their geometric mean, and where the largest was found. */
struct tally {
    double logs, most;
    unsigned count;
    const struct bench_case *where;
};

static void count_ratio(struct tally *const tally, const double ratio,
                        const struct bench_case *const one)
{
    if (!(ratio > 0) || isinf(ratio))
        return;
    tally->logs += log(ratio);
    if (tally->count++ == 0 || ratio > tally->most) {
        tally->most = ratio;
        tally->where = one;
    }
}

static double mean_of(const struct tally *const tally)
{
    return exp(tally->logs / tally->count);
}

/* ---- Ratios of a case; 0 when it has none ---------------------------------------------------- */

static double over(const struct bench_result *const clnorm, const struct bench_result *const other)
{
    return clnorm && other ? clnorm->times.median / other->times.median : 0;
}

static double over_contestant(const struct bench_results *const results,
                              const struct bench_case *const one, const char *const name)
{
    return over(bench_results_find(results, one, "clnorm"), bench_results_find(results, one, name));
}

static double over_limit(const struct bench_results *const results,
                         const struct bench_case *const one)
{
    return over_contestant(results, one, "limit");
}

static double over_onednn(const struct bench_results *const results,
                          const struct bench_case *const one)
{
    return over_contestant(results, one, "onednn");
}

static double over_blocked(const struct bench_results *const results,
                           const struct bench_case *const one)
{
    return over_contestant(results, one, "onednn-blocked");
}

static double over_pytorch(const struct bench_results *const results,
                           const struct bench_case *const one)
{
    return over_contestant(results, one, "pytorch");
}

static double over_peer(const struct bench_results *const results,
                        const struct bench_case *const one)
{
    return over(bench_results_find(results, one, "clnorm"), bench_results_peer(results, one));
}

static int is_same_but_type(const struct clnorm_problem *const a,
                            const struct clnorm_problem *const b)
{
    return a->operation == b->operation && a->layout == b->layout && a->batch == b->batch &&
           a->channels == b->channels && a->spatial == b->spatial && a->flags == b->flags;
}

/* A 16-bit case over the f32 one with the same extents. */
static double over_wide(const struct bench_results *const results,
                        const struct bench_case *const one)
{
    for (size_t i = 0; i < results->count; i++) {
        const struct bench_result *const row = &results->items[i];
        if (row->one->problem.dtype == CLNORM_F32 && strcmp(row->contestant, "clnorm") == 0 &&
            is_same_but_type(&row->one->problem, &one->problem))
            return over(bench_results_find(results, one, "clnorm"), row);
    }
    return 0;
}

/* ---- Which cases ----------------------------------------------------------------------------- */

enum { FORWARD = 1 << CLNORM_FORWARD, INFER = 1 << CLNORM_INFER, BACKWARD = 1 << CLNORM_BACKWARD };
enum { NCHW = 1 << CLNORM_NCHW, NHWC = 1 << CLNORM_NHWC };
enum { ANY_OPERATION = FORWARD | INFER | BACKWARD, ANY_LAYOUT = NCHW | NHWC };
enum place { ANYWHERE, RESIDENT, ELSEWHERE };

struct which {
    unsigned operations, layouts;
    double least, below; /* bytes of the tensor; below 0: no bound */
    enum place place;
    int narrow; /* 16-bit types, whose tensors are judged by the size they have in f32 */
};

static int is_of(const struct which *const which, const struct bench_results *const results,
                 const struct bench_case *const one)
{
    const struct clnorm_problem *const p = &one->problem;
    const struct bench_result *const row = bench_results_find(results, one, "clnorm");
    const double bytes = bench_tensor_bytes(one) * (which->narrow ? 2 : 1);
    const int narrow = clnorm_dtype_size(p->dtype) == 2;
    return row && which->operations & 1u << p->operation && which->layouts & 1u << p->layout &&
           bytes >= which->least && (which->below <= 0 || bytes < which->below) &&
           (which->place == ANYWHERE || row->resident == (which->place == RESIDENT)) &&
           (which->narrow ? narrow : p->dtype == CLNORM_F32);
}

typedef double ratio_of(const struct bench_results *results, const struct bench_case *one);

static struct tally tally_of(const struct bench_results *const results,
                             const struct bench_cases *const cases, const struct which *const which,
                             ratio_of *const ratio)
{
    struct tally tally = {.count = 0};
    for (size_t i = 0; i < cases->count; i++)
        if (is_of(which, results, &cases->items[i]))
            count_ratio(&tally, ratio(results, &cases->items[i]), &cases->items[i]);
    return tally;
}

/* ---- Printed --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    ratio_of *ratio;
    int inverse; /* how many times clnorm's time the other takes: the worst is the least */
} columns[] = {
    {"clnorm/limit", over_limit, 0},     {"onednn/clnorm", over_onednn, 1},
    {"pytorch/clnorm", over_pytorch, 1}, {"best peer/clnorm", over_peer, 1},
    {"nChw16c/clnorm", over_blocked, 1},
};

static void print_means(const struct bench_results *const results,
                        const struct bench_cases *const cases, const struct which *const which,
                        const char *const name, FILE *const out)
{
    fprintf(out, "  %-14s", name);
    for (size_t i = 0; i < ROWS(columns); i++) {
        const struct tally t = tally_of(results, cases, which, columns[i].ratio);
        char text[32] = "-";
        if (t.count)
            snprintf(text, sizeof text, "%.2f %7.2f",
                     columns[i].inverse ? 1 / mean_of(&t) : mean_of(&t),
                     columns[i].inverse ? 1 / t.most : t.most);
        fprintf(out, " %18s", text);
    }
    fprintf(out, "\n");
}

static void print_table(const struct bench_results *const results,
                        const struct bench_cases *const cases, FILE *const out)
{
    fprintf(out,
            "Ratios of medians over the f32 cases: geometric mean, then the worst for clnorm\n"
            "  %-14s",
            "");
    for (size_t i = 0; i < ROWS(columns); i++)
        fprintf(out, " %18s", columns[i].name);
    fprintf(out, "\n");
    static const enum clnorm_operation operations[] = {CLNORM_FORWARD, CLNORM_INFER,
                                                       CLNORM_BACKWARD};
    for (size_t i = 0; i < ROWS(operations); i++)
        for (unsigned layout = CLNORM_NCHW; layout <= CLNORM_NHWC; layout++) {
            char name[32];
            const struct which which = {.operations = 1u << operations[i], .layouts = 1u << layout};
            snprintf(name, sizeof name, "%s %s", clnorm_operation_name(operations[i]),
                     clnorm_layout_name((enum clnorm_layout)layout));
            print_means(results, cases, &which, name, out);
        }
}

/* What was asked (the ratios are clnorm's time over the other's), and of which cases. A mean that
 * is asked for is of the other's time over clnorm's. */
static const struct goal {
    const char *text;
    struct which which;
    ratio_of *ratio;
    double most; /* 0: none is asked */
    double mean; /* 0: none is asked */
} goals[] = {
    {"1. infer over the copy limit, tensors of 16 MiB and more",
     {.operations = INFER, .layouts = ANY_LAYOUT, .least = 16 * MIB},
     over_limit,
     1.10,
     0},
    {"2. forward over the copy limit where slabs fit, 16 MiB and more",
     {.operations = FORWARD, .layouts = ANY_LAYOUT, .least = 16 * MIB, .place = RESIDENT},
     over_limit,
     1.25,
     0},
    {"2. forward over the copy limit where slabs fit, 1 to 16 MiB",
     {.operations = FORWARD,
      .layouts = ANY_LAYOUT,
      .least = MIB,
      .below = 16 * MIB,
      .place = RESIDENT},
     over_limit,
     1.25,
     0},
    {"2. forward over read + copy elsewhere, 16 MiB and more",
     {.operations = FORWARD, .layouts = ANY_LAYOUT, .least = 16 * MIB, .place = ELSEWHERE},
     over_limit,
     1.10,
     0},
    {"2. forward over read + copy elsewhere, 1 to 16 MiB",
     {.operations = FORWARD,
      .layouts = ANY_LAYOUT,
      .least = MIB,
      .below = 16 * MIB,
      .place = ELSEWHERE},
     over_limit,
     1.10,
     0},
    {"3. backward over the triad limit where slabs fit, 16 MiB and more",
     {.operations = BACKWARD, .layouts = ANY_LAYOUT, .least = 16 * MIB, .place = RESIDENT},
     over_limit,
     1.20,
     0},
    {"3. backward over the triad limit where slabs fit, 1 to 16 MiB",
     {.operations = BACKWARD,
      .layouts = ANY_LAYOUT,
      .least = MIB,
      .below = 16 * MIB,
      .place = RESIDENT},
     over_limit,
     1.20,
     0},
    {"3. backward over 2 reads + triad elsewhere, 16 MiB and more",
     {.operations = BACKWARD, .layouts = ANY_LAYOUT, .least = 16 * MIB, .place = ELSEWHERE},
     over_limit,
     1.10,
     0},
    {"3. backward over 2 reads + triad elsewhere, 1 to 16 MiB",
     {.operations = BACKWARD,
      .layouts = ANY_LAYOUT,
      .least = MIB,
      .below = 16 * MIB,
      .place = ELSEWHERE},
     over_limit,
     1.10,
     0},
    {"4. forward over the best peer",
     {.operations = FORWARD, .layouts = ANY_LAYOUT},
     over_peer,
     1.05,
     2.5},
    {"4. infer over the best peer",
     {.operations = INFER, .layouts = ANY_LAYOUT},
     over_peer,
     1.05,
     1.2},
    {"4. backward over the best peer",
     {.operations = BACKWARD, .layouts = ANY_LAYOUT},
     over_peer,
     1.05,
     2.0},
    {"4. nchw over oneDNN's nChw16c",
     {.operations = ANY_OPERATION, .layouts = NCHW},
     over_blocked,
     1.0,
     0},
    {"5. tensors under 1 MiB over the best peer",
     {.operations = ANY_OPERATION, .layouts = ANY_LAYOUT, .below = MIB},
     over_peer,
     1.0,
     0},
    {"8. f16 and bf16 over f32, 16 MiB of f32 and more",
     {.operations = ANY_OPERATION, .layouts = ANY_LAYOUT, .least = 16 * MIB, .narrow = 1},
     over_wide,
     0.65,
     0},
};

static unsigned count_above(const struct bench_results *const results,
                            const struct bench_cases *const cases, const struct goal *const goal)
{
    unsigned above = 0;
    for (size_t i = 0; i < cases->count; i++)
        if (is_of(&goal->which, results, &cases->items[i]))
            above += goal->ratio(results, &cases->items[i]) > goal->most;
    return above;
}

static void print_goal(const struct bench_results *const results,
                       const struct bench_cases *const cases, const struct goal *const goal,
                       FILE *const out)
{
    const struct tally t = tally_of(results, cases, &goal->which, goal->ratio);
    if (t.count == 0)
        return;
    fprintf(out, "  %s: mean %.2f", goal->text, mean_of(&t));
    if (goal->mean > 0)
        fprintf(out, " (%.2f times as fast; asked %.1f)", 1 / mean_of(&t), goal->mean);
    fprintf(out, ", worst %.2f (asked %.2f); %u of %u above\n    worst: %s\n", t.most, goal->most,
            count_above(results, cases, goal), t.count, t.where->text);
}

/* A row stands for its case: all contestants of one share the time. */
static void print_disturbed(const struct bench_results *const results,
                            const struct bench_cases *const cases, FILE *const out)
{
    unsigned disturbed = 0;
    for (size_t i = 0; i < cases->count; i++) {
        const struct bench_result *const row =
            bench_results_find(results, &cases->items[i], "clnorm");
        disturbed += row && row->times.others > BENCH_DISTURBED;
    }
    if (disturbed)
        fprintf(out,
                "Disturbed: while %u of %zu cases were timed, other processes took more than %.0f "
                "%% of a core; peers whose threads wait for each other suffer most\n",
                disturbed, cases->count, 100 * BENCH_DISTURBED);
}

void bench_summarise(const struct bench_results *const results,
                     const struct bench_cases *const cases, FILE *const out)
{
    print_table(results, cases, out);
    fprintf(out, "Asked and measured: clnorm's time over the other's\n");
    for (size_t i = 0; i < ROWS(goals); i++)
        print_goal(results, cases, &goals[i], out);
    print_disturbed(results, cases, out);
    fflush(out);
}
