/*
 * The disk cache: one file per program in one directory, or the application's own blob store.
 * Readers take no lock; a writer writes a temporary file in the same directory, syncs it and
 * renames it. What is read is trusted only after every check has passed; anything else is removed
 * and counts as a miss. No error reaches the caller: the counters tell. Thread-safe: the store
 * keeps no mutable state but its own counters, under a mutex of its own.
 */
#ifndef CLNORM_RUNTIME_STORE_H
#define CLNORM_RUNTIME_STORE_H

#include <clnorm/clnorm.h>

#include "key.h"

struct clnorm__store;

struct clnorm__store_counters {
    uint64_t hits, rejects, failures, evictions;
};

/*
 * Opens the store that context options describe (cache_directory, cache_limit, store; NULL: all
 * defaults). Nothing is created or read yet. When no directory is named the store is memory-only:
 * loads miss, saves do nothing. A directory that is not to be trusted or cannot be made misses
 * too, and each save there counts as a failure. CLNORM_OUT_OF_MEMORY is the only error.
 */
enum clnorm_status clnorm__store_open(const struct clnorm_context_options *options,
                                      struct clnorm__store **store);

/* NULL: no-op. */
void clnorm__store_close(struct clnorm__store *store);

/* The path of the cache directory; NULL when there is no disk cache. */
const char *clnorm__store_directory(const struct clnorm__store *store);

/*
 * 1 and a malloc'd payload when the store has a sound entry for exactly this key, else 0. Marks
 * the entry as used now.
 */
int clnorm__store_load(struct clnorm__store *store, const struct clnorm__key *key, void **payload,
                       size_t *size);

/*
 * Stores a payload under the key, then evicts the least recently used entries beyond the limit
 * (never the new one).
 */
void clnorm__store_save(struct clnorm__store *store, const struct clnorm__key *key,
                        const void *payload, size_t size);

/*
 * Removes the entry: the driver refused its payload. Counts as a reject, and takes back the hit. A
 * blob store has no way to remove; there the next save replaces it.
 */
void clnorm__store_reject(struct clnorm__store *store, const struct clnorm__key *key);

struct clnorm__store_counters clnorm__store_counters(struct clnorm__store *store);

#endif
