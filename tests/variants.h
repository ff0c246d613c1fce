/* Every kind of text the generator emits: problems x flags x targets x schedules, for tests that
 * look at text. */
#ifndef CLNORM_TESTS_VARIANTS_H
#define CLNORM_TESTS_VARIANTS_H

#include <clnorm/codegen.h>

struct variant {
    struct clnorm_problem problem;
    struct clnorm_schedule schedule;
    enum clnorm_kind kind;
};

/*
 * Calls visit for each variant until it returns other than 0; returns that, or 0. Every legal flag
 * set in f32 under the default schedules; all dtypes and all schedules with no, and with all flags.
 */
int visit_variants(int (*visit)(void *user, const struct variant *variant), void *user);

#endif
