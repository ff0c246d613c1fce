/*
 * Out of memory: each allocation of a use of the cache fails in turn, once and from then on.
 */
#define _POSIX_C_SOURCE 200809L

#include "failing_memory.h"
#include "store_fixture.h"

static int look(void *user, const struct clnorm_cache_entry *entry)
{
    unsigned *const seen = user;
    *seen += entry->valid != 0;
    return 0;
}

/*
 * One use of everything; answers may be misses, failures or CLNORM_OUT_OF_MEMORY, never anything
 * else. Returns how many allocations it made. The entry of `kept` must be neither lost nor held to
 * be bad.
 */
static unsigned use_all(const char *directory, const struct clnorm__key *kept,
                        const struct clnorm__key *added, unsigned fails, int for_good)
{
    struct clnorm__store *store = NULL;
    const struct clnorm_context_options options = {.size = sizeof options,
                                                   .cache_directory = directory};
    unsigned seen = 0;
    int loaded = 0;
    void *payload = NULL;
    size_t size = 0;
    struct clnorm__store_counters counters = {0};

    memory.made = 0;
    memory.for_good = for_good;
    memory.fails = fails;
    const enum clnorm_status opened = clnorm__store_open(&options, &store);
    if (opened == CLNORM_OK) {
        clnorm__store_save(store, added, payload_text, sizeof payload_text);
        loaded = clnorm__store_load(store, kept, &payload, &size);
        counters = clnorm__store_counters(store);
    }
    const enum clnorm_status visited = clnorm_cache_visit(directory, look, &seen);
    memory.fails = 0;

    assert_true(opened == CLNORM_OK || (opened == CLNORM_OUT_OF_MEMORY && !store));
    assert_true(visited == CLNORM_OK || visited == CLNORM_OUT_OF_MEMORY ||
                visited == CLNORM_IO_FAILED);
    assert_true(visited != CLNORM_OK || seen >= 1);
    assert_true(!loaded ||
                (size == sizeof payload_text && memcmp(payload, payload_text, size) == 0));
    assert_int_equal(counters.rejects, 0);
    assert_int_equal(counters.hits, loaded);
    assert_in_range(counters.failures, 0, 1);
    free(payload);
    clnorm__store_close(store);
    return memory.made;
}

static void every_allocation_fails_in_turn(void **state)
{
    const struct fixture *const fixture = *state;
    struct clnorm__key kept = make_key("program", "1"), added = make_key("program", "2");
    struct clnorm__store *const store = open_store(fixture->directory, 0);
    save_text(store, &kept);
    const unsigned allocations = use_all(fixture->directory, &kept, &added, 0, 0);
    assert_true(allocations > 5);
    for (int for_good = 0; for_good <= 1; for_good++) {
        for (unsigned i = 1; i <= allocations; i++) {
            (void)use_all(fixture->directory, &kept, &added, i, for_good);
            assert_true(loads_text(store, &kept));
            assert_int_equal(count_files(fixture->directory, ".tmp"), 0);
        }
    }
    clnorm__store_close(store);
    clnorm__key_free(&kept);
    clnorm__key_free(&added);
}

static void key_without_memory_is_refused(void **state)
{
    (void)state;
    const char *field[CLNORM__KEY_FIELD_COUNT];
    struct clnorm__key key = {0};
    for (unsigned i = 0; i < CLNORM__KEY_FIELD_COUNT; i++) {
        field[i] = "text";
    }
    memory.made = 0;
    memory.for_good = 0;
    memory.fails = 1;
    assert_false(clnorm__key_build(field, &key));
    memory.fails = 0;
    assert_null(key.bytes);
}

static void path_without_memory_is_said(void **state)
{
    (void)state;
    static const char *const paths[] = {"/absolute", "relative"};
    for (unsigned i = 0; i < 3;
         i++) { /* the first allocation of both, and the second of the relative one */
        char path[PATH_SIZE] = "untouched";
        memory.made = 0;
        memory.for_good = 0;
        memory.fails = 1 + i / 2;
        const enum clnorm_status status = clnorm_cache_directory(paths[i != 0], path, sizeof path);
        memory.fails = 0;
        assert_int_equal(status, CLNORM_OUT_OF_MEMORY);
        assert_string_equal(path, "untouched");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(every_allocation_fails_in_turn),
        cmocka_unit_test(key_without_memory_is_refused),
        cmocka_unit_test(path_without_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
