/* tools/npy.c: what numpy.save writes is read, from files and pipes, and everything else is refused
 * in words. */
#define _POSIX_C_SOURCE 200809L
#include "npy.h"

#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct file {
    char bytes[4096];
    size_t length;
};

/* A .npy file: version, header text padded as NumPy does, and `data` bytes 0, 1, 2, ... */
static struct file make_file(unsigned version, const char *header, size_t data)
{
    struct file file = {.length = version == 1 ? 10 : 12};
    const size_t text = strlen(header);
    const size_t padded = (file.length + text + 64) / 64 * 64 - file.length;
    memcpy(file.bytes, "\x93NUMPY", 6);
    file.bytes[6] = (char)version;
    file.bytes[8] = (char)(padded & 0xff);
    file.bytes[9] = (char)(padded >> 8);
    memset(file.bytes + file.length, ' ', padded);
    memcpy(file.bytes + file.length, header, text);
    file.bytes[file.length + padded - 1] = '\n';
    file.length += padded;
    for (size_t i = 0; i < data; i++)
        file.bytes[file.length++] = (char)i;
    return file;
}

static bool read_from_file(const struct file *file, struct npy_array *array, char *message)
{
    FILE *const stream = tmpfile();
    assert_non_null(stream);
    assert_int_equal(fwrite(file->bytes, 1, file->length, stream), file->length);
    rewind(stream);
    const bool good = npy_read(fileno(stream), array, message);
    fclose(stream);
    return good;
}

static bool read_from_pipe(const struct file *file, struct npy_array *array, char *message)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], file->bytes, file->length), file->length);
    close(ends[1]);
    const bool good = npy_read(ends[0], array, message);
    close(ends[0]);
    return good;
}

static bool (*const readers[])(const struct file *, struct npy_array *, char *) = {read_from_file,
                                                                                   read_from_pipe};

static const struct good_case {
    unsigned version;
    const char *header;
    size_t data;
    struct npy_header expected;
} good_cases[] = {
    {1,
     "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
     24,
     {CLNORM_F32, 2, {2, 3}, 6}},
    {1, "{'descr': '<f2', 'fortran_order': False, 'shape': (5,), }", 10, {CLNORM_F16, 1, {5}, 5}},
    {2, "{'descr': '<f8', 'fortran_order': False, 'shape': (), }", 8, {CLNORM_F64, 0, {0}, 1}},
    {3,
     "{'shape':(1,2,1,2,),\"descr\":\"<f4\",'fortran_order':False}",
     16,
     {CLNORM_F32, 4, {1, 2, 1, 2}, 4}},
    {1,
     "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3, 7), }",
     0,
     {CLNORM_F32, 3, {0, 3, 7}, 0}},
};

static void reads_what_numpy_writes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_cases / sizeof good_cases[0]; i++) {
        const struct good_case *const one = &good_cases[i];
        const struct file file = make_file(one->version, one->header, one->data);
        for (size_t r = 0; r < 2; r++) {
            struct npy_array array;
            char message[NPY_MESSAGE_SIZE] = "";
            if (!readers[r](&file, &array, message))
                fail_msg("%s: %s", one->header, message);
            assert_int_equal(array.header.dtype, one->expected.dtype);
            assert_int_equal(array.header.rank, one->expected.rank);
            assert_int_equal(array.header.elements, one->expected.elements);
            assert_memory_equal(array.header.shape, one->expected.shape,
                                one->expected.rank * sizeof(uint64_t));
            assert_int_equal(array.bytes, one->data);
            for (size_t b = 0; b < array.bytes; b++)
                assert_int_equal(((unsigned char *)array.data)[b], b);
            npy_free(&array);
        }
    }
}

#define SHAPE(text) "{'descr': '<f4', 'fortran_order': False, 'shape': " text ", }"
#define DESCR(text) "{'descr': " text ", 'fortran_order': False, 'shape': (2,), }"

static const struct bad_case {
    const char *header;
    const char *says; /* part of the message */
} bad_cases[] = {
    {DESCR("'>f4'"), "dtype '>f4'"},
    {DESCR("'=f4'"), "dtype '=f4'"},
    {DESCR("'|f4'"), "dtype '|f4'"},
    {DESCR("'<i4'"), "dtype '<i4'"},
    {DESCR("'|O'"), "dtype '|O'"},
    {DESCR("'<f16'"), "dtype '<f16'"},
    {DESCR("''"), "dtype ''"},
    {DESCR("[('a', '<f4')]"), "structured"},
    {DESCR("'<f4"), "dtype"},
    {DESCR("4"), "dtype in quotes"},
    {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", "Fortran order"},
    {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3), }", "True or False"},
    {"{'descr': '<f4', 'shape': (2,), }", "fortran_order"},
    {"{'descr': '<f4', 'fortran_order': False, }", "shape"},
    {"{'fortran_order': False, 'shape': (2,), }", "descr"},
    {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "once"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}", "once"},
    {"{'descr': '<f4' 'fortran_order': False, 'shape': (2,), }", "','"},
    {"{'descr' '<f4', 'fortran_order': False, 'shape': (2,), }", "':'"},
    {SHAPE("(2,)") " x", "nothing after"},
    {SHAPE("(2)"), "tuple"},
    {SHAPE("[2]"), "tuple"},
    {SHAPE("2"), "tuple"},
    {SHAPE("(,)"), "extent"},
    {SHAPE("(2,,3)"), "extent"},
    {SHAPE("(2 3)"), "','"},
    {SHAPE("(-1,)"), "extent"},
    {SHAPE("(2.0,)"), "','"},
    {SHAPE("(((((2,"), "extent"},
    {SHAPE("(18446744073709551617, 2)"), "2^59"},
    {SHAPE("(4294967296, 4294967296)"), "2^59"},
    {SHAPE("(0, 4294967296, 4294967296)"), "2^59"},
    {SHAPE("(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)"), "32 axes"},
    {"", "'{'"},
    {"{", "key"},
    {"{'descr", "key"},
};

