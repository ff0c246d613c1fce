#include "store_entry.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FORMAT_VERSION 1

enum { DIGEST_AT = 8, VERSION_AT = 24, KEY_SIZE_AT = 32, PAYLOAD_SIZE_AT = 40 };

/*
 * As PNG's: a byte above 127, a line end and an end-of-file mark, so that transfers as text do not
 * go unnoticed.
 */
static const unsigned char magic[DIGEST_AT] = {0x8e, 'C', 'L', 'N', 'P', '\r', '\n', 0x1a};

static void put_number(unsigned char *bytes, uint64_t number)
{
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(number >> (8 * i));
    }
}

static uint64_t get_number(const unsigned char *bytes)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < 8; i++) {
        number |= (uint64_t)bytes[i] << (8 * i);
    }
    return number;
}

static XXH128_canonical_t digest_of(const unsigned char *bytes, size_t size)
{
    XXH128_canonical_t digest;
    XXH128_canonicalFromHash(&digest, XXH3_128bits(bytes + VERSION_AT, size - VERSION_AT));
    return digest;
}

void clnorm__entry_seal(void *bytes, size_t size)
{
    const XXH128_canonical_t digest = digest_of(bytes, size);
    memcpy((unsigned char *)bytes + DIGEST_AT, &digest, sizeof digest);
}

int clnorm__entry_build(const struct clnorm__key *key, const void *payload, size_t payload_size,
                        void **bytes, size_t *size)
{
    const uint64_t room = CLNORM__ENTRY_LIMIT - CLNORM__ENTRY_HEADER_SIZE;
    if (payload_size == 0 || key->size > room || payload_size > room - key->size) {
        return 0;
    }
    const size_t total = CLNORM__ENTRY_HEADER_SIZE + key->size + payload_size;
    unsigned char *const entry = malloc(total);
    if (!entry) {
        return 0;
    }
    memcpy(entry, magic, sizeof magic);
    put_number(entry + VERSION_AT, FORMAT_VERSION);
    put_number(entry + KEY_SIZE_AT, key->size);
    put_number(entry + PAYLOAD_SIZE_AT, payload_size);
    memcpy(entry + CLNORM__ENTRY_HEADER_SIZE, key->bytes, key->size);
    memcpy(entry + CLNORM__ENTRY_HEADER_SIZE + key->size, payload, payload_size);
    clnorm__entry_seal(entry, total);
    *bytes = entry;
    *size = total;
    return 1;
}

int clnorm__entry_header_check(const void *header, uint64_t size)
{
    const unsigned char *const bytes = header;
    if (size < CLNORM__ENTRY_HEADER_SIZE || size > CLNORM__ENTRY_LIMIT) {
        return 0;
    }
    /* Differences only: sums of sizes that the file claims could wrap around. */
    const uint64_t room = size - CLNORM__ENTRY_HEADER_SIZE;
    const uint64_t key_size = get_number(bytes + KEY_SIZE_AT);
    return memcmp(bytes, magic, sizeof magic) == 0 &&
           get_number(bytes + VERSION_AT) == FORMAT_VERSION && key_size < room &&
           get_number(bytes + PAYLOAD_SIZE_AT) == room - key_size;
}

int clnorm__entry_parse(const void *bytes, size_t size, struct clnorm__entry *entry)
{
    if (!bytes || size < CLNORM__ENTRY_HEADER_SIZE || !clnorm__entry_header_check(bytes, size)) {
        return 0;
    }
    const unsigned char *const start = bytes;
    const XXH128_canonical_t digest = digest_of(start, size);
    if (memcmp(start + DIGEST_AT, &digest, sizeof digest) != 0) {
        return 0;
    }
    const size_t key_size = (size_t)get_number(start + KEY_SIZE_AT);
    *entry = (struct clnorm__entry){
        .key = start + CLNORM__ENTRY_HEADER_SIZE,
        .key_size = key_size,
        .payload = start + CLNORM__ENTRY_HEADER_SIZE + key_size,
        .payload_size = size - CLNORM__ENTRY_HEADER_SIZE - key_size,
    };
    return 1;
}

int clnorm__entry_has_key(const struct clnorm__entry *entry, const struct clnorm__key *key)
{
    return entry->key_size == key->size && memcmp(entry->key, key->bytes, key->size) == 0;
}

void clnorm__entry_name(const void *key, size_t key_size, char name[CLNORM__ENTRY_NAME_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    XXH128_canonical_t hash;
    XXH128_canonicalFromHash(&hash, XXH3_128bits(key, key_size));
    for (unsigned i = 0; i < sizeof hash.digest; i++) {
        name[2 * i] = digits[hash.digest[i] >> 4];
        name[2 * i + 1] = digits[hash.digest[i] & 15];
    }
    memcpy(name + 2 * sizeof hash.digest, ".clnorm", sizeof ".clnorm");
}
