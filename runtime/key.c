#include "key.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <clnorm/codegen.h>

/*
 * Raise it whenever the packing below or the file format (store_entry.c) changes: older entries
 * then miss.
 */
#define KEY_FORMAT "1"

/* Each field is its length, 8 bytes little-endian whatever the host, and its characters. */
#define LENGTH_SIZE 8

static void put_length(unsigned char *bytes, uint64_t length)
{
    for (unsigned i = 0; i < LENGTH_SIZE; i++) {
        bytes[i] = (unsigned char)(length >> (8 * i));
    }
}

static uint64_t get_length(const unsigned char *bytes)
{
    uint64_t length = 0;
    for (unsigned i = 0; i < LENGTH_SIZE; i++) {
        length |= (uint64_t)bytes[i] << (8 * i);
    }
    return length;
}

/* What goes into the key for a field: the caller's text, but for the two that are ours to say. */
static const char *field_text(const char *const *field, unsigned i)
{
    switch (i) {
    case CLNORM__KEY_FORMAT: return KEY_FORMAT;
    case CLNORM__KEY_LIBRARY: return clnorm_version();
    default: return field[i];
    }
}

int clnorm__key_build(const char *field[CLNORM__KEY_FIELD_COUNT], struct clnorm__key *key)
{
    size_t length[CLNORM__KEY_FIELD_COUNT];
    size_t size = 0;
    for (unsigned i = 0; i < CLNORM__KEY_FIELD_COUNT; i++) {
        length[i] = strlen(field_text(field, i));
        size += LENGTH_SIZE + length[i];
    }
    unsigned char *const bytes = malloc(size);
    if (!bytes) {
        return 0;
    }
    unsigned char *at = bytes;
    for (unsigned i = 0; i < CLNORM__KEY_FIELD_COUNT; i++) {
        put_length(at, length[i]);
        memcpy(at + LENGTH_SIZE, field_text(field, i), length[i]);
        at += LENGTH_SIZE + length[i];
    }
    *key = (struct clnorm__key){.bytes = bytes, .size = size};
    return 1;
}

/*
 * Walks all fields even when an early one is wanted: bytes that are not a key as a whole have no
 * fields at all.
 */
const char *clnorm__key_field(const void *bytes, size_t size, enum clnorm__key_field field,
                              size_t *length)
{
    const unsigned char *at = bytes;
    const char *found = NULL;
    size_t found_length = 0;
    for (unsigned i = 0; i < CLNORM__KEY_FIELD_COUNT; i++) {
        if (size < LENGTH_SIZE || get_length(at) > size - LENGTH_SIZE) {
            return NULL;
        }
        const size_t here = (size_t)get_length(at);
        if (i == (unsigned)field) {
            found = (const char *)at + LENGTH_SIZE;
            found_length = here;
        }
        at += LENGTH_SIZE + here;
        size -= LENGTH_SIZE + here;
    }
    if (size != 0 || !found) {
        return NULL;
    }
    *length = found_length;
    return found;
}

int clnorm__key_is_current(const void *bytes, size_t size)
{
    for (unsigned i = CLNORM__KEY_FORMAT; i <= CLNORM__KEY_LIBRARY; i++) {
        const char *const ours = field_text(NULL, i);
        size_t length = 0;
        const char *const text = clnorm__key_field(bytes, size, (enum clnorm__key_field)i, &length);
        if (!text || length != strlen(ours) || memcmp(text, ours, length) != 0) {
            return 0;
        }
    }
    return 1;
}

void clnorm__key_free(struct clnorm__key *key)
{
    if (key) {
        free(key->bytes);
        *key = (struct clnorm__key){0};
    }
}
