/*
 * Runs of shares join in any order into the same bits: for up to thousands of ranks, which mpirun on
 * one machine cannot show. No MPI is needed here.
 */
#include "run.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { CHANNELS = 3, RECORD_MAX = 4 * CHANNELS * sizeof(double) };

/* splitmix64 */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static struct clnorm__record record_of(enum clnorm_operation operation, enum clnorm_dtype dtype)
{
    struct clnorm__record record = {.operation = operation, .dtype = dtype, .channels = CHANNELS};
    const size_t planes = operation == CLNORM_MOMENTS ? 4 : 2;
    record.bytes = planes * CHANNELS * clnorm_dtype_parameter_size(dtype);
    assert_int_equal(clnorm_moments_create(CHANNELS, &record.left), CLNORM_OK);
    assert_int_equal(clnorm_moments_create(CHANNELS, &record.right), CLNORM_OK);
    return record;
}

/* Values whose merging rounds; the counts of some shares are 0. */
static unsigned char *make_records(const struct clnorm__record *record, int64_t shares)
{
    unsigned char *const all = calloc((size_t)shares + 1, record->bytes);
    uint64_t state = (uint64_t)shares;
    struct clnorm_moments one;
    assert_non_null(all);
    assert_int_equal(clnorm_moments_create(CHANNELS, &one), CLNORM_OK);
    for (int64_t i = 0; i < shares; i++) {
        for (int c = 0; c < CHANNELS; c++) {
            one.count[c] = (double)(next(&state) % 5);
            one.mean[c] = one.count[c] > 0 ? 1e3 + (double)(next(&state) % 100000) / 7 : 0;
            one.m2[c] = one.count[c] > 1 ? (double)(next(&state) % 1000) / 3 : 0;
        }
        unsigned char packed[RECORD_MAX];
        clnorm_moments_pack(&one, record->dtype, packed);
        memcpy(all + (size_t)i * record->bytes, packed, record->bytes); /* sums: its first half */
    }
    clnorm_moments_free(&one);
    return all;
}

/* ---- Joining ------------------------------------------------------------------------------- */

struct part {
    struct clnorm__run run;
    int64_t first, end;
};

static struct part open_part(struct clnorm__record *record, int64_t shares, int64_t first)
{
    struct part part = {.run = {.record = record, .shares = shares}, .first = first, .end = first};
    part.run.records = calloc(clnorm__run_room(shares), record->bytes);
    assert_non_null(part.run.records);
    return part;
}

static void append(struct part *part, int64_t end, const void *records)
{
    clnorm__run_append(&part->run, part->end, end, records);
    part->end = end;
    assert_int_equal(part->run.count, clnorm__run_nodes(part->run.shares, part->first, end));
    assert_true(part->run.count < clnorm__run_room(part->run.shares));
}

/* Shares first to end - 1 as one rank has them, or as any tree of ranks joins them. */
static struct part reduce(struct clnorm__record *record, int64_t shares, const unsigned char *all,
                          int64_t first, int64_t end, uint64_t *state)
{
    struct part part = open_part(record, shares, first);
    if (end - first < 2 || next(state) % 4 == 0) {
        for (int64_t i = first; i < end; i++)
            append(&part, i + 1, all + (size_t)i * record->bytes);
        return part;
    }
    const int64_t middle = first + (int64_t)(next(state) % (uint64_t)(end - first + 1));
    struct part left = reduce(record, shares, all, first, middle, state);
    struct part right = reduce(record, shares, all, middle, end, state);
    append(&part, middle, left.run.records);
    append(&part, end, right.run.records);
    free(left.run.records);
    free(right.run.records);
    return part;
}

static struct part reduce_alone(struct clnorm__record *record, int64_t shares,
                                const unsigned char *all)
{
    struct part part = open_part(record, shares, 0);
    for (int64_t i = 0; i < shares; i++)
        append(&part, i + 1, all + (size_t)i * record->bytes);
    return part;
}

static void check(enum clnorm_operation operation, enum clnorm_dtype dtype, int64_t shares,
                  int trees)
{
    struct clnorm__record record = record_of(operation, dtype);
    unsigned char *const all = make_records(&record, shares);
    struct part alone = reduce_alone(&record, shares, all);
    assert_int_equal(alone.run.count, shares > 0);
    for (int i = 1; i <= trees; i++) {
        uint64_t state = (uint64_t)i;
        struct part joined = reduce(&record, shares, all, 0, shares, &state);
        assert_int_equal(joined.run.count, shares > 0);
        if (shares > 0)
            assert_memory_equal(joined.run.records, alone.run.records, record.bytes);
        free(joined.run.records);
    }
    free(alone.run.records);
    free(all);
    clnorm_moments_free(&record.left);
    clnorm_moments_free(&record.right);
}

static void any_tree_of_ranks_gives_the_same_bits(void **state)
{
    (void)state;
    for (int64_t shares = 0; shares <= 33; shares++) {
        check(CLNORM_MOMENTS, CLNORM_F32, shares, 40);
        check(CLNORM_BACKWARD_SUMS, CLNORM_BF16, shares, 20);
    }
    check(CLNORM_MOMENTS, CLNORM_F64, 1000, 20);
    check(CLNORM_MOMENTS, CLNORM_F16, 4096, 20);
    check(CLNORM_BACKWARD_SUMS, CLNORM_F64, 5000, 20);
}

/* Ranks with the same number of shares, a power of two, send one record each. */
static void equal_ranks_send_one_record(void **state)
{
    (void)state;
    for (int64_t each = 1; each <= 8; each *= 2)
        for (int64_t ranks = 1; ranks <= 300; ranks++)
            for (int64_t r = 0; r < ranks; r++) {
                const int64_t low = r == 0 ? INT64_C(1) << 20 : r & -r;
                const int64_t end = r + low < ranks ? r + low : ranks;
                assert_int_equal(clnorm__run_nodes(each * ranks, each * r, each * end), 1);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_tree_of_ranks_gives_the_same_bits),
        cmocka_unit_test(equal_ranks_send_one_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
