/* The application's own store in place of the disk. */
#define _POSIX_C_SOURCE 200809L

#include "store_fixture.h"

#include <pthread.h>

/* Holds one blob, whatever the key, and notices being called by two threads at once. */
struct shelf {
    unsigned char *blob;
    size_t size;
    unsigned gets, sets;
    int refuse_sets;
    int claim_nothing; /* get says 1 without a blob */
    int busy, collided;
};

/* Not atomic on purpose: the store's lock must be what keeps this right, and TSan watches. */
static void enter(struct shelf *shelf)
{
    shelf->collided += shelf->busy;
    shelf->busy = 1;
}

static int shelf_get(void *user, const void *key, size_t key_size, void **blob, size_t *blob_size)
{
    struct shelf *const shelf = user;
    enter(shelf);
    shelf->gets++;
    const int has = key && key_size > 0 && shelf->blob && !shelf->claim_nothing;
    if (has) {
        *blob = malloc(shelf->size ? shelf->size : 1);
        memcpy(*blob, shelf->blob, shelf->size);
        *blob_size = shelf->size;
    }
    shelf->busy = 0;
    return has || shelf->claim_nothing;
}

static int shelf_set(void *user, const void *key, size_t key_size, const void *blob,
                     size_t blob_size)
{
    struct shelf *const shelf = user;
    enter(shelf);
    shelf->sets++;
    const int stores = key && key_size > 0 && !shelf->refuse_sets;
    if (stores) {
        free(shelf->blob);
        shelf->blob = malloc(blob_size);
        memcpy(shelf->blob, blob, blob_size);
        shelf->size = blob_size;
    }
    shelf->busy = 0;
    return stores;
}

/* With a cache_directory too, which must then stay unused. */
static struct clnorm__store *open_on_shelf(const struct fixture *fixture, struct shelf *shelf,
                                           int get, int set)
{
    const struct clnorm_context_options options = {
        .size = sizeof options,
        .cache_directory = fixture->directory,
        .store = {.get = get ? shelf_get : NULL, .set = set ? shelf_set : NULL, .user = shelf},
    };
    struct clnorm__store *store = NULL;
    assert_int_equal(clnorm__store_open(&options, &store), CLNORM_OK);
    return store;
}

static void blobs_replace_the_disk(void **state)
{
    const struct fixture *const fixture = *state;
    struct shelf shelf = {0};
    struct clnorm__key key = make_key("program", "1"), other = make_key("program", "2");
    struct clnorm__store *const store = open_on_shelf(fixture, &shelf, 1, 1);
    assert_false(loads_text(store, &key));
    save_text(store, &key);
    assert_int_equal(shelf.size, CLNORM__ENTRY_HEADER_SIZE + key.size + sizeof payload_text);
    assert_true(loads_text(store, &key));
    expect_counters(store, (struct clnorm__store_counters){.hits = 1});
    assert_false(loads_text(store, &other)); /* the shelf hands out the wrong entry */
    expect_counters(store, (struct clnorm__store_counters){.hits = 1, .rejects = 1});
    clnorm__store_reject(store, &key);
    expect_counters(store, (struct clnorm__store_counters){.rejects = 2});
    assert_false(exists(fixture->directory));
    clnorm__store_close(store);
    clnorm__key_free(&key);
    clnorm__key_free(&other);
    free(shelf.blob);
}

static void damaged_blobs_are_refused(void **state)
{
    struct shelf shelf = {0};
    struct clnorm__key key = make_key("program", "1");
    struct clnorm__store *const store = open_on_shelf(*state, &shelf, 1, 1);
    save_text(store, &key);
    const size_t size = shelf.size;
    uint64_t rejects = 0;
    for (size_t i = 0; i < size; i++) {
        shelf.blob[i] ^= 0x10;
        assert_false(loads_text(store, &key));
        shelf.blob[i] ^= 0x10;
        shelf.size = i;
        assert_false(loads_text(store, &key));
        shelf.size = size;
        rejects += 2;
        expect_counters(store, (struct clnorm__store_counters){.rejects = rejects});
    }
    shelf.claim_nothing = 1;
    assert_false(loads_text(store, &key));
    shelf.claim_nothing = 0;
    assert_true(loads_text(store, &key));
    expect_counters(store, (struct clnorm__store_counters){.hits = 1, .rejects = rejects + 1});
    clnorm__store_close(store);
    clnorm__key_free(&key);
    free(shelf.blob);
}

static void half_a_store_is_used_by_half(void **state)
{
    const struct fixture *const fixture = *state;
    struct shelf shelf = {0};
    struct clnorm__key key = make_key("program", "1");
    struct clnorm__store *store = open_on_shelf(fixture, &shelf, 0, 1);
    save_text(store, &key);
    assert_false(loads_text(store, &key));
    expect_counters(store, (struct clnorm__store_counters){0});
    clnorm__store_close(store);
    store = open_on_shelf(fixture, &shelf, 1, 0);
    assert_true(loads_text(store, &key));
    save_text(store, &key);
    expect_counters(store, (struct clnorm__store_counters){.hits = 1});
    clnorm__store_close(store);
    assert_int_equal(shelf.gets, 1);
    assert_int_equal(shelf.sets, 1);
    assert_false(exists(fixture->directory));
    clnorm__key_free(&key);
    free(shelf.blob);
}

static void refused_blob_is_a_failure(void **state)
{
    struct shelf shelf = {.refuse_sets = 1};
    struct clnorm__key key = make_key("program", "1");
    struct clnorm__store *const store = open_on_shelf(*state, &shelf, 1, 1);
    save_text(store, &key);
    expect_counters(store, (struct clnorm__store_counters){.failures = 1});
    clnorm__store_close(store);
    clnorm__key_free(&key);
}

enum { THREADS = 8, ROUNDS = 500 };

static void *save_and_load(void *argument)
{
    struct clnorm__store *const store = argument;
    struct clnorm__key key = make_key("program", "1");
    for (int i = 0; i < ROUNDS; i++) {
        void *payload = NULL;
        size_t size = 0;
        save_text(store, &key);
        (void)clnorm__store_load(store, &key, &payload, &size);
        free(payload);
    }
    clnorm__key_free(&key);
    return NULL;
}

static void application_is_called_by_one_thread_at_a_time(void **state)
{
    struct shelf shelf = {0};
    pthread_t threads[THREADS];
    struct clnorm__store *const store = open_on_shelf(*state, &shelf, 1, 1);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, save_and_load, store), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(shelf.collided, 0);
    assert_int_equal(shelf.gets, THREADS * ROUNDS);
    assert_int_equal(shelf.sets, THREADS * ROUNDS);
    expect_counters(store, (struct clnorm__store_counters){.hits = THREADS * ROUNDS});
    clnorm__store_close(store);
    free(shelf.blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(blobs_replace_the_disk),
        STORE_TEST(damaged_blobs_are_refused),
        STORE_TEST(half_a_store_is_used_by_half),
        STORE_TEST(refused_blob_is_a_failure),
        STORE_TEST(application_is_called_by_one_thread_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
