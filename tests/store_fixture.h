/*
 * What the tests of the disk cache share: a directory of their own per test, keys, and looking at
 * the files behind the store's back.
 */
#ifndef CLNORM_TESTS_STORE_FIXTURE_H
#define CLNORM_TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store.h"
#include "store_entry.h"

enum { PATH_SIZE = 512 };

struct fixture {
    char root[PATH_SIZE];      /* made for this test, removed after it */
    char directory[PATH_SIZE]; /* root/cache, not made yet */
};

/* The two ends of an entry's life in a test. */
static const char payload_text[] = "this stands for a device binary";

static inline void path_of(char path[PATH_SIZE], const char *directory, const char *name)
{
    const int length = snprintf(path, PATH_SIZE, "%s/%s", directory, name);
    assert_in_range(length, 1, PATH_SIZE - 1);
}

static inline int fixture_setup(void **state)
{
    struct fixture *const fixture = calloc(1, sizeof *fixture);
    const char *const base = getenv("TMPDIR");
    assert_non_null(fixture);
    path_of(fixture->root, base && base[0] == '/' ? base : "/tmp", "clnorm-store-XXXXXX");
    assert_non_null(mkdtemp(fixture->root));
    path_of(fixture->directory, fixture->root, "cache");
    *state = fixture;
    return 0;
}

static inline void remove_tree(const char *path)
{
    DIR *const stream = opendir(path);
    if (stream) {
        for (const struct dirent *item = readdir(stream); item; item = readdir(stream)) {
            char below[PATH_SIZE];
            if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0) {
                continue;
            }
            path_of(below, path, item->d_name);
            if (unlink(below) != 0) {
                remove_tree(below);
            }
        }
        (void)closedir(stream);
    }
    (void)rmdir(path);
}

static inline int fixture_teardown(void **state)
{
    struct fixture *const fixture = *state;
    struct stat facts;
    remove_tree(fixture->root);
    const int gone = lstat(fixture->root, &facts) != 0;
    free(fixture);
    return gone ? 0 : -1;
}

#define STORE_TEST(function)                                                                       \
    cmocka_unit_test_setup_teardown(function, fixture_setup, fixture_teardown)

/*
 * A key as the runtime makes them, of a program and a driver version. Free with clnorm__key_free.
 */
static inline struct clnorm__key make_key(const char *program, const char *driver)
{
    const char *field[CLNORM__KEY_FIELD_COUNT];
    struct clnorm__key key;
    for (unsigned i = 0; i < CLNORM__KEY_FIELD_COUNT; i++) {
        field[i] = "";
    }
    field[CLNORM__KEY_PROBLEM] = "infer nchw f32 ?x8x?";
    field[CLNORM__KEY_SOURCE] = program;
    field[CLNORM__KEY_DEVICE_NAME] = "test device";
    field[CLNORM__KEY_DRIVER_VERSION] = driver;
    assert_true(clnorm__key_build(field, &key));
    return key;
}

static inline struct clnorm__store *open_store(const char *directory, uint64_t limit)
{
    const struct clnorm_context_options options = {
        .size = sizeof options,
        .cache_directory = directory,
        .cache_limit = limit,
    };
    struct clnorm__store *store = NULL;
    assert_int_equal(clnorm__store_open(&options, &store), CLNORM_OK);
    return store;
}

static inline void save_text(struct clnorm__store *store, const struct clnorm__key *key)
{
    clnorm__store_save(store, key, payload_text, sizeof payload_text);
}

/* 1: loaded, and it is what save_text saved. 0: a miss. */
static inline int loads_text(struct clnorm__store *store, const struct clnorm__key *key)
{
    void *payload = NULL;
    size_t size = 0;
    if (!clnorm__store_load(store, key, &payload, &size)) {
        assert_null(payload);
        return 0;
    }
    assert_int_equal(size, sizeof payload_text);
    assert_memory_equal(payload, payload_text, size);
    free(payload);
    return 1;
}

static inline void expect_counters(struct clnorm__store *store,
                                   struct clnorm__store_counters expected)
{
    const struct clnorm__store_counters counters = clnorm__store_counters(store);
    assert_int_equal(counters.hits, expected.hits);
    assert_int_equal(counters.rejects, expected.rejects);
    assert_int_equal(counters.failures, expected.failures);
    assert_int_equal(counters.evictions, expected.evictions);
}

static inline void entry_path(char path[PATH_SIZE], const char *directory,
                              const struct clnorm__key *key)
{
    char name[CLNORM__ENTRY_NAME_SIZE];
    clnorm__entry_name(key->bytes, key->size, name);
    path_of(path, directory, name);
}

static inline int exists(const char *path)
{
    struct stat facts;
    return lstat(path, &facts) == 0;
}

static inline unsigned char *read_bytes(const char *path, size_t *size)
{
    FILE *const file = fopen(path, "rb");
    struct stat facts;
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &facts), 0);
    *size = (size_t)facts.st_size;
    unsigned char *const bytes = malloc(*size + 1); /* room for a byte more */
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    assert_int_equal(fclose(file), 0);
    return bytes;
}

/* As a new file of mode 0600, whatever stands there. */
static inline void write_bytes(const char *path, const void *bytes, size_t size)
{
    (void)unlink(path);
    const int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, size), size);
    assert_int_equal(close(file), 0);
}

/* Files whose name ends in `ending`. */
static inline unsigned count_files(const char *directory, const char *ending)
{
    unsigned count = 0;
    DIR *const stream = opendir(directory);
    assert_non_null(stream);
    for (const struct dirent *item = readdir(stream); item; item = readdir(stream)) {
        const size_t length = strlen(item->d_name), end = strlen(ending);
        count += length >= end && strcmp(item->d_name + length - end, ending) == 0;
    }
    (void)closedir(stream);
    return count;
}

#endif
