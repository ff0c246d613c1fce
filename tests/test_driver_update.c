/*
 * The driver is updated between two contexts with one cache directory, which the layer plays: what
 * was compiled and tuned for the old driver is not used, programs are compiled anew, results stay
 * what they were, and the old driver's files are as they were.
 */
#define _POSIX_C_SOURCE 200809L
#include "testing.h"

#include "compare.h"
#include "control.h"
#include "one_blob.h"
#include "reference.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char text[] = "forward nhwc f32 3x5x7 +scale +shift";

struct fixture {
    char directory[64];
    struct clnorm_values inputs, expected;
};

static int open_fixture(void **state)
{
    struct fixture *const f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->directory, "/tmp/clnorm-driver-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->inputs = values_of(text, 0, 0, 1, CLNORM_DATA_ORDINARY, 71);
    assert_int_equal(clnorm_values_copy(&f->expected, &f->inputs), CLNORM_OK);
    clnorm_reference_run(&f->expected);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *const f = *state;
    unsetenv("CLNORM_LAYER_DRIVER_VERSION");
    clnorm_values_free(&f->inputs);
    clnorm_values_free(&f->expected);
    assert_int_equal(clnorm_cache_clear(f->directory, NULL), CLNORM_OK);
    assert_int_equal(clnorm_tuning_clear(f->directory, NULL), CLNORM_OK);
    assert_int_equal(rmdir(f->directory), 0);
    free(f);
    return 0;
}

static struct clnorm_context *open_context(const struct fixture *f, const char *driver,
                                           const struct clnorm_blob_store *store)
{
    struct clnorm_context_options options = {.size = sizeof options,
                                             .device_selector = getenv("CLNORM_TEST_DEVICE"),
                                             .cache_directory = f->directory};
    struct clnorm_context *context;
    char message[256];
    if (store)
        options.store = *store;
    setenv("CLNORM_LAYER_DRIVER_VERSION", driver, 1);
    if (clnorm_context_create(&options, &context, message, sizeof message) != CLNORM_OK)
        fail_msg("%s", message);
    assert_string_equal(clnorm_context_device(context)->driver, driver);
    return context;
}

/* Makes a plan, runs it, finds the results right, and returns what the context counted. */
static struct clnorm_statistics run_under(const struct fixture *f, const char *driver,
                                          const struct clnorm_blob_store *store)
{
    struct clnorm_context *const context = open_context(f, driver, store);
    struct clnorm_values observed;
    char detail[256];
    assert_int_equal(clnorm_values_copy(&observed, &f->inputs), CLNORM_OK);
    assert_true(execute(context, NULL, &observed, NULL));
    if (clnorm_compare(&f->expected, &observed, detail, sizeof detail) > 1)
        fail_msg("%s: %s", driver, detail);
    const struct clnorm_statistics s = clnorm_context_statistics(context);
    clnorm_values_free(&observed);
    clnorm_context_release(context);
    return s;
}

static void assert_counted(struct clnorm_statistics s, uint64_t builds, uint64_t hits,
                           uint64_t rejects)
{
    assert_int_equal(s.builds, builds);
    assert_int_equal(s.disk_hits, hits);
    assert_int_equal(s.disk_rejects, rejects);
    assert_int_equal(s.disk_failures, 0);
    assert_int_equal(s.disk_evictions, 0);
}

/* ---- Programs on disk ---- */

/* The files of the programs in a directory. */
struct programs {
    struct stat file[8];
    size_t count;
};

static int note_program(void *user, const struct clnorm_cache_entry *entry)
{
    struct programs *const programs = user;
    assert_true(entry->valid);
    assert_true(programs->count < sizeof programs->file / sizeof *programs->file);
    assert_int_equal(stat(entry->path, &programs->file[programs->count++]), 0);
    return 0;
}

static struct programs programs_of(const struct fixture *f)
{
    struct programs programs = {.count = 0};
    assert_int_equal(clnorm_cache_visit(f->directory, note_program, &programs), CLNORM_OK);
    return programs;
}

