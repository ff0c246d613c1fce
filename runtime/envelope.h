/*
 * An envelope: two byte strings, head and body, in one file under one digest. What the program
 * cache and bundles are stored in.
 *
 *     offset  bytes
 *          0      8  magic, of the kind of envelope
 *          8     16  digest (XXH3-128) of everything that follows it
 *         24      8  version of the kind's format    all numbers little-endian, so that
 *         32      8  bytes of the head               files may be shared by machines
 *         40      8  bytes of the body               of either byte order
 *         48      .  head, then body, then nothing
 *
 * The digest guards against damage, not against an attacker: who may write the file is checked by
 * whoever opens it.
 */
#ifndef CLNORM_RUNTIME_ENVELOPE_H
#define CLNORM_RUNTIME_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#define CLNORM__ENVELOPE_HEADER_SIZE 48

/* A digest as 32 hexadecimal digits, zero included. */
#define CLNORM__DIGEST_TEXT_SIZE 33

struct clnorm__envelope_kind {
    /*
     * As PNG's: a byte above 127, a line end and an end-of-file mark, so that transfers as text do
     * not go unnoticed.
     */
    unsigned char magic[8];
    uint64_t version;
    uint64_t limit; /* no envelope is larger: a bound on what reading one may allocate */
};

enum clnorm__envelope_fault {
    CLNORM__ENVELOPE_SOUND,
    CLNORM__ENVELOPE_FOREIGN, /* begins like no envelope of the kind */
    CLNORM__ENVELOPE_VERSION, /* of another version of the format */
    CLNORM__ENVELOPE_SIZE,    /* cut, or something was added */
    CLNORM__ENVELOPE_DIGEST   /* changed */
};

/* Where the parts of a sound envelope are; points into the bytes that were parsed. */
struct clnorm__envelope {
    const void *head;
    size_t head_size;
    const void *body;
    size_t body_size;
};

/* The bytes of an envelope, malloc'd. 0 when out of memory, or the body is empty, or beyond the
 * limit. */
int clnorm__envelope_build(const struct clnorm__envelope_kind *kind,
                           const struct clnorm__envelope *parts, void **bytes, size_t *size);

/*
 * Whether a header (the first CLNORM__ENVELOPE_HEADER_SIZE bytes; all bytes when there are fewer)
 * is that of an envelope of `size` bytes in all. Any bytes are safe to give.
 */
enum clnorm__envelope_fault clnorm__envelope_header_check(const struct clnorm__envelope_kind *kind,
                                                          const void *header, uint64_t size);

/*
 * The same for the whole, down to the last bit; *parts is set when it is sound. Allocates nothing.
 */
enum clnorm__envelope_fault clnorm__envelope_parse(const struct clnorm__envelope_kind *kind,
                                                   const void *bytes, size_t size,
                                                   struct clnorm__envelope *parts);

/* Writes the digest of an envelope of `size` >= CLNORM__ENVELOPE_HEADER_SIZE bytes into its place. */
void clnorm__envelope_seal(void *bytes, size_t size);

/* The digest of any bytes. */
void clnorm__digest_text(const void *bytes, size_t size, char text[CLNORM__DIGEST_TEXT_SIZE]);

#endif
