/*
 * What the tests of bundles share: a folder and a context that compiles for each test, plans that must
 * be made or refused, and the bits of two contexts' results. Include after _XOPEN_SOURCE 700.
 */
#ifndef CLNORM_TESTS_BUNDLE_FIXTURE_H
#define CLNORM_TESTS_BUNDLE_FIXTURE_H

#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compare.h"
#include "testing.h"

enum { PATH_SIZE = 256, MESSAGE_SIZE = 2048 };

/* A folder for one test, and the bundle in it. */
struct fixture {
    char folder[PATH_SIZE], path[PATH_SIZE + 16];
    struct clnorm_context *source; /* compiles; no cache */
};

/* Where the test layer is loaded (tests/layer), compilers are there or not as from here on. */
static inline void hide_compilers(int hide)
{
    if (hide)
        setenv("CLNORM_LAYER_NO_COMPILER", "1", 1);
    else
        unsetenv("CLNORM_LAYER_NO_COMPILER");
}

static inline struct clnorm_context *open_with(const struct clnorm_context_options *options)
{
    char message[MESSAGE_SIZE] = "";
    struct clnorm_context *context;
    if (clnorm_context_create(options, &context, message, sizeof message) != CLNORM_OK)
        fail_msg("%s", message);
    return context;
}

static inline int setup(void **state)
{
    struct fixture *const f = calloc(1, sizeof *f);
    const struct clnorm_context_options options = {.size = sizeof options,
                                                   .device_selector = getenv("CLNORM_TEST_DEVICE"),
                                                   .cache_directory = ""};
    assert_non_null(f);
    snprintf(f->folder, sizeof f->folder, "/tmp/clnorm-bundle-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/test.bundle", f->folder);
    f->source = open_with(&options);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *const f = *state;
    hide_compilers(0);
    clnorm_context_release(f->source);
    unlink(f->path);
    const int clean = rmdir(f->folder) == 0; /* nothing half-written was left */
    free(f);
    return clean ? 0 : -1;
}

/* A context whose device has no compiler; without the layer it only looks so to clnorm. */
static inline struct clnorm_context *
open_without_compiler(const struct clnorm_context_options *options)
{
    hide_compilers(1);
    struct clnorm_context *const context = open_with(options);
    const struct clnorm_device *const device = clnorm_context_device(context);
    if (getenv("OPENCL_LAYERS"))
        assert_int_equal(device->compiler, 0);
    ((struct clnorm_device *)(size_t)device)->compiler = 0;
    return context;
}

/* On the fixture's bundle. */
static inline struct clnorm_context *open_bundle(const struct fixture *f)
{
    const struct clnorm_context_options options = {
        .size = sizeof options, .cache_directory = "", .bundle = f->path};
    return open_without_compiler(&options);
}

static inline struct clnorm_problem problem_of(const char *text)
{
    struct clnorm_problem problem;
    char message[MESSAGE_SIZE] = "";
    if (clnorm_problem_parse(text, &problem, message, sizeof message) != CLNORM_OK)
        fail_msg("%s: %s", text, message);
    return problem;
}

static inline struct clnorm_plan *plan_with(struct clnorm_context *context, const char *text,
                                            const struct clnorm_plan_options *options)
{
    const struct clnorm_problem problem = problem_of(text);
    struct clnorm_plan *plan = NULL;
    char message[MESSAGE_SIZE];
    if (clnorm_plan_create(context, &problem, options, &plan) != CLNORM_OK) {
        clnorm_context_error(context, message, sizeof message);
        fail_msg("%s: %s", text, message);
    }
    return plan;
}

/* The plan must be refused with this status; the context's error has each of the words, up to a
 * NULL. */
static inline void expect_refused(struct clnorm_context *context, const char *text,
                                  const struct clnorm_plan_options *options,
                                  enum clnorm_status status, const char *const words[])
{
    const struct clnorm_problem problem = problem_of(text);
    struct clnorm_plan *plan = NULL;
    char message[MESSAGE_SIZE];
    assert_int_equal(clnorm_plan_create(context, &problem, options, &plan), status);
    assert_null(plan);
    clnorm_context_error(context, message, sizeof message);
    for (; *words; words++)
        if (!strstr(message, *words))
            fail_msg("'%s' is not in: %s", *words, message);
}

/* Writes a bundle of these problems, compiled. */
static inline void write_problems(struct fixture *f, const char *const problems[], size_t count)
{
    struct clnorm_plan *plans[8];
    assert_true(count <= 8);
    for (size_t i = 0; i < count; i++)
        plans[i] = plan_with(f->source, problems[i], NULL);
    assert_int_equal(clnorm_bundle_write(f->source, plans, count, f->path), CLNORM_OK);
    for (size_t i = 0; i < count; i++)
        clnorm_plan_release(plans[i]);
}

static inline void write_one(struct fixture *f, const char *problem)
{
    write_problems(f, &problem, 1);
}

struct counts {
    size_t programs, images;
};

static inline int count_entry(void *user, const struct clnorm_bundle_entry *entry)
{
    struct counts *const counts = user;
    assert_true(entry->valid);
    assert_string_equal(entry->library, clnorm_version());
    counts->programs++;
    counts->images = entry->image + 1;
    return 0;
}

/* How many programs and binaries the bundle has. */
static inline void expect_counts(const struct fixture *f, size_t programs, size_t images)
{
    struct counts counts = {0};
    assert_int_equal(clnorm_bundle_visit(f->path, count_entry, &counts, NULL, 0), CLNORM_OK);
    assert_int_equal(counts.programs, programs);
    assert_int_equal(counts.images, images);
}

/* Runs a problem on both contexts, on the second without a compiler, with the same data; the results
 * have the same bits. */
static inline void expect_same_bits(struct clnorm_context *a, struct clnorm_context *b,
                                    const char *text, int64_t batch, int64_t spatial)
{
    struct clnorm_values first = values_of(text, batch, spatial, 1, CLNORM_DATA_ORDINARY, 7);
    struct clnorm_values second;
    assert_int_equal(clnorm_values_copy(&second, &first), CLNORM_OK);
    hide_compilers(0);
    assert_true(execute(a, NULL, &first, NULL));
    hide_compilers(1);
    assert_true(execute(b, NULL, &second, NULL));
    if (!clnorm_compare_same(&first, &second, -1))
        fail_msg("%s: other bits", text);
    clnorm_values_free(&first);
    clnorm_values_free(&second);
}

#define BUNDLE_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

#endif
