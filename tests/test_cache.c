/* The program cache through contexts: memory, disk and blob store; damage, drivers that refuse,
 * many processes at once. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <clnorm/clnorm.h>

enum { PROCESSES = 16 };

static const char *const program_path_variable = "CLNORM_TEST_SELF";

static struct clnorm_context *open_context(const char *directory,
                                           const struct clnorm_blob_store *store)
{
    char message[256];
    struct clnorm_context *context;
    struct clnorm_context_options options = {.size = sizeof options, .cache_directory = directory};
    if (store)
        options.store = *store;
    if (clnorm_context_create(&options, &context, message, sizeof message) != CLNORM_OK)
        fail_msg("%s", message);
    return context;
}

/* Makes a plan, and returns what the context counted so far. */
static struct clnorm_statistics make_plan(struct clnorm_context *context, const char *text)
{
    struct clnorm_problem p;
    struct clnorm_plan *plan;
    assert_int_equal(clnorm_problem_parse(text, &p, NULL, 0), CLNORM_OK);
    assert_int_equal(clnorm_plan_create(context, &p, NULL, &plan), CLNORM_OK);
    clnorm_plan_release(plan);
    return clnorm_context_statistics(context);
}

static int make_directory(void **state)
{
    char *const path = strdup("/tmp/clnorm-cache-test-XXXXXX");
    assert_non_null(mkdtemp(path));
    *state = path;
    return 0;
}

static int remove_directory(void **state)
{
    char *const path = *state;
    assert_int_equal(clnorm_cache_clear(path, NULL), CLNORM_OK);
    assert_int_equal(rmdir(path), 0); /* nothing but entries was left there */
    free(path);
    return 0;
}

/* The path of the only entry. */
static void find_entry(const char *directory, char *path, size_t size)
{
    DIR *const open = opendir(directory);
    assert_non_null(open);
    int found = 0;
    for (const struct dirent *e = readdir(open); e; e = readdir(open))
        if (e->d_name[0] != '.') {
            snprintf(path, size, "%s/%s", directory, e->d_name);
            found++;
        }
    closedir(open);
    assert_int_equal(found, 1);
}

static void test_memory_then_disk(void **state)
{
    const char *const directory = *state;
    struct clnorm_context *context = open_context(directory, NULL);
    struct clnorm_statistics s = make_plan(context, "infer nchw f32 ?x4x?");
    assert_int_equal(s.builds, 1);
    assert_int_equal(s.memory_hits, 0);
    s = make_plan(context, "infer nchw f32 ?x4x?");
    assert_int_equal(s.builds, 1);
    assert_int_equal(s.memory_hits, 1);
    clnorm_context_release(context);
    context = open_context(directory, NULL);
    s = make_plan(context, "infer nchw f32 ?x4x?");
    assert_int_equal(s.builds, 0);
    assert_int_equal(s.disk_hits, 1);
    s = make_plan(context, "infer nchw f32 ?x4x? +scale");
    assert_int_equal(s.builds, 1); /* another text, another program */
    clnorm_context_release(context);
}

static void flip_byte(const char *path, long offset_from_end)
{
    FILE *const file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -offset_from_end, SEEK_END), 0);
    const int byte = fgetc(file);
    assert_int_equal(fseek(file, -offset_from_end, SEEK_END), 0);
    fputc(byte ^ 0x40, file);
    assert_int_equal(fclose(file), 0);
}

static void test_damage_is_rebuilt(void **state)
{
    const char *const directory = *state;
    char path[4096];
    struct clnorm_context *context = open_context(directory, NULL);
    make_plan(context, "infer nhwc f32 ?x4x?");
    clnorm_context_release(context);
    find_entry(directory, path, sizeof path);
    flip_byte(path, 100);
    context = open_context(directory, NULL);
    struct clnorm_statistics s = make_plan(context, "infer nhwc f32 ?x4x?");
    assert_int_equal(s.builds, 1);
    assert_int_equal(s.disk_rejects, 1);
    clnorm_context_release(context);
    context = open_context(directory, NULL);
    s = make_plan(context, "infer nhwc f32 ?x4x?");
    assert_int_equal(s.disk_hits, 1);
    clnorm_context_release(context);
}

