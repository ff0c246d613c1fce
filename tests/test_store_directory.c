/* Where the cache is, whom it trusts with that, and what makes room in it. */
#define _POSIX_C_SOURCE 200809L

#include "store_fixture.h"

#include <time.h>

#include "store_files.h"

/* ---- Which directory ---- */

struct resolution {
    const char *option, *clnorm, *xdg, *home; /* NULL: not set */
    const char *expected; /* NULL: none. Without a leading '/': below the current directory */
};

static const struct resolution resolutions[] = {
    {"/given", "/clnorm", "/xdg", "/home", "/given"},
    {"below/here", "/clnorm", "/xdg", "/home", "below/here"},
    {"", "/clnorm", "/xdg", "/home", NULL},
    {NULL, "/clnorm", "/xdg", "/home", "/clnorm"},
    {NULL, "", "/xdg", "/home", NULL},
    {NULL, "relative", "/xdg", "/home", "/xdg/clnorm"},
    {NULL, NULL, "/xdg", "/home", "/xdg/clnorm"},
    {NULL, NULL, "", "/home", "/home/.cache/clnorm"},
    {NULL, NULL, "relative", "/home", "/home/.cache/clnorm"},
    {NULL, NULL, NULL, "/home", "/home/.cache/clnorm"},
    {NULL, NULL, NULL, "relative", NULL},
    {NULL, NULL, NULL, "", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static void set_variable(const char *name, const char *value)
{
    assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void set_environment(const char *clnorm, const char *xdg, const char *home)
{
    set_variable("CLNORM_CACHE_DIR", clnorm);
    set_variable("XDG_CACHE_HOME", xdg);
    set_variable("HOME", home);
}

static void directory_is_found_in_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof resolutions / sizeof resolutions[0]; i++) {
        const struct resolution *const row = &resolutions[i];
        char path[2 * PATH_SIZE] = "untouched", expected[2 * PATH_SIZE] = "untouched";
        set_environment(row->clnorm, row->xdg, row->home);
        if (row->expected && row->expected[0] != '/') {
            assert_non_null(getcwd(expected, PATH_SIZE));
            path_of(expected + strlen(expected), "", row->expected);
        } else if (row->expected) {
            path_of(expected, row->expected, "");
            expected[strlen(expected) - 1] = '\0';
        }
        assert_int_equal(clnorm_cache_directory(row->option, path, sizeof path),
                         row->expected ? CLNORM_OK : CLNORM_IO_FAILED);
        assert_string_equal(path, expected);
    }
}

static void path_that_does_not_fit_is_said(void **state)
{
    (void)state;
    char path[7] = "before";
    assert_int_equal(clnorm_cache_directory("/given", path, 6), CLNORM_INVALID_ARGUMENT);
    assert_string_equal(path, "before");
    assert_int_equal(clnorm_cache_directory("/given", NULL, 0), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_cache_directory("/given", path, 7), CLNORM_OK);
    assert_string_equal(path, "/given");
}

static void without_any_directory_nothing_is_kept(void **state)
{
    (void)state;
    struct clnorm__key key = make_key("program", "1");
    struct clnorm__store *store = NULL;
    set_environment(NULL, NULL, NULL);
    assert_int_equal(clnorm__store_open(NULL, &store), CLNORM_OK);
    save_text(store, &key);
    assert_false(loads_text(store, &key));
    clnorm__store_reject(store, &key);
    expect_counters(store, (struct clnorm__store_counters){.rejects = 1});
    clnorm__store_close(store);
    clnorm__store_close(NULL);
    clnorm__key_free(&key);
}

/* ---- Making and trusting it ---- */

static void missing_directories_are_made_private(void **state)
{
    const struct fixture *const fixture = *state;
    char home[PATH_SIZE], parent[PATH_SIZE], path[PATH_SIZE], entry[PATH_SIZE];
    struct clnorm__key key = make_key("program", "1");
    struct stat facts;
    path_of(home, fixture->root, "home");
    path_of(parent, home, ".cache");
    path_of(path, parent, "clnorm");
    set_environment(NULL, NULL, home);
    struct clnorm__store *const store = open_store(NULL, 0);
    const mode_t kept = umask(0);
    save_text(store, &key);
    (void)umask(kept);
    assert_true(loads_text(store, &key));
    const char *const made[] = {home, parent, path};
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        assert_int_equal(stat(made[i], &facts), 0);
        assert_int_equal(facts.st_mode & 07777, 0700);
    }
    entry_path(entry, path, &key);
    assert_int_equal(stat(entry, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0600);
    clnorm__store_close(store);
    clnorm__key_free(&key);
}

/* Saving there is a failure, loading a miss; whoever put an entry there is not believed. */
static void expect_no_use(const char *directory)
{
    struct clnorm__key key = make_key("program", "1");
    struct clnorm__store *const store = open_store(directory, 0);
    assert_false(loads_text(store, &key));
    save_text(store, &key);
    assert_false(loads_text(store, &key));
    expect_counters(store, (struct clnorm__store_counters){.failures = 1});
    clnorm__store_close(store);
    clnorm__key_free(&key);
}

static void directory_open_to_others_is_refused(void **state)
{
    const struct fixture *const fixture = *state;
    static const mode_t modes[] = {0770, 0702, 01777};
    struct clnorm__key key = make_key("program", "1");
    struct clnorm__store *const store = open_store(fixture->directory, 0);
    save_text(store, &key);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(fixture->directory, modes[i]), 0);
        expect_no_use(fixture->directory);
        assert_int_equal(clnorm_cache_clear(fixture->directory, NULL), CLNORM_IO_FAILED);
    }
    assert_int_equal(chmod(fixture->directory, 0755), 0);
    assert_true(loads_text(store, &key));
    clnorm__store_close(store);
    clnorm__key_free(&key);
}

