/*
 * One entry of the program cache as bytes: what a file holds, and what an application's blob store
 * is given.
 *
 *     offset  bytes
 *          0      8  magic
 *          8     16  digest (XXH3-128) of everything that follows it
 *         24      8  version of this format      all numbers little-endian, so that
 *         32      8  bytes of the key            a home directory may be shared by
 *         40      8  bytes of the payload        machines of either byte order
 *         48      .  key, then payload, then nothing
 *
 * The digest guards against damage, not against an attacker: who may write the file is checked by
 * whoever opens it.
 */
#ifndef CLNORM_RUNTIME_STORE_ENTRY_H
#define CLNORM_RUNTIME_STORE_ENTRY_H

#include <stddef.h>
#include <stdint.h>

#include "key.h"

#define CLNORM__ENTRY_HEADER_SIZE 48

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

/* Writes the digest of an entry of `size` >= CLNORM__ENTRY_HEADER_SIZE bytes into its place. */
void clnorm__entry_seal(void *bytes, size_t size);

void clnorm__entry_name(const void *key, size_t key_size, char name[CLNORM__ENTRY_NAME_SIZE]);

#endif
