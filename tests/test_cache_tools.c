/* The public functions that list and empty the disk cache. */
#define _POSIX_C_SOURCE 200809L

#include "store_fixture.h"

#include <time.h>

enum { SEEN = 8 };

struct seen {
    struct {
        char path[PATH_SIZE], problem[128], device[128];
        uint64_t bytes;
        int64_t used;
        int valid;
    } entries[SEEN];
    unsigned count, stop_after;
};

static int note(void *user, const struct clnorm_cache_entry *entry)
{
    struct seen *const seen = user;
    assert_true(seen->count < SEEN);
    seen->entries[seen->count].bytes = entry->bytes;
    seen->entries[seen->count].used = entry->used;
    seen->entries[seen->count].valid = entry->valid;
    (void)snprintf(seen->entries[seen->count].path, PATH_SIZE, "%s", entry->path);
    (void)snprintf(seen->entries[seen->count].problem, 128, "%s", entry->problem);
    (void)snprintf(seen->entries[seen->count].device, 128, "%s", entry->device);
    seen->count++;
    return seen->count == seen->stop_after;
}

static struct seen visit(const char *directory, unsigned stop_after)
{
    struct seen seen = {.stop_after = stop_after};
    assert_int_equal(clnorm_cache_visit(directory, note, &seen), CLNORM_OK);
    return seen;
}

/* An entry of a key, saved, and used `age` seconds ago. */
static void put_entry(const struct fixture *fixture, const struct clnorm__key *key, time_t age,
                      char path[PATH_SIZE])
{
    struct clnorm__store *const store = open_store(fixture->directory, 0);
    const struct timespec then = {.tv_sec = time(NULL) - age};
    const struct timespec times[2] = {then, then};
    save_text(store, key);
    entry_path(path, fixture->directory, key);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    clnorm__store_close(store);
}

static void entries_are_described(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm__key key = make_key("program", "1");
    char path[PATH_SIZE];
    put_entry(fixture, &key, 1000, path);
    const struct seen seen = visit(fixture->directory, 0);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.entries[0].path, path);
    assert_string_equal(seen.entries[0].problem, "infer nchw f32 ?x8x?");
    assert_string_equal(seen.entries[0].device, "test device");
    assert_int_equal(seen.entries[0].bytes,
                     CLNORM__ENTRY_HEADER_SIZE + key.size + sizeof payload_text);
    assert_in_range(time(NULL) - seen.entries[0].used, 999, 1100);
    assert_int_equal(seen.entries[0].valid, 1);
    assert_int_equal(visit(fixture->directory, 0).entries[0].used,
                     seen.entries[0].used); /* looking is not using */
    clnorm__key_free(&key);
}

static void least_recently_used_comes_first(void **state)
{
    const struct fixture *const fixture = *state;
    static const time_t ages[] = {100, 300, 200};
    static const unsigned order[] = {1, 2, 0};
    char paths[3][PATH_SIZE];
    for (unsigned i = 0; i < 3; i++) {
        const char program[] = {(char)('a' + i), '\0'};
        struct clnorm__key key = make_key(program, "1");
        put_entry(fixture, &key, ages[i], paths[i]);
        clnorm__key_free(&key);
    }
    const struct seen all = visit(fixture->directory, 0);
    assert_int_equal(all.count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_string_equal(all.entries[i].path, paths[order[i]]);
    }
    assert_int_equal(visit(fixture->directory, 2).count, 2); /* a visit that has seen enough */
}

/*
 * Damaged, misnamed, of another library version, and no file at all: each shown as it is, none
 * touched.
 */
