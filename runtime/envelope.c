#include "envelope.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { DIGEST_AT = 8, VERSION_AT = 24, HEAD_SIZE_AT = 32, BODY_SIZE_AT = 40 };

static void put_number(unsigned char *bytes, uint64_t number)
{
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(number >> (8 * i));
}

static uint64_t get_number(const unsigned char *bytes)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < 8; i++)
        number |= (uint64_t)bytes[i] << (8 * i);
    return number;
}

static XXH128_canonical_t digest_of(const void *bytes, size_t size)
{
    XXH128_canonical_t digest;
    XXH128_canonicalFromHash(&digest, XXH3_128bits(bytes, size));
    return digest;
}

void clnorm__digest_text(const void *bytes, size_t size, char text[CLNORM__DIGEST_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    const XXH128_canonical_t digest = digest_of(bytes, size);
    for (unsigned i = 0; i < sizeof digest.digest; i++) {
        text[2 * i] = digits[digest.digest[i] >> 4];
        text[2 * i + 1] = digits[digest.digest[i] & 15];
    }
    text[2 * sizeof digest.digest] = 0;
}

void clnorm__envelope_seal(void *bytes, size_t size)
{
    unsigned char *const start = bytes;
    const XXH128_canonical_t digest = digest_of(start + VERSION_AT, size - VERSION_AT);
    memcpy(start + DIGEST_AT, &digest, sizeof digest);
}

int clnorm__envelope_build(const struct clnorm__envelope_kind *kind,
                           const struct clnorm__envelope *parts, void **bytes, size_t *size)
{
    const uint64_t room = kind->limit - CLNORM__ENVELOPE_HEADER_SIZE;
    if (parts->body_size == 0 || parts->head_size > room ||
        parts->body_size > room - parts->head_size)
        return 0;
    const size_t total = CLNORM__ENVELOPE_HEADER_SIZE + parts->head_size + parts->body_size;
    unsigned char *const made = malloc(total);
    if (!made)
        return 0;
    memcpy(made, kind->magic, sizeof kind->magic);
    put_number(made + VERSION_AT, kind->version);
    put_number(made + HEAD_SIZE_AT, parts->head_size);
    put_number(made + BODY_SIZE_AT, parts->body_size);
    memcpy(made + CLNORM__ENVELOPE_HEADER_SIZE, parts->head, parts->head_size);
    memcpy(made + CLNORM__ENVELOPE_HEADER_SIZE + parts->head_size, parts->body, parts->body_size);
    clnorm__envelope_seal(made, total);
    *bytes = made;
    *size = total;
    return 1;
}

enum clnorm__envelope_fault clnorm__envelope_header_check(const struct clnorm__envelope_kind *kind,
                                                          const void *header, uint64_t size)
{
    const unsigned char *const bytes = header;
    if (size < sizeof kind->magic || memcmp(bytes, kind->magic, sizeof kind->magic) != 0)
        return CLNORM__ENVELOPE_FOREIGN;
    if (size < CLNORM__ENVELOPE_HEADER_SIZE || size > kind->limit)
        return CLNORM__ENVELOPE_SIZE;
    if (get_number(bytes + VERSION_AT) != kind->version)
        return CLNORM__ENVELOPE_VERSION;
    /* Differences only: sums of sizes that the file claims could wrap around. */
    const uint64_t room = size - CLNORM__ENVELOPE_HEADER_SIZE;
    const uint64_t head_size = get_number(bytes + HEAD_SIZE_AT);
    const int agree = head_size < room && get_number(bytes + BODY_SIZE_AT) == room - head_size;
    return agree ? CLNORM__ENVELOPE_SOUND : CLNORM__ENVELOPE_SIZE;
}

enum clnorm__envelope_fault clnorm__envelope_parse(const struct clnorm__envelope_kind *kind,
                                                   const void *bytes, size_t size,
                                                   struct clnorm__envelope *parts)
{
    const unsigned char *const start = bytes;
    const enum clnorm__envelope_fault fault =
        start ? clnorm__envelope_header_check(kind, bytes, size) : CLNORM__ENVELOPE_FOREIGN;
    if (fault != CLNORM__ENVELOPE_SOUND)
        return fault;
    const XXH128_canonical_t digest = digest_of(start + VERSION_AT, size - VERSION_AT);
    if (memcmp(start + DIGEST_AT, &digest, sizeof digest) != 0)
        return CLNORM__ENVELOPE_DIGEST;
    const size_t head_size = (size_t)get_number(start + HEAD_SIZE_AT);
    *parts = (struct clnorm__envelope){
        .head = start + CLNORM__ENVELOPE_HEADER_SIZE,
        .head_size = head_size,
        .body = start + CLNORM__ENVELOPE_HEADER_SIZE + head_size,
        .body_size = size - CLNORM__ENVELOPE_HEADER_SIZE - head_size,
    };
    return CLNORM__ENVELOPE_SOUND;
}