static void refuses_other_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_cases / sizeof bad_cases[0]; i++) {
        const struct file file = make_file(1, bad_cases[i].header, 24);
        for (size_t r = 0; r < 2; r++) {
            struct npy_array array;
            char message[NPY_MESSAGE_SIZE] = "";
            if (readers[r](&file, &array, message))
                fail_msg("accepted: %s", bad_cases[i].header);
            if (!strstr(message, bad_cases[i].says) || strchr(message, '\n'))
                fail_msg("%s: said '%s' where '%s' was expected", bad_cases[i].header, message,
                         bad_cases[i].says);
            assert_null(array.data);
        }
    }
}

/* Cut anywhere, or with a byte too many, the file is refused; nothing is read past the end (ASan).
 */
static void refuses_other_lengths(void **state)
{
    (void)state;
    struct npy_array array;
    char message[NPY_MESSAGE_SIZE];
    struct file file = make_file(1, SHAPE("(2, 3)"), 25);
    for (size_t length = 0; length <= file.length; length++) {
        struct file cut = file;
        cut.length = length;
        for (size_t r = 0; r < 2; r++) {
            const bool good = readers[r](&cut, &array, message);
            assert_int_equal(good, length + 1 == file.length);
            npy_free(&array);
        }
    }
}

/* A header that announces 2 EiB in a file of 200 bytes costs no memory; nor does one that announces
 * a header of 4 GiB. */
static void allocates_only_what_is_there(void **state)
{
    (void)state;
    struct npy_array array;
    char message[NPY_MESSAGE_SIZE] = "";
    const struct file large = make_file(1, SHAPE("(576460752303423488,)"), 24);
    for (size_t r = 0; r < 2; r++) {
        assert_false(readers[r](&large, &array, message));
        assert_non_null(strstr(message, "holds 24 bytes"));
    }
    struct file header = make_file(2, SHAPE("(2,)"), 8);
    memset(header.bytes + 8, 0xff, 4);
    assert_false(read_from_file(&header, &array, message));
    assert_non_null(strstr(message, "4294967295"));
}

static void refuses_other_files(void **state)
{
    (void)state;
    struct npy_array array;
    char message[NPY_MESSAGE_SIZE] = "";
    struct file file = {.bytes = "P6 not an array", .length = 15};
    assert_false(read_from_file(&file, &array, message));
    assert_non_null(strstr(message, "not a .npy file"));
    file = make_file(4, SHAPE("(2,)"), 8);
    assert_false(read_from_file(&file, &array, message));
    assert_non_null(strstr(message, "version 4.0"));
    assert_false(npy_read(-1, &array, message));
    assert_non_null(strstr(message, "cannot be read"));
}

/* Larger than a pipe holds and than the first buffer, so that the buffer has to grow while a child
 * writes. */
static void reads_a_long_pipe(void **state)
{
    (void)state;
    const struct file prefix = make_file(1, SHAPE("(100000, 3)"), 0);
    char command[64], message[NPY_MESSAGE_SIZE] = "";
    struct npy_array array;
    for (int extra = -1; extra <= 1; extra++) {
        snprintf(command, sizeof command, "head -c %d /dev/zero", 1200000 + extra);
        FILE *const zeros = popen(command, "r");
        assert_non_null(zeros);
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        const pid_t child = fork();
        if (child == 0) {
            char block[4096];
            size_t got;
            close(ends[0]);
            ssize_t put = write(ends[1], prefix.bytes, prefix.length);
            while (put >= 0 && (got = fread(block, 1, sizeof block, zeros)) > 0)
                put = write(ends[1], block, got);
            _exit(0);
        }
        close(ends[1]);
        assert_int_equal(npy_read(ends[0], &array, message), extra == 0);
        assert_int_equal(array.bytes, extra == 0 ? 1200000 : 0);
        npy_free(&array);
        close(ends[0]);
        pclose(zeros);
    }
}

static void writes_what_it_reads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_cases / sizeof good_cases[0]; i++) {
        char text[NPY_PREFIX_SIZE], message[NPY_MESSAGE_SIZE];
        struct npy_header header;
        const size_t length = npy_format(&good_cases[i].expected, text);
        assert_int_equal(length % 64, 0);
        assert_int_equal(text[length - 1], '\n');
        assert_memory_equal(text, "\x93NUMPY\x01\x00", 8);
        assert_int_equal((unsigned char)text[8] + 256 * (unsigned char)text[9], length - 10);
        assert_true(npy_parse(text + 10, length - 10, &header, message));
        assert_memory_equal(&header, &good_cases[i].expected, sizeof header);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_numpy_writes), cmocka_unit_test(refuses_other_headers),
        cmocka_unit_test(refuses_other_lengths),   cmocka_unit_test(allocates_only_what_is_there),
        cmocka_unit_test(refuses_other_files),     cmocka_unit_test(reads_a_long_pipe),
        cmocka_unit_test(writes_what_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
