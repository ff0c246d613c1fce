/* One process and the store: hits, misses, and everything that can be wrong with an entry. */
#define _POSIX_C_SOURCE 200809L

#include "store_fixture.h"

#include <sys/resource.h>

#include <sys/wait.h>

/* ---- The ordinary way ---- */

static void saved_is_found_again(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm__key key = make_key("program", "1");
    struct clnorm__store *store = open_store(fixture->directory, 0);
    assert_false(
        exists(fixture->directory)); /* nothing is made before there is something to keep */
    assert_false(loads_text(store, &key));
    assert_false(exists(fixture->directory));
    save_text(store, &key);
    assert_true(loads_text(store, &key));
    expect_counters(store, (struct clnorm__store_counters){.hits = 1});
    clnorm__store_close(store);

    store = open_store(fixture->directory, 0);
    assert_true(loads_text(store, &key));
    assert_int_equal(count_files(fixture->directory, ".tmp"), 0);
    clnorm__store_close(store);
    clnorm__key_free(&key);
}

static void saving_again_replaces(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm__key key = make_key("program", "1");
    struct clnorm__store *const store = open_store(fixture->directory, 0);
    clnorm__store_save(store, &key, "old", 3);
    save_text(store, &key);
    assert_true(loads_text(store, &key));
    assert_int_equal(count_files(fixture->directory, ".clnorm"), 1);
    expect_counters(store, (struct clnorm__store_counters){.hits = 1});
    clnorm__store_close(store);
    clnorm__key_free(&key);
}

static void another_driver_misses_and_keeps_the_old_entry(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm__key before = make_key("program", "1.0"), after = make_key("program", "1.1");
    struct clnorm__store *const store = open_store(fixture->directory, 0);
    save_text(store, &before);
    assert_false(loads_text(store, &after));
    expect_counters(store, (struct clnorm__store_counters){0});
    assert_true(loads_text(store, &before));
    clnorm__store_close(store);
    clnorm__key_free(&before);
    clnorm__key_free(&after);
}

/*
 * The key is compared, not only the file's name: an entry renamed to another key's name is
 * refused.
 */
static void entry_of_another_key_is_refused(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm__key one = make_key("program", "1"), two = make_key("program", "2");
    struct clnorm__store *const store = open_store(fixture->directory, 0);
    char from[PATH_SIZE], to[PATH_SIZE];
    save_text(store, &one);
    entry_path(from, fixture->directory, &one);
    entry_path(to, fixture->directory, &two);
    assert_int_equal(rename(from, to), 0);
    assert_false(loads_text(store, &two));
    assert_false(exists(to));
    expect_counters(store, (struct clnorm__store_counters){.rejects = 1});
    clnorm__store_close(store);
    clnorm__key_free(&one);
    clnorm__key_free(&two);
}

static void driver_refusal_removes_and_takes_back_the_hit(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm__key key = make_key("program", "1");
    struct clnorm__store *const store = open_store(fixture->directory, 0);
    save_text(store, &key);
    assert_true(loads_text(store, &key));
    clnorm__store_reject(store, &key);
    expect_counters(store, (struct clnorm__store_counters){.rejects = 1});
    assert_false(loads_text(store, &key));
    expect_counters(store, (struct clnorm__store_counters){.rejects = 1});
    clnorm__store_close(store);
    clnorm__key_free(&key);
}

static void empty_and_oversized_payloads_are_failures(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm__key key = make_key("program", "1");
    struct clnorm__store *const store = open_store(fixture->directory, 0);
    clnorm__store_save(store, &key, payload_text, 0);
    clnorm__store_save(store, &key, payload_text,
                       (size_t)CLNORM__ENTRY_LIMIT); /* refused before it is read */
    clnorm__store_save(store, &key, payload_text, SIZE_MAX);
    expect_counters(store, (struct clnorm__store_counters){.failures = 3});
    assert_false(exists(fixture->directory));
    clnorm__store_close(store);
    clnorm__key_free(&key);
}

/* ---- Damaged entries ---- */

struct damage {
    struct clnorm__store *store;
    struct clnorm__key key;
    char path[PATH_SIZE];
    unsigned char *bytes; /* of the sound entry, with room for one more */
    size_t size;
    uint64_t rejects;
};

static struct damage damage_begin(const struct fixture *fixture)
{
    struct damage damage = {.store = open_store(fixture->directory, 0),
                            .key = make_key("program", "1")};
    save_text(damage.store, &damage.key);
    entry_path(damage.path, fixture->directory, &damage.key);
    damage.bytes = read_bytes(damage.path, &damage.size);
    return damage;
}

