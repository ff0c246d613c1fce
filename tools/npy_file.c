/* .npy files, read from descriptors: whole arrays, and arrays a piece at a time. */
#define _POSIX_C_SOURCE 200809L
#include "npy.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_HEADER 65535u /* what version 1.0 can say; NumPy itself reads no more than 10000 */
#define FIRST_READ ((size_t)1 << 16) /* from a pipe, before the buffer starts to double */

#define SAY(reader, ...) (snprintf((reader)->message, NPY_MESSAGE_SIZE, __VA_ARGS__), false)

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

bool npy_open(int file, struct npy_stream *stream, char message[NPY_MESSAGE_SIZE])
{
    struct reader reader = {.file = file, .message = message};
    *stream = (struct npy_stream){.file = file};
    if (!read_header(&reader, &stream->header))
        return false;
    stream->bytes = stream->header.elements * npy_element_size(stream->header.dtype);
    if (stream->bytes >= SIZE_MAX / 2)
        return SAY(&reader, "needs %" PRIu64 " bytes, more than this machine can address",
                   stream->bytes);

    struct stat status;
    const off_t at = lseek(file, 0, SEEK_CUR);
    stream->sized = at >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode);
    if (!stream->sized)
        return true;
    const uint64_t left = status.st_size > at ? (uint64_t)(status.st_size - at) : 0;
    return left == stream->bytes ? true : say_length(&reader, left, stream->bytes);
}

bool npy_next(struct npy_stream *stream, void *data, size_t size, char message[NPY_MESSAGE_SIZE])
{
    struct reader reader = {.file = stream->file, .message = message};
    const int64_t got = read_some(&reader, data, size);
    if (got < 0)
        return false;
    stream->done += (uint64_t)got;
    return (uint64_t)got == size ? true : say_length(&reader, stream->done, stream->bytes);
}

bool npy_end(struct npy_stream *stream, char message[NPY_MESSAGE_SIZE])
{
    char more;
    struct reader reader = {.file = stream->file, .message = message};
    const int64_t got = read_some(&reader, &more, 1);
    return got == 0  ? true
           : got < 0 ? false
                     : say_length(&reader, stream->bytes + 1, stream->bytes);
}

/* Reads what a file of known length holds. */
static bool read_sized(struct npy_stream *stream, struct npy_array *array,
                       char message[NPY_MESSAGE_SIZE])
{
    struct reader reader = {.message = message};
    array->data = malloc(array->bytes + 1);
    return array->data ? npy_next(stream, array->data, array->bytes, message)
                       : SAY(&reader, "needs %zu bytes: out of memory", array->bytes);
}

bool npy_read(int file, struct npy_array *array, char message[NPY_MESSAGE_SIZE])
{
    struct reader reader = {.file = file, .message = message};
    struct npy_stream stream;
    *array = (struct npy_array){.data = NULL};
    if (!npy_open(file, &stream, message))
        return false;
    array->header = stream.header;
    array->bytes = (size_t)stream.bytes;
    const bool good =
        stream.sized ? read_sized(&stream, array, message) : read_pipe(&reader, array);
    if (!good)
        npy_free(array);
    return good;
}

void npy_free(struct npy_array *array)
{
    free(array->data);
    *array = (struct npy_array){.data = NULL};
}
