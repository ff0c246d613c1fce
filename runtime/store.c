#define _POSIX_C_SOURCE 200809L

#include "store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store_files.h"

struct clnorm__store {
    char *directory; /* NULL: no disk */
    uint64_t limit;
    struct clnorm_blob_store blobs;
    int uses_blobs;
    pthread_mutex_t blob_lock; /* held around the application's get and set, and nothing else */
    pthread_mutex_t counter_lock;
    struct clnorm__store_counters counters;
};

static const uint64_t default_limit = UINT64_C(256) << 20;

/* ---- Open and close ---- */

static int make_locks(struct clnorm__store *store)
{
    if (pthread_mutex_init(&store->blob_lock, NULL) != 0) {
        return 0;
    }
    if (pthread_mutex_init(&store->counter_lock, NULL) != 0) {
        (void)pthread_mutex_destroy(&store->blob_lock);
        return 0;
    }
    return 1;
}

enum clnorm_status clnorm__store_open(const struct clnorm_context_options *options,
                                      struct clnorm__store **store)
{
    struct clnorm__store *const made = calloc(1, sizeof *made);
    if (!made) {
        return CLNORM_OUT_OF_MEMORY;
    }
    made->limit = options && options->cache_limit ? options->cache_limit : default_limit;
    if (options) {
        made->blobs = options->store;
    }
    made->uses_blobs = made->blobs.get || made->blobs.set;
    if ((!made->uses_blobs && clnorm__directory_resolve(options ? options->cache_directory : NULL,
                                                        &made->directory) != CLNORM_OK) ||
        !make_locks(made)) {
        free(made->directory);
        free(made);
        return CLNORM_OUT_OF_MEMORY;
    }
    *store = made;
    return CLNORM_OK;
}

void clnorm__store_close(struct clnorm__store *store)
{
    if (!store) {
        return;
    }
    (void)pthread_mutex_destroy(&store->blob_lock);
    (void)pthread_mutex_destroy(&store->counter_lock);
    free(store->directory);
    free(store);
}

const char *clnorm__store_directory(const struct clnorm__store *store)
{
    return store->directory;
}

/* ---- Counters ---- */

static void count(struct clnorm__store *store, uint64_t *counter, uint64_t more)
{
    (void)pthread_mutex_lock(&store->counter_lock);
    *counter += more;
    (void)pthread_mutex_unlock(&store->counter_lock);
}

struct clnorm__store_counters clnorm__store_counters(struct clnorm__store *store)
{
    (void)pthread_mutex_lock(&store->counter_lock);
    const struct clnorm__store_counters counters = store->counters;
    (void)pthread_mutex_unlock(&store->counter_lock);
    return counters;
}

/* ---- The application's blob store ---- */

static enum clnorm__found load_blob(struct clnorm__store *store, const struct clnorm__key *key,
                                    void **bytes, struct clnorm__entry *entry)
{
    void *blob = NULL;
    size_t size = 0;
    if (!store->blobs.get) {
        return CLNORM__FOUND_NONE;
    }
    (void)pthread_mutex_lock(&store->blob_lock);
    const int got = store->blobs.get(store->blobs.user, key->bytes, key->size, &blob, &size);
    (void)pthread_mutex_unlock(&store->blob_lock);
    if (!got) {
        return CLNORM__FOUND_NONE;
    }
    if (!clnorm__entry_parse(blob, size, entry) || !clnorm__entry_has_key(entry, key)) {
        free(blob);
        return CLNORM__FOUND_BAD;
    }
    *bytes = blob;
    return CLNORM__FOUND_SOUND;
}

static int save_blob(struct clnorm__store *store, const struct clnorm__key *key, const void *bytes,
                     size_t size)
{
    if (!store->blobs.set) {
        return 1;
    }
    (void)pthread_mutex_lock(&store->blob_lock);
    const int stored = store->blobs.set(store->blobs.user, key->bytes, key->size, bytes, size);
    (void)pthread_mutex_unlock(&store->blob_lock);
    return stored != 0;
}

/* ---- The disk ---- */

static enum clnorm__found load_file(struct clnorm__store *store, const struct clnorm__key *key,
                                    void **bytes, struct clnorm__entry *entry)
{
    const int directory = store->directory ? clnorm__directory_open(store->directory, 0) : -1;
    if (directory < 0) {
        return CLNORM__FOUND_NONE;
    }
    char name[CLNORM__ENTRY_NAME_SIZE];
    clnorm__entry_name(key->bytes, key->size, name);
    const enum clnorm__found found = clnorm__file_read(directory, name, key, bytes, entry);
    if (found == CLNORM__FOUND_BAD) {
        /*
         * May hit a sound entry that another process has put there since; that one is then built
         * once more.
         */
        (void)unlinkat(directory, name, 0);
    }
    (void)close(directory);
    return found;
}

static int save_file(struct clnorm__store *store, const struct clnorm__key *key, const void *bytes,
                     size_t size)
{
    const int directory = clnorm__directory_open(store->directory, 1);
    if (directory < 0) {
        return 0;
    }
    char name[CLNORM__ENTRY_NAME_SIZE];
    clnorm__entry_name(key->bytes, key->size, name);
    const int saved = clnorm__file_write(directory, name, 0600, bytes, size);
    if (saved) {
        count(store, &store->counters.evictions,
              clnorm__files_evict(directory, name, store->limit));
    }
    (void)close(directory);
    return saved;
}

static void remove_file(struct clnorm__store *store, const struct clnorm__key *key)
{
    const int directory = store->directory ? clnorm__directory_open(store->directory, 0) : -1;
    if (directory >= 0) {
        char name[CLNORM__ENTRY_NAME_SIZE];
        clnorm__entry_name(key->bytes, key->size, name);
        (void)unlinkat(directory, name, 0);
        (void)close(directory);
    }
}

/* ---- Load, save, reject ---- */

int clnorm__store_load(struct clnorm__store *store, const struct clnorm__key *key, void **payload,
                       size_t *size)
{
    void *bytes = NULL;
    struct clnorm__entry entry = {0};
    const enum clnorm__found found = store->uses_blobs ? load_blob(store, key, &bytes, &entry)
                                                       : load_file(store, key, &bytes, &entry);
    if (found == CLNORM__FOUND_BAD) {
        count(store, &store->counters.rejects, 1);
    }
    if (found != CLNORM__FOUND_SOUND) {
        return 0;
    }
    count(store, &store->counters.hits, 1);
    /*
     * The payload moves to the front of the allocation it came in: no second one, and aligned for
     * any use.
     */
    *size = entry.payload_size;
    *payload = memmove(bytes, entry.payload, entry.payload_size);
    return 1;
}

void clnorm__store_save(struct clnorm__store *store, const struct clnorm__key *key,
                        const void *payload, size_t size)
{
    if (!store->uses_blobs && !store->directory) {
        return;
    }
    void *bytes = NULL;
    size_t total = 0;
    int saved = clnorm__entry_build(key, payload, size, &bytes, &total);
    if (saved) {
        saved = store->uses_blobs ? save_blob(store, key, bytes, total)
                                  : save_file(store, key, bytes, total);
    }
    free(bytes);
    if (!saved) {
        count(store, &store->counters.failures, 1);
    }
}

void clnorm__store_reject(struct clnorm__store *store, const struct clnorm__key *key)
{
    (void)pthread_mutex_lock(&store->counter_lock);
    store->counters.hits -= store->counters.hits > 0;
    store->counters.rejects++;
    (void)pthread_mutex_unlock(&store->counter_lock);
    remove_file(store, key);
}
