/*
 * NumPy's .npy files: versions 1.0, 2.0 and 3.0, C order, little-endian f2, f4 and f8. Anything
 * else is refused with a line that says what was found and how to save the array so that it can be
 * read.
 *
 * Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
#ifndef CLNORM_TOOLS_NPY_H
#define CLNORM_TOOLS_NPY_H

#include <clnorm/codegen.h>

#include <stdbool.h>

#define NPY_MAX_RANK     32   /* NumPy's own limit before 2.0 */
#define NPY_PREFIX_SIZE  1024 /* 32 extents of 20 digits, and 128 bytes: what npy_format writes */
#define NPY_MESSAGE_SIZE 256

struct npy_header {
    enum clnorm_dtype dtype; /* CLNORM_F16, CLNORM_F32 or CLNORM_F64 */
    unsigned rank;
    uint64_t shape[NPY_MAX_RANK];
    uint64_t elements; /* product of shape; at most 2^59, even with zero extents left out */
};

struct npy_array {
    struct npy_header header;
    void *data;   /* elements in C order, malloc'd; never NULL after a successful npy_read */
    size_t bytes; /* elements times element size */
};

/* Bytes of an element: 2, 4 or 8. */
size_t npy_element_size(enum clnorm_dtype dtype);

/*
 * Reads the header's text, a Python dictionary with exactly the keys descr, fortran_order and
 * shape. On failure returns false with a line in message that can follow the file's name, and
 * *header is unspecified.
 */
bool npy_parse(const char *text, size_t length, struct npy_header *header,
               char message[NPY_MESSAGE_SIZE]);

/*
 * Reads one array and the end of the file from a descriptor: a file, or a pipe. Nothing is
 * allocated before the file is known to be long enough; from a pipe, memory grows with what has
 * arrived. On failure returns false with a line in message, and *array is empty.
 */
bool npy_read(int file, struct npy_array *array, char message[NPY_MESSAGE_SIZE]);

/* An array that is read a piece at a time. */
struct npy_stream {
    int file;
    struct npy_header header;
    uint64_t bytes, done; /* of data: in all, and read so far */
    bool sized;           /* the file is known to hold that many, no more and no fewer */
};

/*
 * Reads what comes before the data; then npy_next reads the next `size` bytes of it, in all no more
 * than `bytes`, and npy_end makes sure that nothing comes after the last. The descriptor stays the
 * caller's. On failure they return false with a line in message.
 */
bool npy_open(int file, struct npy_stream *stream, char message[NPY_MESSAGE_SIZE]);
bool npy_next(struct npy_stream *stream, void *data, size_t size, char message[NPY_MESSAGE_SIZE]);
bool npy_end(struct npy_stream *stream, char message[NPY_MESSAGE_SIZE]);

/* Frees the data and empties the struct. */
void npy_free(struct npy_array *array);

/*
 * Writes what comes before the data in a version 1.0 file and returns its length, a multiple of 64.
 * As numpy.save does, but for the number of blanks, which differs between versions of NumPy.
 */
size_t npy_format(const struct npy_header *header, char text[NPY_PREFIX_SIZE]);

#endif
