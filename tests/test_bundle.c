/* Bundles through contexts: plans from a bundle need no compiler and give the bits that plans from
 * source give; what a bundle lacks is said. */
#define _XOPEN_SOURCE 700
#include "bundle_fixture.h"

/* ---- The ordinary way ---- */

static void bundled_plans_give_the_bits_of_compiled_ones(void **state)
{
    struct fixture *const f = *state;
    static const char *const problems[] = {
        "forward nchw f32 ?x19x? +scale +shift +relu +running",
        "forward nhwc f16 ?x7x? +add",
        "backward nhwc f32 ?x7x? +scale +shift",
        "infer nchw bf16 ?x19x? +scale",
        "moments nchw f32 ?x19x?",
        "update nchw f32 ?x19x? +scale +adam",
    };
    enum { COUNT = sizeof problems / sizeof *problems };
    write_problems(f, problems, COUNT);
    struct clnorm_context *const bundled = open_bundle(f);
    for (size_t i = 0; i < COUNT; i++) {
        expect_same_bits(f->source, bundled, problems[i], 3, 37);
        expect_same_bits(f->source, bundled, problems[i], 40, 1000);
    }
    const struct clnorm_statistics s = clnorm_context_statistics(bundled);
    assert_int_equal(s.bundle_hits, COUNT);
    assert_int_equal(s.builds, 0);
    clnorm_context_release(bundled);
}

/* A bundle may be made of another, and replaces it: programs of both are there. */
static void bundles_grow(void **state)
{
    struct fixture *const f = *state;
    write_one(f, "infer nchw f32 ?x4x?");
    const struct clnorm_context_options options = {
        .size = sizeof options, .cache_directory = "", .bundle = f->path};
    struct clnorm_context *const both = open_with(&options);
    struct clnorm_plan *const plans[] = {plan_with(both, "infer nchw f32 ?x4x?", NULL),
                                         plan_with(both, "infer nhwc f32 ?x4x?", NULL),
                                         plan_with(both, "infer nchw f32 ?x4x?", NULL)};
    struct clnorm_statistics s = clnorm_context_statistics(both);
    assert_int_equal(s.bundle_hits, 1);
    assert_int_equal(s.builds, 1);
    assert_int_equal(clnorm_bundle_write(both, plans, 3, f->path), CLNORM_OK);
    expect_counts(f, 2, 2); /* plans that share a program share it there */
    for (size_t i = 0; i < 3; i++)
        clnorm_plan_release(plans[i]);
    clnorm_context_release(both);
    struct clnorm_context *const bundled = open_bundle(f);
    expect_same_bits(f->source, bundled, "infer nchw f32 ?x4x?", 3, 5);
    expect_same_bits(f->source, bundled, "infer nhwc f32 ?x4x?", 3, 5);
    s = clnorm_context_statistics(bundled);
    assert_int_equal(s.bundle_hits, 2);
    clnorm_context_release(bundled);
}