/* ---- A blob store ---- */

struct blobs {
    void *blob;
    size_t size;
    int gets, sets;
};

static int get_blob(void *user, const void *key, size_t key_size, void **blob, size_t *size)
{
    struct blobs *const blobs = user;
    (void)key;
    assert_true(key_size > 100);
    blobs->gets++;
    if (!blobs->blob)
        return 0;
    *blob = malloc(blobs->size);
    memcpy(*blob, blobs->blob, blobs->size);
    *size = blobs->size;
    return 1;
}

static int set_blob(void *user, const void *key, size_t key_size, const void *blob, size_t size)
{
    struct blobs *const blobs = user;
    (void)key;
    (void)key_size;
    free(blobs->blob);
    blobs->blob = malloc(size);
    memcpy(blobs->blob, blob, size);
    blobs->size = size;
    blobs->sets++;
    return 1;
}

static void test_blob_store(void **state)
{
    (void)state;
    struct blobs blobs = {0};
    const struct clnorm_blob_store store = {get_blob, set_blob, &blobs};
    struct clnorm_context *context = open_context(NULL, &store);
    assert_int_equal(make_plan(context, "infer nchw f32 ?x4x?").builds, 1);
    assert_int_equal(blobs.sets, 1);
    clnorm_context_release(context);
    context = open_context(NULL, &store);
    assert_int_equal(make_plan(context, "infer nchw f32 ?x4x?").disk_hits, 1);
    clnorm_context_release(context);
    ((char *)blobs.blob)[blobs.size / 2] ^= 1;
    context = open_context(NULL, &store);
    const struct clnorm_statistics s = make_plan(context, "infer nchw f32 ?x4x?");
    assert_int_equal(s.builds, 1);
    assert_int_equal(s.disk_rejects, 1);
    clnorm_context_release(context);
    free(blobs.blob);
}

/* ---- Many processes ---- */

extern char **environ;

static void test_many_processes(void **state)
{
    char *const directory = *state;
    const char *const self = getenv(program_path_variable);
    assert_non_null(self);
    pid_t child[PROCESSES];
    char *const arguments[] = {(char *)(uintptr_t)self, (char *)(uintptr_t) "--child", directory,
                               NULL};
    for (int i = 0; i < PROCESSES; i++)
        assert_int_equal(posix_spawn(&child[i], self, NULL, NULL, arguments, environ), 0);
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    struct clnorm_context *const context = open_context(directory, NULL);
    const struct clnorm_statistics s = make_plan(context, "moments nchw f32 ?x4x?");
    assert_int_equal(s.disk_hits, 1);
    clnorm_context_release(context);
}

/* A child of test_many_processes: makes a plan through the shared directory. */
static int child_main(const char *directory)
{
    const struct clnorm_context_options options = {.size = sizeof options,
                                                   .cache_directory = directory};
    struct clnorm_context *context;
    struct clnorm_problem p;
    struct clnorm_plan *plan;
    if (clnorm_context_create(&options, &context, NULL, 0) != CLNORM_OK ||
        clnorm_problem_parse("moments nchw f32 ?x4x?", &p, NULL, 0) != CLNORM_OK ||
        clnorm_plan_create(context, &p, NULL, &plan) != CLNORM_OK)
        return 1;
    const struct clnorm_statistics s = clnorm_context_statistics(context);
    clnorm_plan_release(plan);
    clnorm_context_release(context);
    return s.disk_rejects > 0 || s.disk_failures > 0;
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "--child") == 0)
        return child_main(arguments[2]);
    setenv(program_path_variable, arguments[0], 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_memory_then_disk, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_damage_is_rebuilt, make_directory, remove_directory),
        cmocka_unit_test(test_blob_store),
        cmocka_unit_test_setup_teardown(test_many_processes, make_directory, remove_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