/* What now stands at the path must miss, be counted and be gone. */
static void expect_refused(struct damage *damage)
{
    damage->rejects++;
    if (loads_text(damage->store, &damage->key) || exists(damage->path)) {
        fail_msg("damage number %llu was not refused and removed",
                 (unsigned long long)damage->rejects);
    }
    const uint64_t hits = clnorm__store_counters(damage->store).hits;
    expect_counters(damage->store,
                    (struct clnorm__store_counters){.hits = hits, .rejects = damage->rejects});
}

static void damage_end(struct damage *damage)
{
    save_text(damage->store, &damage->key);
    assert_true(loads_text(damage->store, &damage->key));
    clnorm__store_close(damage->store);
    clnorm__key_free(&damage->key);
    free(damage->bytes);
}

static void put_number(unsigned char *bytes, uint64_t number)
{
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(number >> (8 * i));
    }
}

static void every_flipped_byte_is_found(void **state)
{
    struct damage damage = damage_begin(*state);
    static const unsigned char masks[] = {0x01, 0x80, 0xff};
    for (size_t i = 0; i < damage.size; i++) {
        for (size_t m = 0; m < sizeof masks; m++) {
            damage.bytes[i] ^= masks[m];
            write_bytes(damage.path, damage.bytes, damage.size);
            damage.bytes[i] ^= masks[m];
            expect_refused(&damage);
        }
    }
    assert_int_equal(damage.rejects, 3 * damage.size);
    damage_end(&damage);
}

static void every_truncation_is_found(void **state)
{
    struct damage damage = damage_begin(*state);
    for (size_t size = 0; size < damage.size; size++) {
        write_bytes(damage.path, damage.bytes, size);
        expect_refused(&damage);
    }
    damage_end(&damage);
}

static void appended_bytes_are_found(void **state)
{
    struct damage damage = damage_begin(*state);
    damage.bytes[damage.size] = 0;
    write_bytes(damage.path, damage.bytes, damage.size + 1);
    expect_refused(&damage);
    damage_end(&damage);
}

/*
 * Sizes that claim the world, with a digest that is right for them: nothing near them may be
 * allocated.
 */
static void claimed_sizes_are_not_believed(void **state)
{
    static const uint64_t claims[] = {UINT64_MAX, UINT64_MAX - CLNORM__ENTRY_HEADER_SIZE,
                                      UINT64_C(1) << 63, UINT64_C(1) << 40, CLNORM__ENTRY_LIMIT};
    struct damage damage = damage_begin(*state);
    for (size_t at = 32; at <= 40; at += 8) { /* key, then payload */
        for (size_t c = 0; c < sizeof claims / sizeof claims[0]; c++) {
            unsigned char *const copy = malloc(damage.size);
            assert_non_null(copy);
            memcpy(copy, damage.bytes, damage.size);
            put_number(copy + at, claims[c]);
            clnorm__envelope_seal(copy, damage.size);
            write_bytes(damage.path, copy, damage.size);
            expect_refused(&damage);
            free(copy);
        }
    }
    damage_end(&damage);
}

/*
 * The two sizes are right in sum only: the border between key and payload moved, or beyond the end
 * and back by wrapping.
 */
static void sizes_must_be_right_one_by_one(void **state)
{
    struct damage damage = damage_begin(*state);
    struct clnorm__entry entry;
    const uint64_t key = damage.key.size, payload = sizeof payload_text;
    assert_true(clnorm__entry_parse(damage.bytes, damage.size, &entry));

    put_number(damage.bytes + 32, key - 1);
    put_number(damage.bytes + 40, payload + 1);
    assert_false(clnorm__entry_parse(damage.bytes, damage.size,
                                     &entry)); /* the digest is of the old sizes */
    clnorm__envelope_seal(damage.bytes, damage.size);
    assert_true(clnorm__entry_parse(damage.bytes, damage.size, &entry));
    assert_false(clnorm__entry_has_key(&entry, &damage.key));
    write_bytes(damage.path, damage.bytes, damage.size);
    expect_refused(&damage);

    put_number(damage.bytes + 32, key + payload + 8);
    put_number(damage.bytes + 40, (uint64_t)0 - 8);
    clnorm__envelope_seal(damage.bytes, damage.size);
    assert_false(clnorm__entry_parse(damage.bytes, damage.size, &entry));
    damage_end(&damage);
}

/* A sparse file of many gigabytes with a header that agrees with its size. */
static void huge_file_is_refused_unread(void **state)
{
    struct damage damage = damage_begin(*state);
    const uint64_t size = UINT64_C(64) << 30,
                   payload = size - CLNORM__ENTRY_HEADER_SIZE - damage.key.size;
    put_number(damage.bytes + 40, payload);
    assert_false(clnorm__entry_header_check(damage.bytes, size));
    write_bytes(damage.path, damage.bytes, damage.size);
    if (sizeof(off_t) < sizeof size || truncate(damage.path, (off_t)size) != 0) {
        print_message(
            "the file system takes no sparse file of 64 GiB: tried with the small one only\n");
    }
    expect_refused(&damage);
    damage_end(&damage);
}

