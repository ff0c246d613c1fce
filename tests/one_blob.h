/* A blob store that keeps the last program it was given, whatever its key. */
#ifndef CLNORM_TESTS_ONE_BLOB_H
#define CLNORM_TESTS_ONE_BLOB_H

#include <clnorm/clnorm.h>

#include <stdlib.h>
#include <string.h>

struct one_blob {
    void *bytes; /* malloc'd, or NULL */
    size_t size;
};

static inline int one_blob_copy(const void *from, size_t from_size, void **bytes, size_t *size)
{
    void *const copy = malloc(from_size);
    if (!copy)
        return 0;
    memcpy(copy, from, from_size);
    *bytes = copy;
    *size = from_size;
    return 1;
}

static inline int one_blob_get(void *user, const void *key, size_t key_size, void **bytes,
                               size_t *size)
{
    const struct one_blob *const blob = user;
    (void)key;
    (void)key_size;
    return blob->bytes && one_blob_copy(blob->bytes, blob->size, bytes, size);
}

static inline int one_blob_set(void *user, const void *key, size_t key_size, const void *bytes,
                               size_t size)
{
    struct one_blob *const blob = user;
    (void)key;
    (void)key_size;
    free(blob->bytes);
    blob->bytes = NULL;
    return one_blob_copy(bytes, size, &blob->bytes, &blob->size);
}

static inline struct clnorm_blob_store one_blob_store(struct one_blob *blob)
{
    return (struct clnorm_blob_store){one_blob_get, one_blob_set, blob};
}

#endif
