/*
 * libFuzzer target: any bytes as an entry of the program cache. Each input is tried as it is, and
 * once more with its header repaired (magic, version, payload size, digest), which lets it through
 * to the key.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "key.h"
#include "store_entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of the parser that did not hold. */
static void require(int condition)
{
    if (!condition) {
        abort();
    }
}

static struct clnorm__key fixed_key(void)
{
    const char *field[CLNORM__KEY_FIELD_COUNT];
    struct clnorm__key key = {0};
    for (unsigned i = 0; i < CLNORM__KEY_FIELD_COUNT; i++) {
        field[i] = "text";
    }
    require(clnorm__key_build(field, &key));
    return key;
}

/* Every byte a sound entry points to is one of its own. */
static void read_fields(const struct clnorm__entry *entry)
{
    for (int i = 0; i < CLNORM__KEY_FIELD_COUNT; i++) {
        size_t length = 0;
        const char *const text =
            clnorm__key_field(entry->key, entry->key_size, (enum clnorm__key_field)i, &length);
        if (text) {
            require(text >= (const char *)entry->key && length <= entry->key_size);
            require(text + length <= (const char *)entry->key + entry->key_size);
        }
    }
}

static int try_entry(const unsigned char *bytes, size_t size, const struct clnorm__key *key)
{
    struct clnorm__entry entry;
    if (!clnorm__entry_parse(bytes, size, &entry)) {
        return 0;
    }
    require((const unsigned char *)entry.key == bytes + CLNORM__ENTRY_HEADER_SIZE);
    require((const unsigned char *)entry.payload + entry.payload_size == bytes + size);
    require(entry.payload_size > 0);
    (void)clnorm__entry_has_key(&entry, key);
    (void)clnorm__key_is_current(entry.key, entry.key_size);
    read_fields(&entry);
    return 1;
}

/*
 * Takes magic and version from a real entry; the key size stays the input's, taken modulo what
 * there is room for.
 */
static void try_repaired(const uint8_t *data, size_t size, const struct clnorm__key *key)
{
    enum { KEY_SIZE_AT = 32, PAYLOAD_SIZE_AT = 40 };
    void *sound = NULL;
    size_t sound_size = 0;
    unsigned char *const bytes = malloc(size);
    require(bytes && clnorm__entry_build(key, "payload", 7, &sound, &sound_size));
    memcpy(bytes, data, size);
    const size_t room = size - CLNORM__ENTRY_HEADER_SIZE;
    const size_t key_size = (data[KEY_SIZE_AT] | (size_t)data[KEY_SIZE_AT + 1] << 8) % room;
    memcpy(bytes, sound, KEY_SIZE_AT);
    for (unsigned i = 0; i < 8; i++) {
        bytes[KEY_SIZE_AT + i] = (unsigned char)((uint64_t)key_size >> (8 * i));
        bytes[PAYLOAD_SIZE_AT + i] = (unsigned char)((uint64_t)(room - key_size) >> (8 * i));
    }
    clnorm__envelope_seal(bytes, size);
    require(try_entry(bytes, size, key));
    free(bytes);
    free(sound);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct clnorm__key key = fixed_key();
    size_t length = 0;
    (void)try_entry(data, size, &key);
    (void)clnorm__key_field(data, size, CLNORM__KEY_SOURCE, &length);
    if (size > CLNORM__ENTRY_HEADER_SIZE) {
        try_repaired(data, size, &key);
    }
    clnorm__key_free(&key);
    return 0;
}