static void unsound_entries_are_shown_as_such(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm__key key = make_key("program", "1");
    char path[PATH_SIZE], other[PATH_SIZE];
    size_t size = 0, length = 0;
    put_entry(fixture, &key, 0, path);
    unsigned char *const bytes = read_bytes(path, &size);

    bytes[size - 1] ^= 1;
    write_bytes(path, bytes, size);
    struct seen seen = visit(fixture->directory, 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.entries[0].valid, 0);
    assert_string_equal(seen.entries[0].problem, "");
    assert_string_equal(seen.entries[0].device, "");
    assert_true(exists(path));
    bytes[size - 1] ^= 1;

    assert_int_equal(unlink(path), 0);
    path_of(other, fixture->directory, "0123456789abcdef0123456789abcdef.clnorm");
    write_bytes(other, bytes, size);
    assert_int_equal(visit(fixture->directory, 0).entries[0].valid, 0);
    assert_int_equal(unlink(other), 0);

    const char *const version =
        clnorm__key_field(key.bytes, key.size, CLNORM__KEY_LIBRARY, &length);
    assert_non_null(version);
    ((unsigned char *)key.bytes)[version - (const char *)key.bytes] ^= 1;
    put_entry(fixture, &key, 0, path);
    seen = visit(fixture->directory, 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.entries[0].valid, 0);
    assert_string_equal(seen.entries[0].problem, "infer nchw f32 ?x8x?");

    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    (void)alarm(20);
    seen = visit(fixture->directory, 0);
    (void)alarm(0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.entries[0].valid, 0);
    free(bytes);
    clnorm__key_free(&key);
}

static void clearing_removes_ours_only(void **state)
{
    static const char *const foreign[] = {"notes.txt", "abc.clnorm", ".clnorm-1.tmp"};
    const struct fixture *const fixture = *state;
    char path[PATH_SIZE];
    size_t removed = 99;
    for (unsigned i = 0; i < 200; i++) {
        char program[8];
        (void)snprintf(program, sizeof program, "p%u", i);
        struct clnorm__key key = make_key(program, "1");
        put_entry(fixture, &key, 0, path);
        clnorm__key_free(&key);
    }
    path_of(path, fixture->directory, ".clnorm-00000001-0123456789abcdef.tmp");
    write_bytes(path, "half", 4);
    for (size_t i = 0; i < 3; i++) {
        path_of(path, fixture->directory, foreign[i]);
        write_bytes(path, "mine", 4);
    }
    assert_int_equal(clnorm_cache_clear(fixture->directory, &removed), CLNORM_OK);
    assert_int_equal(removed, 200);
    for (size_t i = 0; i < 3; i++) {
        path_of(path, fixture->directory, foreign[i]);
        assert_true(exists(path));
    }
    assert_int_equal(visit(fixture->directory, 0).count, 0);
    assert_int_equal(count_files(fixture->directory, ".tmp"), 1); /* the foreign one */
    assert_int_equal(clnorm_cache_clear(fixture->directory, NULL), CLNORM_OK);
}

static void missing_directory_has_no_entries(void **state)
{
    const struct fixture *const fixture = *state;
    size_t removed = 99;
    assert_int_equal(visit(fixture->directory, 0).count, 0);
    assert_int_equal(clnorm_cache_clear(fixture->directory, &removed), CLNORM_OK);
    assert_int_equal(removed, 0);
    assert_false(exists(fixture->directory));
}

static void wrong_arguments_are_said(void **state)
{
    const struct fixture *const fixture = *state;
    struct seen seen = {0};
    size_t removed = 99;
    static const char *const wrong[] = {NULL, "", "relative"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(clnorm_cache_visit(wrong[i], note, &seen), CLNORM_INVALID_ARGUMENT);
        assert_int_equal(clnorm_cache_clear(wrong[i], &removed), CLNORM_INVALID_ARGUMENT);
    }
    assert_int_equal(clnorm_cache_visit(fixture->directory, NULL, NULL), CLNORM_INVALID_ARGUMENT);
    write_bytes(fixture->directory, "a file", 6);
    assert_int_equal(clnorm_cache_visit(fixture->directory, note, &seen), CLNORM_IO_FAILED);
    assert_int_equal(clnorm_cache_clear(fixture->directory, &removed), CLNORM_IO_FAILED);
    assert_int_equal(removed, 99);
    assert_int_equal(seen.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(entries_are_described),
        STORE_TEST(least_recently_used_comes_first),
        STORE_TEST(unsound_entries_are_shown_as_such),
        STORE_TEST(clearing_removes_ours_only),
        STORE_TEST(missing_directory_has_no_entries),
        STORE_TEST(wrong_arguments_are_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
