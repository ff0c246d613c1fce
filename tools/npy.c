/* The header of a .npy file: its text, read and written. */
#include "npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the .npy reader takes the file's little-endian elements as they are"
#endif

#define MAX_ELEMENTS (UINT64_C(1) << 59) /* so that the bytes fit in 62 bits */

static const struct npy_type {
    const char *descr;
    enum clnorm_dtype dtype;
    size_t size;
} types[] = {{"<f2", CLNORM_F16, 2}, {"<f4", CLNORM_F32, 4}, {"<f8", CLNORM_F64, 8}};

#define TYPES (sizeof types / sizeof types[0])

static const struct npy_type *type_of(enum clnorm_dtype dtype)
{
    size_t i = 0;
    while (i + 1 < TYPES && types[i].dtype != dtype)
        i++;
    return &types[i];
}

size_t npy_element_size(enum clnorm_dtype dtype)
{
    return type_of(dtype)->size;
}

/* ---- The header's text ----------------------------------------------------------------------- */

struct cursor {
    const char *at, *end;
    char *message;
};

#define SAY(cursor, ...) (snprintf((cursor)->message, NPY_MESSAGE_SIZE, __VA_ARGS__), false)

static bool damaged(struct cursor *cursor, const char *expected)
{
    return SAY(cursor,
               "has a damaged .npy header: %s expected; save the array again with numpy.save",
               expected);
}

static void skip_space(struct cursor *cursor)
{
    while (cursor->at < cursor->end && strchr(" \t\r\n", *cursor->at) && *cursor->at)
        cursor->at++;
}

/* Skips blanks and takes `c` if it comes next. */
static bool take(struct cursor *cursor, char c)
{
    skip_space(cursor);
    if (cursor->at == cursor->end || *cursor->at != c)
        return false;
    cursor->at++;
    return true;
}

/* A Python string without escapes, in either quote. */
static bool take_string(struct cursor *cursor, const char **text, size_t *length)
{
    skip_space(cursor);
    const char quote = cursor->at < cursor->end ? *cursor->at : '\0';
    if (quote != '\'' && quote != '"')
        return false;
    const char *const start = cursor->at + 1;
    const char *const close = memchr(start, quote, (size_t)(cursor->end - start));
    if (!close || memchr(start, '\\', (size_t)(close - start)))
        return false;
    *text = start;
    *length = (size_t)(close - start);
    cursor->at = close + 1;
    return true;
}

static bool same(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && memcmp(text, word, length) == 0;
}

static bool take_word(struct cursor *cursor, const char *word)
{
    skip_space(cursor);
    const size_t length = strlen(word);
    if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, word, length) != 0)
        return false;
    cursor->at += length;
    return true;
}

static bool parse_descr(struct cursor *cursor, struct npy_header *header)
{
    const char *text;
    size_t length;
    skip_space(cursor);
    if (cursor->at < cursor->end && *cursor->at == '[')
        return SAY(
            cursor,
            "has a structured dtype; only little-endian floats are read: save one field as '<f4'");
    if (!take_string(cursor, &text, &length))
        return damaged(cursor, "a dtype in quotes");
    for (size_t i = 0; i < TYPES; i++) {
        if (same(text, length, types[i].descr)) {
            header->dtype = types[i].dtype;
            return true;
        }
    }
    return SAY(cursor,
               "has dtype '%.*s'; only '<f2', '<f4' and '<f8' are read: save a.astype('<f4')",
               (int)(length < 16 ? length : 16), text);
}

static bool parse_order(struct cursor *cursor, struct npy_header *header)
{
    (void)header;
    if (take_word(cursor, "False"))
        return true;
    if (take_word(cursor, "True"))
        return SAY(cursor,
                   "is in Fortran order; only C order is read: save numpy.ascontiguousarray(a)");
    return damaged(cursor, "True or False for fortran_order");
}

static bool take_extent(struct cursor *cursor, uint64_t *extent)
{
    skip_space(cursor);
    const char *const start = cursor->at;
    for (*extent = 0; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9';
         cursor->at++) {
        *extent = *extent * 10 + (uint64_t)(*cursor->at - '0');
        if (*extent > MAX_ELEMENTS)
            return SAY(cursor, "has an extent above 2^59; no device holds such an array");
    }
    return cursor->at > start ? true : damaged(cursor, "an extent");
}

