/*
 * Moments as objects of the host: those of unequal batches, as a device leaves them, merge into
 * those of all values; and what is exact is exact.
 */
#include "compare.h"
#include "convert.h"
#include "reference.h"
#include "testing.h"

#include <clnorm/moments.h>

#include <stdlib.h>

/* ---- From a device ------------------------------------------------------------------------- */

enum { CHANNELS = 5, SPATIAL = 33, BATCH = 12 };
static const int64_t batches[] = {0, 1, 7, 1, 3, 0};

/* Rows first, first + batch, ... of the whole, reduced on the device and merged into *total. */
static int add_batch(struct clnorm_context *context, const struct clnorm_values *whole,
                     int64_t first, int64_t batch, struct clnorm_moments *total)
{
    struct clnorm_values part;
    struct clnorm_moments moments;
    assert_int_equal(clnorm_values_create(&part, &whole->problem, batch, SPATIAL, 1), CLNORM_OK);
    struct clnorm_slot_values *const x = &part.slot[CLNORM_SLOT_X];
    const struct clnorm_slot_values *const left = &part.slot[CLNORM_SLOT_MOMENTS];
    if (x->elements > 0)
        memcpy(x->data, whole->slot[CLNORM_SLOT_X].data + first * CHANNELS * SPATIAL,
               x->elements * sizeof(double));
    const int ran = execute(context, NULL, &part, NULL);
    if (ran) {
        unsigned char record[4 * CHANNELS * sizeof(double)];
        for (size_t i = 0; i < left->elements; i++)
            clnorm_convert_store(left->dtype, record, i, left->data[i]);
        assert_int_equal(clnorm_moments_create(CHANNELS, &moments), CLNORM_OK);
        clnorm_moments_unpack(&moments, whole->problem.dtype, record);
        assert_int_equal(clnorm_moments_merge(total, &moments), CLNORM_OK);
        clnorm_moments_free(&moments);
    }
    clnorm_values_free(&part);
    return ran;
}

static void check_batches(struct clnorm_context *context, const char *text, enum clnorm_data data)
{
    struct clnorm_values whole = values_of(text, BATCH, SPATIAL, 1, data, 71), expected;
    struct clnorm_moments total;
    char detail[256] = "";
    assert_int_equal(clnorm_values_copy(&expected, &whole), CLNORM_OK);
    assert_int_equal(clnorm_moments_create(CHANNELS, &total), CLNORM_OK);
    clnorm_reference_run(&expected);
    int64_t first = 0;
    int ran = 1;
    for (size_t i = 0; ran && i < sizeof batches / sizeof *batches; first += batches[i++])
        ran = add_batch(context, &whole, first, batches[i], &total);
    memcpy(whole.slot[CLNORM_SLOT_MOMENTS].data, total.count, 4 * CHANNELS * sizeof(double));
    if (ran && clnorm_compare(&expected, &whole, detail, sizeof detail) > 1)
        fail_msg("%s, %s: %s", text, clnorm_data_name(data), detail);
    clnorm_moments_free(&total);
    clnorm_values_free(&expected);
    clnorm_values_free(&whole);
}

static void unequal_batches_are_the_whole(void **state)
{
    static const char *const texts[] = {
        "moments nchw f32 ?x5x?", "moments nhwc f32 ?x5x?",  "moments nchw f16 ?x5x?",
        "moments nhwc f16 ?x5x?", "moments nchw bf16 ?x5x?", "moments nchw f64 ?x5x?",
    };
    static const enum clnorm_data kinds[] = {CLNORM_DATA_ORDINARY, CLNORM_DATA_LARGE_MEAN,
                                             CLNORM_DATA_OUTLIER, CLNORM_DATA_CONSTANT,
                                             CLNORM_DATA_NAN};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            check_batches(*state, texts[i], kinds[k]);
}

/* ---- On the host --------------------------------------------------------------------------- */