/* The bytes of the file, malloc'd. */
static char *read_file(const char *path, size_t *size)
{
    FILE *const file = fopen(path, "rb");
    struct stat facts;
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &facts), 0);
    *size = (size_t)facts.st_size;
    char *const bytes = malloc(*size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void a_bundle_may_lie_in_memory(void **state)
{
    struct fixture *const f = *state;
    size_t size;
    write_one(f, "infer nchw f32 ?x4x?");
    char *const bytes = read_file(f->path, &size);
    struct clnorm_context_options options = {.size = sizeof options,
                                             .cache_directory = "",
                                             .bundle_bytes = bytes,
                                             .bundle_size = size,
                                             .bundle_only = 1};
    struct clnorm_context *context = open_with(&options);
    expect_same_bits(f->source, context, "infer nchw f32 ?x4x?", 3, 5);
    expect_refused(context, "infer nchw f32 ?x5x?", NULL, CLNORM_UNSUPPORTED,
                   (const char *[]){"the bundle in memory has no program",
                                    "clnorm compile 'infer nchw f32 ?x5x?' --add -o 'BUNDLE'",
                                    NULL});
    clnorm_context_release(context);
    char message[MESSAGE_SIZE] = "";
    bytes[size / 2] ^= 1;
    assert_int_equal(clnorm_context_create(&options, &context, message, sizeof message),
                     CLNORM_IO_FAILED);
    assert_non_null(strstr(message, "the bundle in memory is damaged"));
    free(bytes);
}

/* ---- Which program serves ---- */

static void known_extents_are_served_by_unknown_ones(void **state)
{
    struct fixture *const f = *state;
    write_problems(
        f, (const char *[]){"infer nchw f32 ?x4x?", "infer nchw f32 8x4x?", "infer nchw f32 8x4x9"},
        3);
    struct clnorm_context *const bundled = open_bundle(f);
    static const struct {
        const char *asked;
        uint64_t hits;
    } rows[] = {
        {"infer nchw f32 8x4x9", 1}, {"infer nchw f32 8x4x7", 2}, {"infer nchw f32 3x4x7", 3},
        {"infer nchw f32 3x4x?", 3}, {"infer nchw f32 8x4x?", 3}, {"infer nchw f32 ?x4x9", 3},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct clnorm_plan *const plan = plan_with(bundled, rows[i].asked, NULL);
        char text[CLNORM_PROBLEM_TEXT_SIZE];
        clnorm_problem_format(clnorm_plan_problem(plan), text);
        assert_string_equal(text, rows[i].asked);
        assert_int_equal(clnorm_context_statistics(bundled).bundle_hits, rows[i].hits);
        clnorm_plan_release(plan);
    }
    clnorm_context_release(bundled);
}

/* The extents a plan was made for hold, whatever a run's arguments say, and its results are right. */
static void served_plans_keep_their_extents(void **state)
{
    struct fixture *const f = *state;
    write_one(f, "forward nchw f32 ?x4x?");
    struct clnorm_context *const bundled = open_bundle(f);
    struct clnorm_plan *const wide = plan_with(bundled, "forward nchw f32 ?x4x?", NULL);
    struct clnorm_plan *const plan = plan_with(bundled, "forward nchw f32 6x4x100", NULL);
    struct clnorm_plan *const large = plan_with(bundled, "forward nchw f32 64x4x65536", NULL);
    assert_true(clnorm_plan_workspace_size(large, 1, 1) > 0);
    assert_int_equal(clnorm_plan_workspace_size(large, 1, 1),
                     clnorm_plan_workspace_size(wide, 64, 65536));
    clnorm_plan_release(large);
    struct clnorm_values fixed =
        values_of("forward nchw f32 6x4x100", 6, 100, 1, CLNORM_DATA_ORDINARY, 7);
    struct clnorm_values any =
        values_of("forward nchw f32 ?x4x?", 6, 100, 1, CLNORM_DATA_ORDINARY, 7);
    assert_true(execute(bundled, NULL, &fixed, NULL));
    assert_true(execute(bundled, NULL, &any, NULL));
    assert_true(clnorm_compare_same(&fixed, &any, -1));
    const struct clnorm_arguments wrong = {.size = sizeof wrong, .batch = -1, .spatial = -1};
    char message[MESSAGE_SIZE];
    assert_int_equal(clnorm_plan_run(plan, clnorm_context_queue(bundled), &wrong, 0, NULL, NULL),
                     CLNORM_INVALID_ARGUMENT);
    clnorm_context_error(bundled, message, sizeof message);
    assert_non_null(strstr(message, "'x'")); /* the extents were not looked at */
    clnorm_values_free(&fixed);
    clnorm_values_free(&any);
    clnorm_plan_release(plan);
    clnorm_plan_release(wide);
    clnorm_context_release(bundled);
}

static void what_the_bundle_lacks_is_said(void **state)
{
    struct fixture *const f = *state;
    write_problems(f, (const char *[]){"infer nchw f32 ?x4x? +scale", "infer nchw f32 8x4x?"}, 2);
    struct clnorm_context *const bundled = open_bundle(f);
    static const char *const lacking[] = {
        "infer nchw f32 ?x4x?",        /* 8 is not any */
        "infer nchw f32 7x4x?",        /* nor 7 */
        "infer nchw f32 ?x4x? +shift", /* flags are exact */
        "infer nhwc f32 ?x4x? +scale", "infer nchw f16 ?x4x? +scale",
        "infer nchw f32 ?x5x? +scale", "forward nchw f32 ?x4x? +scale",
    };
    for (size_t i = 0; i < sizeof lacking / sizeof *lacking; i++) {
        char has[MESSAGE_SIZE], command[MESSAGE_SIZE];
        snprintf(has, sizeof has, "%s has no program for '%s'", f->path, lacking[i]);
        snprintf(command, sizeof command, "clnorm compile '%s' --add -o '%s' --device '%s'",
                 lacking[i], f->path, clnorm_context_device(bundled)->device_name);
        expect_refused(bundled, lacking[i], NULL, CLNORM_UNSUPPORTED,
                       (const char *[]){has, command, NULL});
    }
    assert_int_equal(clnorm_context_statistics(bundled).builds, 0);
    clnorm_context_release(bundled);
}

static void bundle_only_forbids_the_compiler(void **state)
{
    struct fixture *const f = *state;
    write_one(f, "infer nchw f32 ?x4x?");
    struct clnorm_context_options options = {
        .size = sizeof options, .cache_directory = "", .bundle = f->path, .bundle_only = 1};
    struct clnorm_context *context = open_with(&options);
    clnorm_plan_release(plan_with(context, "infer nchw f32 ?x4x?", NULL));
    expect_refused(context, "infer nhwc f32 ?x4x?", NULL, CLNORM_UNSUPPORTED,
                   (const char *[]){"has no program for 'infer nhwc f32 ?x4x?'", NULL});
    clnorm_context_release(context);
    options.bundle_only = 0; /* and without, the compiler helps out */
    context = open_with(&options);
    clnorm_plan_release(plan_with(context, "infer nhwc f32 ?x4x?", NULL));
    assert_int_equal(clnorm_context_statistics(context).builds, 1);
    clnorm_context_release(context);
    options.bundle_only = 1;
    options.bundle = NULL;
    char message[MESSAGE_SIZE] = "";
    assert_int_equal(clnorm_context_create(&options, &context, message, sizeof message),
                     CLNORM_INVALID_ARGUMENT);
    assert_non_null(strstr(message, "no bundle"));
}

static void without_compiler_and_bundle_the_way_out_is_said(void **state)
{
    struct fixture *const f = *state;
    const struct clnorm_context_options options = {
        .size = sizeof options, .cache_directory = "", .kind = CLNORM_KIND_FPGA};
    struct clnorm_context *const context = open_without_compiler(&options);
    expect_refused(context, "infer nhwc f32 ?x4x?", NULL, CLNORM_UNSUPPORTED,
                   (const char *[]){"clnorm compile 'infer nhwc f32 ?x4x?' -o BUNDLE --device",
                                    " --target fpga", NULL});
    clnorm_context_release(context);
    (void)f;
}

static void schedules_are_exact(void **state)
{
    struct fixture *const f = *state;
    write_one(f, "infer nchw f32 ?x4x?");
    struct clnorm_context *const bundled = open_bundle(f);
    struct clnorm_plan *const plan = plan_with(bundled, "infer nchw f32 ?x4x?", NULL);
    struct clnorm_schedule schedule = *clnorm_plan_schedule(plan);
    const struct clnorm_plan_options options = {.size = sizeof options, .schedule = &schedule};
    clnorm_plan_release(plan);
    clnorm_plan_release(plan_with(bundled, "infer nchw f32 ?x4x?", &options));
    schedule.block++;
    expect_refused(bundled, "infer nchw f32 ?x4x?", &options, CLNORM_UNSUPPORTED,
                   (const char *[]){"none under the schedule asked for", "block=", NULL});
    clnorm_context_release(bundled);
}

/* Where the machine has one: tests/CMakeLists.txt makes it so once. Without a choice the bundle's
 * device is taken, as all tests here do. */
static void another_device_is_refused(void **state)
{
    struct fixture *const f = *state;
    const struct clnorm_device *const own = clnorm_context_device(f->source);
    struct clnorm_device *devices;
    size_t count, other = 0;
    char index[24], message[MESSAGE_SIZE] = "";
    assert_int_equal(clnorm_devices_list(&devices, &count), CLNORM_OK);
    while (other < count && strcmp(devices[other].device_name, own->device_name) == 0)
        other++;
    if (other < count) {
        struct clnorm_context *context;
        snprintf(index, sizeof index, "%zu", other);
        write_one(f, "infer nchw f32 ?x4x?");
        const struct clnorm_context_options options = {.size = sizeof options,
                                                       .device_selector = index,
                                                       .cache_directory = "",
                                                       .bundle = f->path};
        assert_int_equal(clnorm_context_create(&options, &context, message, sizeof message),
                         CLNORM_UNSUPPORTED);
        assert_null(context);
        assert_non_null(strstr(message, own->device_name));
        assert_non_null(strstr(message, devices[other].device_name));
    }
    free(devices);
}

/* ---- Writing that fails ---- */

static void expect_not_written(struct fixture *f, struct clnorm_plan *const *plans, size_t count,
                               const char *path, enum clnorm_status status, const char *says)
{
    char message[MESSAGE_SIZE];
    assert_int_equal(clnorm_bundle_write(f->source, plans, count, path), status);
    clnorm_context_error(f->source, message, sizeof message);
    if (!strstr(message, says))
        fail_msg("'%s' is not in: %s", says, message);
}

static void failing_to_write_leaves_nothing(void **state)
{
    struct fixture *const f = *state;
    const struct clnorm_context_options options = {.size = sizeof options, .cache_directory = ""};
    struct clnorm_context *const other = open_with(&options);
    struct clnorm_plan *const plan = plan_with(f->source, "infer nchw f32 ?x4x?", NULL);
    struct clnorm_plan *const foreign = plan_with(other, "infer nchw f32 ?x4x?", NULL);
    char nowhere[PATH_SIZE + 32], folder[PATH_SIZE + 32];
    snprintf(nowhere, sizeof nowhere, "%s/none/there", f->folder);
    snprintf(folder, sizeof folder, "%s/folder", f->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    expect_not_written(f, NULL, 0, f->path, CLNORM_INVALID_ARGUMENT, "no plans");
    expect_not_written(f, &foreign, 1, f->path, CLNORM_INVALID_ARGUMENT, "another context");
    expect_not_written(f, (struct clnorm_plan *[]){plan, NULL}, 2, f->path, CLNORM_INVALID_ARGUMENT,
                       "plan 1 is NULL");
    expect_not_written(f, &plan, 1, "", CLNORM_INVALID_ARGUMENT, "no path");
    expect_not_written(f, &plan, 1, nowhere, CLNORM_IO_FAILED, nowhere);
    /* Not before all is written beside it; what was, is removed, or teardown fails. */
    expect_not_written(f, &plan, 1, folder, CLNORM_IO_FAILED, "cannot be written");
    assert_int_equal(rmdir(folder), 0);
    assert_int_not_equal(access(f->path, F_OK), 0);
    clnorm_plan_release(plan);
    clnorm_plan_release(foreign);
    clnorm_context_release(other);
}

static void a_link_stays_one(void **state)
{
    struct fixture *const f = *state;
    struct clnorm_plan *const plan = plan_with(f->source, "infer nchw f32 ?x4x?", NULL);
    char link[PATH_SIZE + 32];
    struct stat facts;
    snprintf(link, sizeof link, "%s/link", f->folder);
    assert_int_equal(symlink(f->path, link), 0);
    assert_int_equal(clnorm_bundle_write(f->source, &plan, 1, f->path), CLNORM_OK);
    assert_int_equal(clnorm_bundle_write(f->source, &plan, 1, link), CLNORM_OK);
    assert_int_equal(lstat(link, &facts), 0);
    assert_true(S_ISLNK(facts.st_mode));
    assert_int_equal(unlink(link), 0);
    clnorm_plan_release(plan);
}

/* ---- Options of earlier versions ---- */

static void options_of_earlier_sizes_are_taken(void **state)
{
    struct fixture *const f = *state;
    write_one(f, "infer nchw f32 ?x4x?");
    /* What lies behind a caller's shorter struct is not looked at. */
    struct clnorm_context_options all = {.cache_directory = "",
                                         .size = offsetof(struct clnorm_context_options, bundle),
                                         .bundle = "/nonexistent"};
    struct clnorm_context *context = open_with(&all);
    struct clnorm_plan_options options = {.size = offsetof(struct clnorm_plan_options, program),
                                          .program = (cl_program)(size_t)1};
    clnorm_plan_release(plan_with(context, "infer nchw f32 ?x4x?", &options));
    options.size = sizeof options + 8;
    expect_refused(context, "infer nchw f32 ?x4x?", &options, CLNORM_INVALID_ARGUMENT,
                   (const char *[]){"options.size", NULL});
    options.size = 4;
    expect_refused(context, "infer nchw f32 ?x4x?", &options, CLNORM_INVALID_ARGUMENT,
                   (const char *[]){"options.size", NULL});
    clnorm_context_release(context);
    static const size_t wrong[] = {0, 8, sizeof all - 1, sizeof all + 8};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char message[MESSAGE_SIZE] = "";
        all.size = wrong[i];
        assert_int_equal(clnorm_context_create(&all, &context, message, sizeof message),
                         CLNORM_INVALID_ARGUMENT);
        assert_non_null(strstr(message, "options.size"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BUNDLE_TEST(bundled_plans_give_the_bits_of_compiled_ones),
        BUNDLE_TEST(bundles_grow),
        BUNDLE_TEST(a_bundle_may_lie_in_memory),
        BUNDLE_TEST(known_extents_are_served_by_unknown_ones),
        BUNDLE_TEST(served_plans_keep_their_extents),
        BUNDLE_TEST(what_the_bundle_lacks_is_said),
        BUNDLE_TEST(bundle_only_forbids_the_compiler),
        BUNDLE_TEST(without_compiler_and_bundle_the_way_out_is_said),
        BUNDLE_TEST(schedules_are_exact),
        BUNDLE_TEST(another_device_is_refused),
        BUNDLE_TEST(failing_to_write_leaves_nothing),
        BUNDLE_TEST(a_link_stays_one),
        BUNDLE_TEST(options_of_earlier_sizes_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