static void directory_of_someone_else_is_refused(void **state)
{
    const struct fixture *const fixture = *state;
    if (geteuid() != 0) {
        print_message("only root can give directories away: skipped\n");
        skip();
    }
    assert_int_equal(mkdir(fixture->directory, 0700), 0);
    assert_int_equal(chown(fixture->directory, 65534, (gid_t)-1), 0);
    expect_no_use(fixture->directory);
}

/* No permission bits involved: these bind root as well. */
static void directory_that_cannot_be_made_is_a_failure(void **state)
{
    const struct fixture *const fixture = *state;
    char path[PATH_SIZE];
    write_bytes(fixture->directory, "a file", 6);
    expect_no_use(fixture->directory);
    path_of(path, fixture->directory, "below");
    expect_no_use(path);
    assert_int_equal(unlink(fixture->directory), 0);
    assert_int_equal(symlink("cache", fixture->directory), 0); /* to itself */
    expect_no_use(fixture->directory);
}

static void directory_removed_meanwhile_is_made_again(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm__key key = make_key("program", "1");
    struct clnorm__store *const store = open_store(fixture->directory, 0);
    save_text(store, &key);
    remove_tree(fixture->directory);
    assert_false(loads_text(store, &key));
    save_text(store, &key);
    assert_true(loads_text(store, &key));
    expect_counters(store, (struct clnorm__store_counters){.hits = 1});
    clnorm__store_close(store);
    clnorm__key_free(&key);
}

/* ---- Making room ---- */

enum { KEYS = 5 };

struct room {
    struct clnorm__key keys[KEYS];
    char paths[KEYS][PATH_SIZE];
    uint64_t bytes; /* of one entry; all are the same */
};