/* ---- Things that are no files of ours ---- */

static void other_permissions_are_refused(void **state)
{
    static const mode_t modes[] = {0620, 0602, 0666, 0660};
    struct damage damage = damage_begin(*state);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        write_bytes(damage.path, damage.bytes, damage.size);
        assert_int_equal(chmod(damage.path, modes[i]), 0);
        expect_refused(&damage);
    }
    write_bytes(damage.path, damage.bytes, damage.size);
    assert_int_equal(chmod(damage.path, 0644), 0); /* others may read */
    assert_true(loads_text(damage.store, &damage.key));
    damage_end(&damage);
}

static void other_owner_is_refused(void **state)
{
    if (geteuid() != 0) {
        print_message("only root can give files away: skipped\n");
        skip();
    }
    struct damage damage = damage_begin(*state);
    write_bytes(damage.path, damage.bytes, damage.size);
    assert_int_equal(chown(damage.path, 65534, (gid_t)-1), 0);
    expect_refused(&damage);
    damage_end(&damage);
}

static void symbolic_link_is_refused(void **state)
{
    const struct fixture *const fixture = *state;
    struct damage damage = damage_begin(fixture);
    char target[PATH_SIZE];
    path_of(target, fixture->root, "target");
    write_bytes(target, damage.bytes, damage.size); /* a sound entry, but not here */
    assert_int_equal(unlink(damage.path), 0);
    assert_int_equal(symlink(target, damage.path), 0);
    expect_refused(&damage);
    assert_true(exists(target));
    damage_end(&damage);
}

/* Opening a FIFO the plain way would wait for a writer that never comes; the alarm ends that. */
static void fifo_is_refused_without_waiting(void **state)
{
    struct damage damage = damage_begin(*state);
    assert_int_equal(unlink(damage.path), 0);
    assert_int_equal(mkfifo(damage.path, 0600), 0);
    (void)alarm(20);
    expect_refused(&damage);
    (void)alarm(0);
    damage_end(&damage);
}

/* It cannot be replaced either, which is a failure to write, and nothing is left behind. */
static void directory_in_place_is_refused(void **state)
{
    const struct fixture *const fixture = *state;
    struct damage damage = damage_begin(fixture);
    assert_int_equal(unlink(damage.path), 0);
    assert_int_equal(mkdir(damage.path, 0700), 0);
    assert_false(loads_text(damage.store, &damage.key));
    save_text(damage.store, &damage.key);
    expect_counters(damage.store, (struct clnorm__store_counters){.rejects = 1, .failures = 1});
    assert_int_equal(count_files(fixture->directory, ".tmp"), 0);
    assert_int_equal(rmdir(damage.path), 0);
    save_text(damage.store, &damage.key);
    assert_true(loads_text(damage.store, &damage.key));
    clnorm__store_close(damage.store);
    clnorm__key_free(&damage.key);
    free(damage.bytes);
}

/* Out of descriptors says nothing about the entry: a miss, but it stays. */
static void passing_errors_keep_the_entry(void **state)
{
    const struct fixture *const fixture = *state;
    struct damage damage = damage_begin(fixture);
    struct rlimit kept;
    const int lowest = open("/dev/null", O_RDONLY);
    assert_true(lowest >= 0);
    assert_int_equal(close(lowest), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &kept), 0);
    struct rlimit limit = kept;
    limit.rlim_cur = (rlim_t)lowest + 1; /* enough for the directory, not for the file in it */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    const int loaded = loads_text(damage.store, &damage.key);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &kept), 0);
    assert_false(loaded);
    assert_true(loads_text(damage.store, &damage.key));
    expect_counters(damage.store, (struct clnorm__store_counters){.hits = 1});
    damage_end(&damage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(saved_is_found_again),
        STORE_TEST(saving_again_replaces),
        STORE_TEST(another_driver_misses_and_keeps_the_old_entry),
        STORE_TEST(entry_of_another_key_is_refused),
        STORE_TEST(driver_refusal_removes_and_takes_back_the_hit),
        STORE_TEST(empty_and_oversized_payloads_are_failures),
        STORE_TEST(every_flipped_byte_is_found),
        STORE_TEST(every_truncation_is_found),
        STORE_TEST(appended_bytes_are_found),
        STORE_TEST(claimed_sizes_are_not_believed),
        STORE_TEST(sizes_must_be_right_one_by_one),
        STORE_TEST(huge_file_is_refused_unread),
        STORE_TEST(other_permissions_are_refused),
        STORE_TEST(other_owner_is_refused),
        STORE_TEST(symbolic_link_is_refused),
        STORE_TEST(fifo_is_refused_without_waiting),
        STORE_TEST(directory_in_place_is_refused),
        STORE_TEST(passing_errors_keep_the_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
