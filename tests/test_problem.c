/* The problem grammar: what is accepted, what is refused and how, and that text and struct are each
 * other's inverse. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <clnorm/codegen.h>

#include "variants.h"

static void test_parse(void **unused)
{
    (void)unused;
    struct clnorm_problem p;
    assert_int_equal(
        clnorm_problem_parse("forward nhwc f16 ?x64x? +scale +shift +relu", &p, NULL, 0),
        CLNORM_OK);
    assert_int_equal(p.operation, CLNORM_FORWARD);
    assert_int_equal(p.layout, CLNORM_NHWC);
    assert_int_equal(p.dtype, CLNORM_F16);
    assert_int_equal(p.batch, CLNORM_ANY);
    assert_int_equal(p.channels, 64);
    assert_int_equal(p.spatial, CLNORM_ANY);
    assert_int_equal(p.flags, CLNORM_SCALE | CLNORM_SHIFT | CLNORM_RELU);
    assert_int_equal(clnorm_problem_parse("  infer\tnchw f64 32x3x5x7x11  ", &p, NULL, 0),
                     CLNORM_OK);
    assert_int_equal(p.spatial, 5 * 7 * 11);
    assert_int_equal(clnorm_problem_parse("infer nchw f64 256x1024", &p, NULL, 0), CLNORM_OK);
    assert_int_equal(p.spatial, 1);
    assert_int_equal(clnorm_problem_parse("infer nchw f64 4x2x3x?x0", &p, NULL, 0), CLNORM_OK);
    assert_int_equal(p.spatial, CLNORM_ANY);
    assert_int_equal(clnorm_problem_parse("infer nchw f64 0x2x0", &p, NULL, 0), CLNORM_OK);
    assert_int_equal(p.batch, 0);
    assert_int_equal(p.spatial, 0);
}

static void test_refuse(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *says;
    } wrong[] = {
        {"", "operation is missing"},
        {"foward nchw f32 1x1", "'foward' is not an operation"},
        {"forward chwn f32 1x1", "'chwn' is not a layout"},
        {"forward nchw f8 1x1", "'f8' is not a dtype"},
        {"forward nchw f32", "dims"},
        {"forward nchw f32 32", "at least batch and channels"},
        {"forward nchw f32 1x?x1", "channel count must be known"},
        {"forward nchw f32 1x0x1", "channels must be"},
        {"forward nchw f32 1xx1", "extents are numbers"},
        {"forward nchw f32 1x1x", "extents are numbers"},
        {"forward nchw f32 -1x1", "extents are numbers"},
        {"forward nchw f32 1*1", "joined by x"},
        {"forward nchw f32 99999999999999999999x1", "extents are numbers below 2^60"},
        {"forward nchw f32 1x1x4611686018427387904", "too large"},
        {"forward nchw f32 2147483650x2147483647", "too large"},
        {"forward nchw f32 1x4294967296", "channels must be"},
        {"forward nchw f64 2305843009213693952x1", "too large"},
        {"forward nchw f32 1x1 scale", "flags begin with +"},
        {"forward nchw f32 1x1 +sclae", "'sclae' is not a flag"},
        {"infer nchw f32 1x1 +running", "infer does not take the flags +running"},
        {"forward nchw f32 1x1 +biased", "needs +running"},
        {"backward nchw f32 1x1 +scale +sgd +adam", "one optimiser"},
        {"backward nchw f32 1x1 +sgd", "needs parameters"},
        {"update nchw f32 1x1 +scale", "needs an optimiser"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct clnorm_problem p = {.channels = 77};
        char message[256] = "";
        assert_int_equal(clnorm_problem_parse(wrong[i].text, &p, message, sizeof message),
                         CLNORM_INVALID_ARGUMENT);
        if (!strstr(message, wrong[i].says))
            fail_msg("'%s' is refused with '%s', which does not say '%s'", wrong[i].text, message,
                     wrong[i].says);
        assert_int_equal(p.channels, 77);
        assert_null(strchr(message, '\n'));
    }
}

static int check_inverse(void *unused, const struct variant *v)
{
    (void)unused;
    char text[CLNORM_PROBLEM_TEXT_SIZE], again[CLNORM_PROBLEM_TEXT_SIZE];
    struct clnorm_problem p;
    clnorm_problem_format(&v->problem, text);
    assert_int_equal(clnorm_problem_parse(text, &p, NULL, 0), CLNORM_OK);
    assert_memory_equal(&p, &v->problem, sizeof p);
    clnorm_problem_format(&p, again);
    assert_string_equal(again, text);
    return 0;
}

static void test_inverse(void **unused)
{
    (void)unused;
    assert_int_equal(visit_variants(check_inverse, NULL), 0);
    const struct clnorm_problem largest = {
        CLNORM_BACKWARD_FROZEN, CLNORM_NHWC, CLNORM_BF16, 1, 1, (INT64_C(1) << 60) - 1, 0, 0};
    const struct variant v = {.problem = largest};
    check_inverse(NULL, &v);
}

static void test_names_outside(void **unused)
{
    (void)unused;
    assert_null(clnorm_operation_name(CLNORM_OPERATION_COUNT));
    assert_null(clnorm_layout_name((enum clnorm_layout)99));
    assert_null(clnorm_dtype_name(CLNORM_DTYPE_COUNT));
    assert_null(clnorm_kind_name(CLNORM_KIND_COUNT));
    assert_int_equal(clnorm_dtype_size(CLNORM_DTYPE_COUNT), 0);
    assert_non_null(clnorm_status_text((enum clnorm_status)99));
    struct clnorm_problem p = {.operation = CLNORM_OPERATION_COUNT, .channels = 1};
    assert_int_equal(clnorm_problem_check(&p, NULL, 0), CLNORM_INVALID_ARGUMENT);
    p = (struct clnorm_problem){.channels = 1, .batch = -2};
    assert_int_equal(clnorm_problem_check(&p, NULL, 0), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_problem_check(NULL, NULL, 0), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_problem_parse(NULL, &p, NULL, 0), CLNORM_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_refuse),
        cmocka_unit_test(test_inverse),
        cmocka_unit_test(test_names_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