static void age_file(const char *path, time_t seconds)
{
    const time_t then = time(NULL) - seconds;
    const struct timespec times[2] = {{.tv_sec = then}, {.tv_sec = then}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* Saves all but the last key, each used a minute after the one before it. */
static struct room room_begin(const struct fixture *fixture)
{
    struct room room;
    struct clnorm__store *const store = open_store(fixture->directory, 0);
    for (int i = 0; i < KEYS; i++) {
        const char program[] = {'p', (char)('0' + i), '\0'};
        room.keys[i] = make_key(program, "1");
        entry_path(room.paths[i], fixture->directory, &room.keys[i]);
        if (i < KEYS - 1) {
            save_text(store, &room.keys[i]);
            age_file(room.paths[i], 60 * (KEYS - i));
        }
    }
    clnorm__store_close(store);
    room.bytes = CLNORM__ENTRY_HEADER_SIZE + room.keys[0].size + sizeof payload_text;
    return room;
}

static void room_end(struct room *room)
{
    for (int i = 0; i < KEYS; i++) {
        clnorm__key_free(&room->keys[i]);
    }
}

/* Saves the last key under a limit; `left` has a 1 for each entry that must then be there. */
static void expect_left(const struct fixture *fixture, struct room *room, uint64_t limit,
                        const char left[KEYS + 1])
{
    struct clnorm__store *const store = open_store(fixture->directory, limit);
    uint64_t evicted = 0;
    save_text(store, &room->keys[KEYS - 1]);
    for (int i = 0; i < KEYS; i++) {
        assert_int_equal(exists(room->paths[i]), left[i] == '1');
        evicted += left[i] != '1';
    }
    expect_counters(store, (struct clnorm__store_counters){.evictions = evicted});
    clnorm__store_close(store);
}

static void room_for_all_evicts_none(void **state)
{
    struct room room = room_begin(*state);
    expect_left(*state, &room, KEYS * room.bytes, "11111");
    room_end(&room);
}

static void oldest_goes_first(void **state)
{
    struct room room = room_begin(*state);
    expect_left(*state, &room, KEYS * room.bytes - 1, "01111");
    room_end(&room);
}

static void use_saves_an_old_entry(void **state)
{
    const struct fixture *const fixture = *state;
    struct room room = room_begin(fixture);
    struct clnorm__store *const store = open_store(fixture->directory, 0);
    assert_true(loads_text(store, &room.keys[0]));
    clnorm__store_close(store);
    expect_left(fixture, &room, 3 * room.bytes, "10011");
    room_end(&room);
}

static void new_entry_stays_whatever_the_limit(void **state)
{
    struct room room = room_begin(*state);
    expect_left(*state, &room, 1, "00001");
    room_end(&room);
}

/* Even when its time of use is the oldest: a clock may be wrong. */
static void new_entry_stays_whatever_the_clock(void **state)
{
    const struct fixture *const fixture = *state;
    struct room room = room_begin(fixture);
    char name[CLNORM__ENTRY_NAME_SIZE];
    clnorm__entry_name(room.keys[0].bytes, room.keys[0].size, name);
    const int directory = clnorm__directory_open(fixture->directory, 0);
    assert_true(directory >= 0);
    assert_int_equal(clnorm__files_evict(directory, name, 2 * room.bytes), 2);
    assert_int_equal(close(directory), 0);
    assert_true(exists(room.paths[0]) && !exists(room.paths[1]) && !exists(room.paths[2]) &&
                exists(room.paths[3]));
    room_end(&room);
}

/* What eviction must leave alone, and what killed writers left an hour and longer ago. */
static void only_our_files_are_evicted(void **state)
{
    static const struct {
        const char *name;
        time_t age;
        int stays;
    } files[] = {
        {"notes.txt", 9999, 1},
        {"0123456789abcdef0123456789abcde.clnorm", 9999, 1},   /* a digit short */
        {"0123456789abcdef0123456789abcdef0.clnorm", 9999, 1}, /* one too many */
        {"0123456789ABCDEF0123456789ABCDEF.clnorm", 9999, 1},
        {"0123456789abcdef0123456789abcdef.clnorm~", 9999, 1},
        {".clnorm-00000001-0123456789abcdef.tmp.old", 9999, 1},
        {".clnorm-00000001-0123456789abcdef.tmp", 3500, 1},
        {".clnorm-00000002-0123456789abcdef.tmp", 3700, 0},
    };
    const size_t count = sizeof files / sizeof files[0];
    const struct fixture *const fixture = *state;
    struct room room = room_begin(fixture);
    char path[PATH_SIZE];
    for (size_t i = 0; i < count; i++) {
        path_of(path, fixture->directory, files[i].name);
        write_bytes(path, "not an entry", 12);
        age_file(path, files[i].age);
    }
    expect_left(fixture, &room, 1, "00001");
    for (size_t i = 0; i < count; i++) {
        path_of(path, fixture->directory, files[i].name);
        assert_int_equal(exists(path), files[i].stays);
    }
    room_end(&room);
}

/* The pattern by which stale files are known must be that of the files that are made. */
static void temporary_names_are_known(void **state)
{
    const struct fixture *const fixture = *state;
    char name[CLNORM__TEMPORARY_NAME_SIZE], path[PATH_SIZE];
    size_t removed = 99;
    assert_int_equal(mkdir(fixture->directory, 0700), 0);
    clnorm__temporary_name(name);
    path_of(path, fixture->directory, name);
    write_bytes(path, "half", 4);
    assert_int_equal(clnorm_cache_clear(fixture->directory, &removed), CLNORM_OK);
    assert_false(exists(path));
    assert_int_equal(removed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directory_is_found_in_order),
        cmocka_unit_test(path_that_does_not_fit_is_said),
        cmocka_unit_test(without_any_directory_nothing_is_kept),
        STORE_TEST(missing_directories_are_made_private),
        STORE_TEST(directory_open_to_others_is_refused),
        STORE_TEST(directory_of_someone_else_is_refused),
        STORE_TEST(directory_that_cannot_be_made_is_a_failure),
        STORE_TEST(directory_removed_meanwhile_is_made_again),
        STORE_TEST(room_for_all_evicts_none),
        STORE_TEST(oldest_goes_first),
        STORE_TEST(use_saves_an_old_entry),
        STORE_TEST(new_entry_stays_whatever_the_limit),
        STORE_TEST(new_entry_stays_whatever_the_clock),
        STORE_TEST(only_our_files_are_evicted),
        STORE_TEST(temporary_names_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