/* Moments of one channel that saw these values, one after the other. */
static struct clnorm_moments of_values(const double *values, size_t count)
{
    struct clnorm_moments moments, one;
    assert_int_equal(clnorm_moments_create(1, &moments), CLNORM_OK);
    assert_int_equal(clnorm_moments_create(1, &one), CLNORM_OK);
    for (size_t i = 0; i < count; i++) {
        one.count[0] = 1;
        one.mean[0] = values[i];
        assert_int_equal(clnorm_moments_merge(&moments, &one), CLNORM_OK);
    }
    clnorm_moments_free(&one);
    return moments;
}

static void assert_moments(const struct clnorm_moments *moments, double count, double mean,
                           double m2)
{
    assert_true(moments->count[0] == count && moments->mean[0] == mean && moments->m2[0] == m2);
}

static void assert_variance(const struct clnorm_moments *moments, double unbiased, double biased)
{
    double mean, var[2];
    clnorm_moments_statistics(moments, 0, &mean, &var[0]);
    clnorm_moments_statistics(moments, CLNORM_BIASED, NULL, &var[1]);
    assert_true(mean == moments->mean[0] && var[0] == unbiased && var[1] == biased);
}

static void nothing_and_one_value_are_exact(void **state)
{
    (void)state;
    const double values[] = {3.5};
    struct clnorm_moments none = of_values(values, 0), one = of_values(values, 1);
    assert_moments(&none, 0, 0, 0);
    assert_variance(&none, 0, 0);
    assert_moments(&one, 1, 3.5, 0);
    assert_variance(&one, 0, 0);
    assert_int_equal(clnorm_moments_merge(&one, &none), CLNORM_OK);
    assert_moments(&one, 1, 3.5, 0);
    assert_int_equal(clnorm_moments_merge(&none, &one), CLNORM_OK);
    assert_moments(&none, 1, 3.5, 0);
    one.count[0] = 0;
    one.mean[0] = NAN; /* of no values */
    assert_int_equal(clnorm_moments_merge(&none, &one), CLNORM_OK);
    assert_moments(&none, 1, 3.5, 0);
    clnorm_moments_free(&none);
    clnorm_moments_free(&one);
}

/* The mean, 1e16 + 1, lies between two doubles. */
static void the_mean_is_a_pair(void **state)
{
    (void)state;
    const double values[] = {1e16, 1e16 + 2, 1e16, 1e16 + 2};
    struct clnorm_moments moments = of_values(values, 4);
    assert_true(fabs(moments.mean[0] - 1e16) <= 2);
    assert_true(fabs((moments.mean[0] - 1e16) + moments.rest[0] - 1) < 1e-9);
    assert_true(fabs(moments.m2[0] - 4) < 1e-9);
    clnorm_moments_free(&moments);
}

/* Batches of a million values that were drawn far from each other, against the closed form. */
static void counts_beyond_a_float(void **state)
{
    (void)state;
    struct clnorm_moments total, batch;
    assert_int_equal(clnorm_moments_create(1, &total), CLNORM_OK);
    assert_int_equal(clnorm_moments_create(1, &batch), CLNORM_OK);
    for (int i = 0; i < 1000; i++) {
        batch.count[0] = 1e6 + 1;
        batch.mean[0] = i;
        batch.m2[0] = 0;
        assert_int_equal(clnorm_moments_merge(&total, &batch), CLNORM_OK);
    }
    assert_true(total.count[0] == 1000 * (1e6 + 1));
    assert_true(fabs(total.mean[0] - 499.5) < 1e-12);
    const double m2 = (1e6 + 1) * 1000.0 * (1000.0 * 1000.0 - 1) / 12;
    assert_true(fabs(total.m2[0] / m2 - 1) < 1e-13);
    clnorm_moments_free(&total);
    clnorm_moments_free(&batch);
}

