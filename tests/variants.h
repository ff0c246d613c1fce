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
 * set in f32 under the default schedules of CPU and GPU; every dtype with no flags likewise, and
 * with all flags under all schedules.
 */
int visit_variants(int (*visit)(void *user, const struct variant *variant), void *user);

/*
 * The same for what GPUs get: every dtype with no flags and with all, under every row of the group
 * walk, and every legal flag set in f32 under the default. Extents are fixed only for rows that
 * need it, and there to some that take one launch and to some that take three.
 */
int visit_gpu_variants(int (*visit)(void *user, const struct variant *variant), void *user);

#endif
