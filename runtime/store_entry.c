#include "store_entry.h"

#include <string.h>

static const struct clnorm__envelope_kind kind = {
    .magic = {0x8e, 'C', 'L', 'N', 'P', '\r', '\n', 0x1a},
    .version = 1,
    .limit = CLNORM__ENTRY_LIMIT,
};

int clnorm__entry_build(const struct clnorm__key *key, const void *payload, size_t payload_size,
                        void **bytes, size_t *size)
{
    const struct clnorm__envelope parts = {key->bytes, key->size, payload, payload_size};
    return clnorm__envelope_build(&kind, &parts, bytes, size);
}

int clnorm__entry_header_check(const void *header, uint64_t size)
{
    return clnorm__envelope_header_check(&kind, header, size) == CLNORM__ENVELOPE_SOUND;
}

int clnorm__entry_parse(const void *bytes, size_t size, struct clnorm__entry *entry)
{
    struct clnorm__envelope parts;
    if (clnorm__envelope_parse(&kind, bytes, size, &parts) != CLNORM__ENVELOPE_SOUND) {
        return 0;
    }
    *entry = (struct clnorm__entry){parts.head, parts.head_size, parts.body, parts.body_size};
    return 1;
}

int clnorm__entry_has_key(const struct clnorm__entry *entry, const struct clnorm__key *key)
{
    return entry->key_size == key->size && memcmp(entry->key, key->bytes, key->size) == 0;
}

void clnorm__entry_name(const void *key, size_t key_size, char name[CLNORM__ENTRY_NAME_SIZE])
{
    clnorm__digest_text(key, key_size, name);
    memcpy(name + CLNORM__DIGEST_TEXT_SIZE - 1, ".clnorm", sizeof ".clnorm");
}
