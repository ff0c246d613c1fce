/*
 * Out of memory: each allocation of clnorm's while a bundle is written, listed and used fails in
 * turn.
 */
#define _XOPEN_SOURCE 700
#include "failing_memory.h"
#include "store_fixture.h"

struct use {
    const char *path;
    struct clnorm_context *context;
    struct clnorm_plan *plans[2];
};

static enum clnorm_status write_bundle(const struct use *use)
{
    return clnorm_bundle_write(use->context, use->plans, 2, use->path);
}

static int look(void *user, const struct clnorm_bundle_entry *entry)
{
    unsigned *const seen = user;
    (void)entry;
    ++*seen;
    return 0;
}

static enum clnorm_status list_bundle(const struct use *use)
{
    unsigned seen = 0;
    const enum clnorm_status status = clnorm_bundle_visit(use->path, look, &seen, NULL, 0);
    assert_int_equal(seen, status == CLNORM_OK ? 2 : 0);
    return status;
}

static enum clnorm_status use_bundle(const struct use *use)
{
    const struct clnorm_context_options options = {
        .size = sizeof options, .cache_directory = "", .bundle = use->path, .bundle_only = 1};
    struct clnorm_context *context = NULL;
    struct clnorm_plan *plan = NULL;
    enum clnorm_status status = clnorm_context_create(&options, &context, NULL, 0);
    if (status == CLNORM_OK)
        status = clnorm_plan_create(context, clnorm_plan_problem(use->plans[0]), NULL, &plan);
    clnorm_plan_release(plan);
    clnorm_context_release(context);
    return status;
}

/* Without failure it works; with one it works, or says that memory is short. */
static void fail_each(const struct use *use, enum clnorm_status (*step)(const struct use *use))
{
    memory.made = memory.fails = 0;
    assert_int_equal(step(use), CLNORM_OK);
    const unsigned allocations = memory.made;
    unsigned refused = 0;
    assert_true(allocations > 3);
    for (unsigned i = 1; i <= allocations; i++) {
        memory.made = 0;
        memory.fails = i;
        const enum clnorm_status status = step(use);
        memory.fails = 0;
        refused += status == CLNORM_OUT_OF_MEMORY;
        if (status != CLNORM_OK && status != CLNORM_OUT_OF_MEMORY)
            fail_msg("allocation %u of %u: %s", i, allocations, clnorm_status_text(status));
        assert_int_equal(list_bundle(use), CLNORM_OK); /* the file is whole */
    }
    assert_true(refused > 0);
}

static void every_allocation_fails_in_turn(void **state)
{
    const struct fixture *const fixture = *state;
    const struct clnorm_context_options options = {.size = sizeof options,
                                                   .device_selector = getenv("CLNORM_TEST_DEVICE"),
                                                   .cache_directory = ""};
    static const char *const problems[] = {"infer nchw f32 ?x4x?", "moments nchw f32 ?x4x?"};
    char path[PATH_SIZE];
    struct use use = {.path = path};
    path_of(path, fixture->root, "test.bundle");
    assert_int_equal(clnorm_context_create(&options, &use.context, NULL, 0), CLNORM_OK);
    for (int i = 0; i < 2; i++) {
        struct clnorm_problem problem;
        assert_int_equal(clnorm_problem_parse(problems[i], &problem, NULL, 0), CLNORM_OK);
        assert_int_equal(clnorm_plan_create(use.context, &problem, NULL, &use.plans[i]), CLNORM_OK);
    }
    fail_each(&use, write_bundle);
    fail_each(&use, list_bundle);
    fail_each(&use, use_bundle);
    assert_int_equal(count_files(fixture->root, ".tmp"), 0);
    clnorm_plan_release(use.plans[0]);
    clnorm_plan_release(use.plans[1]);
    clnorm_context_release(use.context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {STORE_TEST(every_allocation_fails_in_turn)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
