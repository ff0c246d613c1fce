/*
 * The key of a compiled program: everything that may change what the compiler makes of the text,
 * as length-prefixed fields, so that no two sets of fields give the same bytes.
 */
#ifndef CLNORM_RUNTIME_KEY_H
#define CLNORM_RUNTIME_KEY_H

#include <stddef.h>

enum clnorm__key_field {
    CLNORM__KEY_FORMAT,  /* version of key and file format */
    CLNORM__KEY_LIBRARY, /* clnorm_version() */
    CLNORM__KEY_PROBLEM, /* canonical problem text: for people; the source text decides */
    CLNORM__KEY_SOURCE,
    CLNORM__KEY_OPTIONS, /* build options */
    CLNORM__KEY_PLATFORM_NAME,
    CLNORM__KEY_PLATFORM_VERSION,
    CLNORM__KEY_DEVICE_NAME,
    CLNORM__KEY_DEVICE_VENDOR,
    CLNORM__KEY_DEVICE_VENDOR_ID,
    CLNORM__KEY_DEVICE_VERSION,
    CLNORM__KEY_DRIVER_VERSION,
    CLNORM__KEY_OPENCL_C_VERSION,
    CLNORM__KEY_ADDRESS_BITS,
    CLNORM__KEY_FIELD_COUNT
};

struct clnorm__key {
    void *bytes; /* malloc'd */
    size_t size;
};

/*
 * Packs the fields (each a zero-terminated string, none NULL; FORMAT and LIBRARY are filled in). 0
 * when out of memory.
 */
int clnorm__key_build(const char *field[CLNORM__KEY_FIELD_COUNT], struct clnorm__key *key);

/*
 * Field of a packed key: where it starts and its length (no terminating zero); NULL when the bytes
 * are not a key.
 */
const char *clnorm__key_field(const void *bytes, size_t size, enum clnorm__key_field field,
                              size_t *length);

/* 1 when the bytes are a key of this library version and key format. */
int clnorm__key_is_current(const void *bytes, size_t size);

/* Frees the bytes and empties the struct. NULL and an empty struct are fine. */
void clnorm__key_free(struct clnorm__key *key);

#endif
