#define _POSIX_C_SOURCE 200809L
#include "npy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the .npy reader takes the file's little-endian elements as they are"
#endif

#define MAX_HEADER   65535u /* what version 1.0 can say; NumPy itself reads no more than 10000 */
#define MAX_ELEMENTS (UINT64_C(1) << 59) /* so that the bytes fit in 62 bits */
#define FIRST_READ   ((size_t)1 << 16)   /* from a pipe, before the buffer starts to double */

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

/* ---- The file -------------------------------------------------------------------------------- */

struct reader {
    int file;
    char *message;
};

/* Reads up to `size` bytes, fewer only at the end of the file: returns how many, or -1 after an
 * error. */
static int64_t read_some(struct reader *reader, void *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const ssize_t got = read(reader->file, (char *)data + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            snprintf(reader->message, NPY_MESSAGE_SIZE, "cannot be read: %s", strerror(errno));
            return -1;
        }
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (int64_t)done;
}

static bool read_exactly(struct reader *reader, void *data, size_t size)
{
    const int64_t got = read_some(reader, data, size);
    if (got == (int64_t)size)
        return true;
    return got < 0
               ? false
               : SAY(reader, "ends inside its .npy header; save the array again with numpy.save");
}

/* Reads magic, version and header; the header's text is at most 64 KiB, so it lies on the heap for
 * a moment only. */
static bool read_header(struct reader *reader, struct npy_header *header)
{
    unsigned char fixed[12] = {0};
    if (read_some(reader, fixed, 8) < 0)
        return false;
    if (memcmp(fixed, "\x93NUMPY", 6) != 0)
        return SAY(reader, "is not a .npy file; write it with numpy.save");
    if (fixed[6] < 1 || fixed[6] > 3 || fixed[7] != 0)
        return SAY(reader, "is a .npy file of version %u.%u; 1.0, 2.0 and 3.0 are read", fixed[6],
                   fixed[7]);
    const size_t width = fixed[6] == 1 ? 2 : 4;
    if (!read_exactly(reader, fixed + 8, width))
        return false;
    uint32_t length = 0;
    for (size_t i = 0; i < width; i++)
        length |= (uint32_t)fixed[8 + i] << (8 * i);
    if (length > MAX_HEADER)
        return SAY(reader,
                   "has a .npy header of %" PRIu32
                   " bytes, more than %u; save it again with numpy.save",
                   length, MAX_HEADER);
    char *const text = malloc(length + 1);
    if (!text)
        return SAY(reader, "cannot be read: out of memory");
    const bool good =
        read_exactly(reader, text, length) && npy_parse(text, length, header, reader->message);
    free(text);
    return good;
}

static bool say_length(struct reader *reader, uint64_t found, uint64_t expected)
{
    const bool more = found > expected;
    return SAY(reader,
               "holds %s%" PRIu64 " bytes of data where its header says %" PRIu64
               "; save the array again",
               more ? "more than the " : "", more ? expected : found, expected);
}

/* Reads what a file of known length must hold to the byte. */
static bool read_file(struct reader *reader, struct npy_array *array, uint64_t left)
{
    if (left != array->bytes)
        return say_length(reader, left, array->bytes);
    array->data = malloc(array->bytes + 1);
    if (!array->data)
        return SAY(reader, "needs %zu bytes: out of memory", array->bytes);
    const int64_t got = read_some(reader, array->data, array->bytes);
    return got == (int64_t)array->bytes ? true
           : got < 0                    ? false
                                        : say_length(reader, (uint64_t)got, array->bytes);
}

/* Reads from a pipe into a buffer that doubles as data arrives; one byte more than announced must
 * not come. */
static bool read_pipe(struct reader *reader, struct npy_array *array)
{
    const size_t wanted = array->bytes + 1;
    size_t held = 0, size = wanted < FIRST_READ ? wanted : FIRST_READ;
    for (;;) {
        void *const grown = realloc(array->data, size);
        if (!grown)
            return SAY(reader, "needs %zu bytes: out of memory", array->bytes);
        array->data = grown;
        const int64_t got = read_some(reader, (char *)array->data + held, size - held);
        if (got < 0)
            return false;
        held += (size_t)got;
        if (held < size || size == wanted)
            break;
        size = wanted / 2 < size ? wanted : 2 * size;
    }
    return held == array->bytes ? true : say_length(reader, held, array->bytes);
}

static bool read_array(struct reader *reader, struct npy_array *array)
{
    if (!read_header(reader, &array->header))
        return false;
    const uint64_t bytes = array->header.elements * npy_element_size(array->header.dtype);
    if (bytes >= SIZE_MAX / 2)
        return SAY(reader, "needs %" PRIu64 " bytes, more than this machine can address", bytes);
    array->bytes = (size_t)bytes;

    struct stat status;
    const off_t at = lseek(reader->file, 0, SEEK_CUR);
    if (at < 0 || fstat(reader->file, &status) != 0 || !S_ISREG(status.st_mode))
        return read_pipe(reader, array);
    return read_file(reader, array, status.st_size > at ? (uint64_t)(status.st_size - at) : 0);
}

bool npy_read(int file, struct npy_array *array, char message[NPY_MESSAGE_SIZE])
{
    struct reader reader = {.file = file, .message = message};
    *array = (struct npy_array){.data = NULL};
    const bool good = read_array(&reader, array);
    if (!good)
        npy_free(array);
    return good;
}

void npy_free(struct npy_array *array)
{
    free(array->data);
    *array = (struct npy_array){.data = NULL};
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