static bool count_elements(struct cursor *cursor, struct npy_header *header)
{
    uint64_t product = 1;
    header->elements = 1;
    for (unsigned i = 0; i < header->rank; i++) {
        const uint64_t extent = header->shape[i] ? header->shape[i] : 1;
        if (extent > MAX_ELEMENTS / product)
            return SAY(cursor, "has more than 2^59 elements; no device holds such an array");
        product *= extent;
        header->elements = header->shape[i] ? header->elements : 0;
    }
    header->elements *= product;
    return true;
}

/* (), (3,), (3, 4) or (3, 4,), but not (3), which is a number. */
static bool parse_shape(struct cursor *cursor, struct npy_header *header)
{
    if (!take(cursor, '('))
        return damaged(cursor, "a tuple for shape");
    bool comma = true;
    for (header->rank = 0; !take(cursor, ')'); header->rank++) {
        if (!comma)
            return damaged(cursor, "',' or ')' in shape");
        if (header->rank == NPY_MAX_RANK)
            return SAY(cursor, "has more than %d axes; reshape it", NPY_MAX_RANK);
        if (!take_extent(cursor, &header->shape[header->rank]))
            return false;
        comma = take(cursor, ',');
    }
    if (header->rank == 1 && !comma)
        return damaged(cursor, "a tuple for shape");
    return count_elements(cursor, header);
}

static const struct {
    const char *name;
    bool (*parse)(struct cursor *, struct npy_header *);
} keys[] = {{"descr", parse_descr}, {"fortran_order", parse_order}, {"shape", parse_shape}};

#define KEYS (sizeof keys / sizeof keys[0])

/* "'key': value", each key once. */
static bool parse_entry(struct cursor *cursor, struct npy_header *header, bool seen[KEYS])
{
    const char *text;
    size_t length, key = 0;
    if (!take_string(cursor, &text, &length))
        return damaged(cursor, "a key in quotes");
    while (key < KEYS && !same(text, length, keys[key].name))
        key++;
    if (key == KEYS || seen[key])
        return damaged(cursor, "each of descr, fortran_order and shape, once,");
    seen[key] = true;
    return take(cursor, ':') ? keys[key].parse(cursor, header) : damaged(cursor, "':'");
}

bool npy_parse(const char *text, size_t length, struct npy_header *header,
               char message[NPY_MESSAGE_SIZE])
{
    struct cursor cursor = {.at = text, .end = text + length, .message = message};
    bool seen[KEYS] = {false};
    *header = (struct npy_header){.rank = 0};
    if (!take(&cursor, '{'))
        return damaged(&cursor, "'{'");
    for (bool comma = true; !take(&cursor, '}'); comma = take(&cursor, ',')) {
        if (!comma)
            return damaged(&cursor, "',' or '}'");
        if (!parse_entry(&cursor, header, seen))
            return false;
    }
    for (size_t i = 0; i < KEYS; i++)
        if (!seen[i])
            return damaged(&cursor, keys[i].name);
    skip_space(&cursor);
    return cursor.at == cursor.end ? true : damaged(&cursor, "nothing after '}'");
}

/* ---- Writing --------------------------------------------------------------------------------- */

size_t npy_format(const struct npy_header *header, char text[NPY_PREFIX_SIZE])
{
    char dictionary[NPY_PREFIX_SIZE - 128];
    int length = snprintf(dictionary, sizeof dictionary,
                          "{'descr': '%s', 'fortran_order': False, 'shape': (",
                          type_of(header->dtype)->descr);
    for (unsigned i = 0; i < header->rank; i++)
        length += snprintf(dictionary + length, sizeof dictionary - (size_t)length, "%s%" PRIu64,
                           i > 0 ? ", " : "", header->shape[i]);
    length += snprintf(dictionary + length, sizeof dictionary - (size_t)length, "%s), }",
                       header->rank == 1 ? "," : "");

    /* Blanks and a line end make the length a multiple of 64. */
    const size_t prefix = 10;
    const size_t total = (prefix + (size_t)length + 1 + 63) / 64 * 64;
    const size_t text_length = total - prefix;
    memcpy(text, "\x93NUMPY\x01\x00", 8);
    text[8] = (char)(text_length & 0xff);
    text[9] = (char)(text_length >> 8);
    memcpy(text + prefix, dictionary, (size_t)length);
    memset(text + prefix + length, ' ', text_length - (size_t)length - 1);
    text[total - 1] = '\n';
    return total;
}
