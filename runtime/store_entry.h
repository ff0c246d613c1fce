/*
 * One entry of the program cache as bytes: what a file holds, and what an application's blob store
 * is given. An envelope (envelope.h) with the key as its head and the payload as its body.
 */
#ifndef CLNORM_RUNTIME_STORE_ENTRY_H
#define CLNORM_RUNTIME_STORE_ENTRY_H

#include "envelope.h"
#include "key.h"

#define CLNORM__ENTRY_HEADER_SIZE CLNORM__ENVELOPE_HEADER_SIZE

/*
 * No entry is larger: a bound on what reading one may allocate. Device binaries are well below it.
 */
#define CLNORM__ENTRY_LIMIT (UINT64_C(256) << 20)

/*
 * Name of an entry's file, zero included: 32 hexadecimal digits (XXH3-128 of the key) and
 * ".clnorm".
 */
#define CLNORM__ENTRY_NAME_SIZE 40

/* Where the parts of a sound entry are; points into the bytes that were parsed. */
struct clnorm__entry {
    const void *key;
    size_t key_size;
    const void *payload;
    size_t payload_size;
};

/* The bytes of an entry, malloc'd. 0 when out of memory, or the payload is empty or too large. */
int clnorm__entry_build(const struct clnorm__key *key, const void *payload, size_t payload_size,
                        void **bytes, size_t *size);

/*
 * 1 when a header of CLNORM__ENTRY_HEADER_SIZE bytes is of this format and fits an entry of `size`
 * bytes in all.
 */
int clnorm__entry_header_check(const void *header, uint64_t size);

/*
 * 1 when the bytes are a sound entry, down to the last bit. Any bytes are safe to give. Allocates
 * nothing.
 */
int clnorm__entry_parse(const void *bytes, size_t size, struct clnorm__entry *entry);

int clnorm__entry_has_key(const struct clnorm__entry *entry, const struct clnorm__key *key);

void clnorm__entry_name(const void *key, size_t key_size, char name[CLNORM__ENTRY_NAME_SIZE]);

#endif
