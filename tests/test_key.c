#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clnorm/codegen.h>

#include "key.h"

static struct clnorm__key build(const char *const text[CLNORM__KEY_FIELD_COUNT])
{
    const char *field[CLNORM__KEY_FIELD_COUNT];
    struct clnorm__key key;
    memcpy(field, text, sizeof field);
    assert_true(clnorm__key_build(field, &key));
    return key;
}

static void fill(const char *field[CLNORM__KEY_FIELD_COUNT])
{
    static const char *const words[] = {"alpha", "", "a longer text\nof two lines", "x"};
    for (unsigned i = 0; i < CLNORM__KEY_FIELD_COUNT; i++) {
        field[i] = words[i % 4];
    }
}

static int same(const struct clnorm__key *a, const struct clnorm__key *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static void fields_come_back(void **state)
{
    (void)state;
    const char *field[CLNORM__KEY_FIELD_COUNT];
    fill(field);
    struct clnorm__key key = build(field);
    for (unsigned i = CLNORM__KEY_PROBLEM; i < CLNORM__KEY_FIELD_COUNT; i++) {
        size_t length = 99;
        const char *const text =
            clnorm__key_field(key.bytes, key.size, (enum clnorm__key_field)i, &length);
        assert_non_null(text);
        assert_int_equal(length, strlen(field[i]));
        assert_memory_equal(text, field[i], length);
    }
    clnorm__key_free(&key);
}

static void format_and_library_are_filled_in(void **state)
{
    (void)state;
    const char *field[CLNORM__KEY_FIELD_COUNT];
    size_t length = 0;
    fill(field);
    field[CLNORM__KEY_FORMAT] = field[CLNORM__KEY_LIBRARY] = NULL;
    struct clnorm__key key = build(field);
    const char *text = clnorm__key_field(key.bytes, key.size, CLNORM__KEY_LIBRARY, &length);
    assert_int_equal(length, strlen(clnorm_version()));
    assert_memory_equal(text, clnorm_version(), length);
    text = clnorm__key_field(key.bytes, key.size, CLNORM__KEY_FORMAT, &length);
    assert_non_null(text);
    assert_true(length > 0);
    assert_true(clnorm__key_is_current(key.bytes, key.size));
    clnorm__key_free(&key);
}

/* A digit of the version is changed in place. */
static void another_version_is_not_current(void **state)
{
    (void)state;
    for (unsigned i = CLNORM__KEY_FORMAT; i <= CLNORM__KEY_LIBRARY; i++) {
        const char *field[CLNORM__KEY_FIELD_COUNT];
        size_t length = 0;
        fill(field);
        struct clnorm__key key = build(field);
        const char *const text =
            clnorm__key_field(key.bytes, key.size, (enum clnorm__key_field)i, &length);
        assert_non_null(text);
        unsigned char *const bytes = key.bytes;
        bytes[(const unsigned char *)text - bytes + (ptrdiff_t)length - 1] ^= 1;
        assert_false(clnorm__key_is_current(key.bytes, key.size));
        clnorm__key_free(&key);
    }
    assert_false(clnorm__key_is_current("", 0));
}

static void each_field_matters(void **state)
{
    (void)state;
    const char *field[CLNORM__KEY_FIELD_COUNT];
    fill(field);
    struct clnorm__key key = build(field);
    struct clnorm__key again = build(field);
    assert_true(same(&key, &again));
    clnorm__key_free(&again);
    for (unsigned i = CLNORM__KEY_PROBLEM; i < CLNORM__KEY_FIELD_COUNT; i++) {
        const char *const kept = field[i];
        field[i] = "another";
        struct clnorm__key other = build(field);
        assert_false(same(&key, &other));
        clnorm__key_free(&other);
        field[i] = kept;
    }
    clnorm__key_free(&key);
}

/* "ab" + "c" and "a" + "bc" are the same characters in a row, and must not be the same key. */
static void characters_do_not_move_between_fields(void **state)
{
    (void)state;
    const char *field[CLNORM__KEY_FIELD_COUNT];
    fill(field);
    field[CLNORM__KEY_SOURCE] = "ab";
    field[CLNORM__KEY_OPTIONS] = "c";
    struct clnorm__key one = build(field);
    field[CLNORM__KEY_SOURCE] = "a";
    field[CLNORM__KEY_OPTIONS] = "bc";
    struct clnorm__key other = build(field);
    assert_false(same(&one, &other));
    clnorm__key_free(&one);
    clnorm__key_free(&other);
}

/* Exact allocations, so that a sanitizer sees a read past the end. */
static void bytes_that_are_no_key_have_no_fields(void **state)
{
    (void)state;
    const char *field[CLNORM__KEY_FIELD_COUNT];
    fill(field);
    struct clnorm__key key = build(field);
    size_t length = 0;
    for (size_t size = 0; size < key.size; size++) {
        void *const part = malloc(size ? size : 1);
        assert_non_null(part);
        memcpy(part, key.bytes, size);
        assert_null(clnorm__key_field(part, size, CLNORM__KEY_FORMAT, &length));
        free(part);
    }
    unsigned char *const longer = malloc(key.size + 1);
    assert_non_null(longer);
    memcpy(longer, key.bytes, key.size);
    longer[key.size] = 0;
    assert_null(clnorm__key_field(longer, key.size + 1, CLNORM__KEY_FORMAT, &length));
    memset(longer, 0xff, 8); /* a first field of 2^64 - 1 characters */
    assert_null(clnorm__key_field(longer, key.size, CLNORM__KEY_FORMAT, &length));
    assert_null(clnorm__key_field(key.bytes, key.size, CLNORM__KEY_FIELD_COUNT, &length));
    free(longer);
    clnorm__key_free(&key);
}

/*
 * Lengths of 2^64 - 1, which with the 8 bytes of the length itself wrap around to 7: 13 of them
 * overlap in 92 bytes of 0xff, and the last field's length starts with the last of these. A sum
 * that wraps finds 14 fields here, up to the last byte.
 */
static void lengths_that_wrap_around_are_refused(void **state)
{
    (void)state;
    enum { WRAPPED = 7 * (CLNORM__KEY_FIELD_COUNT - 1), LAST = 0xff };
    unsigned char bytes[WRAPPED + 8 + LAST] = {0};
    size_t length = 0;
    memset(bytes, 0xff, WRAPPED + 1);
    for (unsigned i = 0; i < CLNORM__KEY_FIELD_COUNT; i++) {
        assert_null(clnorm__key_field(bytes, sizeof bytes, (enum clnorm__key_field)i, &length));
    }
}

static void freeing_nothing_is_fine(void **state)
{
    (void)state;
    struct clnorm__key key = {0};
    clnorm__key_free(NULL);
    clnorm__key_free(&key);
    const char *field[CLNORM__KEY_FIELD_COUNT];
    fill(field);
    key = build(field);
    clnorm__key_free(&key);
    assert_null(key.bytes);
    clnorm__key_free(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_back),
        cmocka_unit_test(format_and_library_are_filled_in),
        cmocka_unit_test(another_version_is_not_current),
        cmocka_unit_test(each_field_matters),
        cmocka_unit_test(characters_do_not_move_between_fields),
        cmocka_unit_test(bytes_that_are_no_key_have_no_fields),
        cmocka_unit_test(lengths_that_wrap_around_are_refused),
        cmocka_unit_test(freeing_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