/* Neither written nor marked as used since. */
static int has_unchanged(const struct programs *programs, const struct stat *file)
{
    for (size_t i = 0; i < programs->count; i++) {
        const struct stat *const p = &programs->file[i];
        if (p->st_ino == file->st_ino && p->st_size == file->st_size &&
            p->st_mtim.tv_sec == file->st_mtim.tv_sec &&
            p->st_mtim.tv_nsec == file->st_mtim.tv_nsec)
            return 1;
    }
    return 0;
}

static void test_programs_are_built_anew(void **state)
{
    const struct fixture *const f = *state;
    assert_counted(run_under(f, "1.0", NULL), 1, 0, 0);
    assert_counted(run_under(f, "1.0", NULL), 0, 1, 0);
    const struct programs before = programs_of(f);
    assert_int_equal(before.count, 1);
    assert_counted(run_under(f, "1.1", NULL), 1, 0, 0);
    assert_counted(run_under(f, "1.1", NULL), 0, 1, 0);
    const struct programs after = programs_of(f);
    assert_int_equal(after.count, 2);
    assert_true(has_unchanged(&after, &before.file[0]));
    assert_counted(run_under(f, "1.0", NULL), 0, 1, 0); /* the update is taken back */
}

/* The driver no longer takes its own binaries, under the same version: the entry is replaced. */
static void test_an_update_that_does_not_tell(void **state)
{
    const struct fixture *const f = *state;
    const struct clnorm_layer_failure refusal = {
        .entry = CLNORM_LAYER_clCreateProgramWithBinary, .call = 1, .code = CL_INVALID_BINARY};
    assert_counted(run_under(f, "1.0", NULL), 1, 0, 0);
    clnorm_layer_arm(&refusal);
    clnorm_layer_watch();
    const struct clnorm_statistics s = run_under(f, "1.0", NULL);
    clnorm_layer_unwatch(0);
    assert_int_equal(clnorm_layer_failed(refusal.entry), 1);
    clnorm_layer_arm(NULL);
    assert_counted(s, 1, 0, 1);
    assert_counted(run_under(f, "1.0", NULL), 0, 1, 0);
    assert_int_equal(programs_of(f).count, 1);
}

/* ---- An application's store ---- */

static void test_a_store_that_gives_the_old_program(void **state)
{
    const struct fixture *const f = *state;
    struct one_blob blob = {NULL, 0};
    const struct clnorm_blob_store store = one_blob_store(&blob);
    assert_counted(run_under(f, "1.0", &store), 1, 0, 0);
    assert_counted(run_under(f, "1.0", &store), 0, 1, 0);
    assert_counted(run_under(f, "1.1", &store), 1, 0, 1);
    assert_counted(run_under(f, "1.1", &store), 0, 1, 0);
    free(blob.bytes);
}

/* ---- Tuning ---- */

static size_t read_tuning(const struct fixture *f, char *bytes, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/tuning.txt", f->directory);
    FILE *const file = fopen(path, "rb");
    assert_non_null(file);
    const size_t length = fread(bytes, 1, size, file);
    fclose(file);
    return length;
}

static void test_tuning_of_the_old_driver_is_kept_apart(void **state)
{
    const struct fixture *const f = *state;
    struct clnorm_schedule schedule;
    char before[4096], after[sizeof before];
    struct clnorm_context *const context = open_context(f, "1.0", NULL);
    clnorm_schedule_choose(&f->inputs.problem, &clnorm_context_device(context)->target, 1,
                           &schedule);
    assert_int_equal(clnorm_tuning_set(context, &f->inputs.problem, &schedule, 1e-3), CLNORM_OK);
    clnorm_context_release(context);
    const size_t length = read_tuning(f, before, sizeof before);
    assert_int_equal(run_under(f, "1.0", NULL).tuning_hits, 1);
    const struct clnorm_statistics s = run_under(f, "1.1", NULL);
    assert_int_equal(s.tuning_hits, 0);
    assert_int_equal(s.tuning_ignored, 0);
    assert_int_equal(read_tuning(f, after, sizeof after), length);
    assert_memory_equal(before, after, length);
}

int main(void)
{
    setenv("OPENCL_LAYERS", LAYER, 1);
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)
    const struct CMUnitTest tests[] = {
        TEST(test_programs_are_built_anew),
        TEST(test_an_update_that_does_not_tell),
        TEST(test_a_store_that_gives_the_old_program),
        TEST(test_tuning_of_the_old_driver_is_kept_apart),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
