/*
 * libFuzzer on the .npy reader, once as header text and once as a file that comes through a pipe:
 *     clang -g -fsanitize=fuzzer,address,undefined -Iinclude -Itools tests/fuzz_npy.c tools/npy.c
 *         tools/npy_file.c -o fuzz_npy
 *     ./fuzz_npy -max_total_time=60
 */
#define _POSIX_C_SOURCE 200809L
#include "npy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIPE_HOLDS                                                                                 \
    4096 /* what POSIX lets one process write to a pipe that nobody reads: PIPE_BUF and more */

static void check_round_trip(const struct npy_header *header)
{
    char text[NPY_PREFIX_SIZE], message[NPY_MESSAGE_SIZE];
    struct npy_header again;
    const size_t length = npy_format(header, text);
    if (length % 64 != 0 || !npy_parse(text + 10, length - 10, &again, message))
        abort();
    if (again.dtype != header->dtype || again.rank != header->rank ||
        again.elements != header->elements ||
        memcmp(again.shape, header->shape, header->rank * sizeof header->shape[0]) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct npy_header header;
    struct npy_array array;
    char message[NPY_MESSAGE_SIZE];
    int ends[2];
    if (npy_parse((const char *)data, size, &header, message))
        check_round_trip(&header);
    if (size > PIPE_HOLDS || pipe(ends) != 0)
        return 0;
    const int written = write(ends[1], data, size) == (ssize_t)size;
    close(ends[1]);
    if (written && npy_read(ends[0], &array, message)) {
        check_round_trip(&array.header);
        npy_free(&array);
    }
    close(ends[0]);
    return 0;
}