static void packing_keeps_what_a_record_holds(void **state)
{
    (void)state;
    struct clnorm_moments moments, again;
    unsigned char record[8 * sizeof(double) + 1];
    assert_int_equal(clnorm_moments_create(2, &moments), CLNORM_OK);
    assert_int_equal(clnorm_moments_create(2, &again), CLNORM_OK);
    moments.count[0] = 16777216;
    moments.mean[0] = 1e6 + 0.1;
    moments.m2[0] = 0.3;
    moments.count[1] = 3;
    moments.mean[1] = -0.1;
    moments.rest[1] = 1e-18;
    clnorm_moments_pack(&moments, CLNORM_F64, record + 1); /* of any alignment */
    clnorm_moments_unpack(&again, CLNORM_F64, record + 1);
    assert_memory_equal(moments.count, again.count, 8 * sizeof(double));
    clnorm_moments_pack(&moments, CLNORM_BF16, record + 1);
    clnorm_moments_unpack(&again, CLNORM_BF16, record + 1);
    assert_true(again.count[0] == 16777216 && again.mean[0] == (double)1000000.125f);
    assert_true(fabs(again.mean[0] + again.rest[0] - moments.mean[0]) < 1e-9);
    assert_true(again.m2[0] == (double)0.3f);
    clnorm_moments_free(&moments);
    clnorm_moments_free(&again);
}

static void a_nan_stays_in_its_channel(void **state)
{
    (void)state;
    struct clnorm_moments a, b;
    double mean[2], var[2];
    assert_int_equal(clnorm_moments_create(2, &a), CLNORM_OK);
    assert_int_equal(clnorm_moments_create(2, &b), CLNORM_OK);
    for (int c = 0; c < 2; c++) {
        a.count[c] = b.count[c] = 1;
        a.mean[c] = c;
        b.mean[c] = c + 2;
    }
    b.mean[1] = b.m2[1] = NAN;
    assert_int_equal(clnorm_moments_merge(&a, &b), CLNORM_OK);
    clnorm_moments_statistics(&a, 0, mean, var);
    assert_true(mean[0] == 1 && var[0] == 2 && isnan(mean[1]) && isnan(var[1]));
    clnorm_moments_statistics(&a, CLNORM_BIASED, NULL, var);
    assert_true(var[0] == 1 && isnan(var[1]));
    assert_int_equal(clnorm_moments_check(&a, NULL, 0), CLNORM_OK);
    clnorm_moments_free(&a);
    clnorm_moments_free(&b);
}

static void wrong_use_is_refused(void **state)
{
    (void)state;
    static const double wrong[][3] = {{-1, 0, 0}, {NAN, 0, 0}, {INFINITY, 0, 0}, {2, 0, -1},
                                      {0, 1, 0},  {0, 0, 1},   {0, NAN, 0}};
    struct clnorm_moments two, three = {.channels = 7};
    char message[160];
    assert_int_equal(clnorm_moments_create(0, &three), CLNORM_INVALID_ARGUMENT);
    assert_true(three.channels == 0 && !three.count);
    assert_int_equal(clnorm_moments_create(INT64_MAX, &three), CLNORM_OUT_OF_MEMORY);
    assert_int_equal(clnorm_moments_create(3, &three), CLNORM_OK);
    assert_int_equal(clnorm_moments_create(2, &two), CLNORM_OK);
    assert_int_equal(clnorm_moments_merge(&two, &three), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_moments_check(&two, message, sizeof message), CLNORM_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        two.count[1] = wrong[i][0];
        two.mean[1] = wrong[i][1];
        two.m2[1] = wrong[i][2];
        assert_int_equal(clnorm_moments_check(&two, message, sizeof message),
                         CLNORM_INVALID_ARGUMENT);
        assert_non_null(strstr(message, "channel 1"));
        assert_int_equal(clnorm_moments_check(&two, NULL, 0), CLNORM_INVALID_ARGUMENT);
    }
    clnorm_moments_free(&two);
    clnorm_moments_free(&two); /* empty */
    clnorm_moments_free(&three);
    clnorm_moments_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unequal_batches_are_the_whole),
        cmocka_unit_test(nothing_and_one_value_are_exact),
        cmocka_unit_test(the_mean_is_a_pair),
        cmocka_unit_test(counts_beyond_a_float),
        cmocka_unit_test(packing_keeps_what_a_record_holds),
        cmocka_unit_test(a_nan_stays_in_its_channel),
        cmocka_unit_test(wrong_use_is_refused),
    };
    return cmocka_run_group_tests(tests, make_context, release_context);
}
