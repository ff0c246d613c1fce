/* The judge is judged: conversions over all bit patterns, the reference by identities, the
 * comparison by seeded faults. */
#include "compare.h"
#include "convert.h"
#include "reference.h"
#include "testing.h"

static void every_half_survives_the_round_trip(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        const double half = clnorm_convert_from_half((uint16_t)bits),
                     wide = clnorm_convert_from_bf16((uint16_t)bits);
        if (isnan(half))
            assert_true((bits & 0x7c00) == 0x7c00 &&
                        isnan(clnorm_convert_from_half(clnorm_convert_to_half(half))));
        else
            assert_int_equal(clnorm_convert_to_half(half), bits);
        if (isnan(wide))
            assert_true((bits & 0x7f80) == 0x7f80 &&
                        isnan(clnorm_convert_from_bf16(clnorm_convert_to_bf16(wide))));
        else
            assert_int_equal(clnorm_convert_to_bf16(wide), bits);
    }
}

/* Half-way between neighbours: the even one; a hair to either side: the nearer one. */
static void halfway_rounds_to_even(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x7bff; bits++) {
        const double low = clnorm_convert_from_half((uint16_t)bits),
                     high = clnorm_convert_from_half((uint16_t)(bits + 1));
        const double middle = (low + high) / 2;
        assert_int_equal(clnorm_convert_to_half(middle), bits + (bits & 1));
        assert_int_equal(clnorm_convert_to_half(nextafter(middle, 0)), bits);
        assert_int_equal(clnorm_convert_to_half(nextafter(middle, high)), bits + 1);
    }
    for (uint32_t bits = 0; bits < 0x7f7f; bits++) {
        const double low = clnorm_convert_from_bf16((uint16_t)bits),
                     high = clnorm_convert_from_bf16((uint16_t)(bits + 1));
        assert_int_equal(clnorm_convert_to_bf16(-(low + high) / 2), 0x8000 + bits + (bits & 1));
    }
    assert_int_equal(clnorm_convert_to_half(65519.99), 0x7bff);
    assert_int_equal(clnorm_convert_to_half(65520), 0x7c00);
    assert_int_equal(clnorm_convert_to_half(1e300), 0x7c00);
    assert_int_equal(clnorm_convert_to_half(-1e-300), 0x8000);
}

static void known_bit_patterns(void **state)
{
    (void)state;
    assert_int_equal(clnorm_convert_to_half(1), 0x3c00);
    assert_int_equal(clnorm_convert_to_half(-2), 0xc000);
    assert_int_equal(clnorm_convert_to_half(0x1p-24), 1);
    assert_int_equal(clnorm_convert_to_bf16(1), 0x3f80);
    assert_true(clnorm_convert_ulp(CLNORM_F32, 1) == 0x1p-23 &&
                clnorm_convert_ulp(CLNORM_F64, 3) == 0x1p-51);
    assert_true(clnorm_convert_smallest(CLNORM_F16) == 0x1p-14);
}

/* y has mean shift and variance scale^2 * var/(var + epsilon); the running statistics follow by
 * hand. */
static void reference_forward_by_identities(void **state)
{
    (void)state;
    static const char *const texts[] = {"forward nchw f64 3x4x25 +scale +shift +running",
                                        "forward nhwc f64 3x4x25 +scale +shift +running"};
    for (size_t t = 0; t < 2; t++) {
        struct clnorm_values v = values_of(texts[t], 0, 0, 1, CLNORM_DATA_ORDINARY, 9), before;
        assert_int_equal(clnorm_values_copy(&before, &v), CLNORM_OK);
        clnorm_reference_run(&v);
        for (int64_t c = 0; c < 4; c++) {
            double sum = 0, squares = 0;
            for (int64_t i = 0; i < 75; i++) {
                const size_t at = (size_t)(t ? i * 4 + c : (i / 25 * 4 + c) * 25 + i % 25);
                sum += v.slot[CLNORM_SLOT_Y].data[at];
                squares += v.slot[CLNORM_SLOT_Y].data[at] * v.slot[CLNORM_SLOT_Y].data[at];
            }
            const double scale = v.slot[CLNORM_SLOT_SCALE].data[c],
                         invstd = v.slot[CLNORM_SLOT_INVSTD].data[c];
            const double var = 1 / (invstd * invstd) - v.epsilon, mean = sum / 75;
            assert_true(fabs(mean - v.slot[CLNORM_SLOT_SHIFT].data[c]) < 1e-12);
            assert_true(fabs(squares / 75 - mean * mean - scale * scale * var * invstd * invstd) <
                        1e-10);
            const double running =
                0.9 * before.slot[CLNORM_SLOT_RUNNING_VAR].data[c] + 0.1 * var * 75 / 74;
            assert_true(fabs(v.slot[CLNORM_SLOT_RUNNING_VAR].data[c] - running) < 1e-10);
        }
        clnorm_values_free(&before);
        clnorm_values_free(&v);
    }
}

/* One step from zero state, by hand: SGD moves by rate*g, Adam by rate*sign(g). */
static void reference_optimisers_by_hand(void **state)
{
    (void)state;
    static const char *const texts[] = {"update nchw f64 ?x3x? +scale +sgd",
                                        "update nchw f64 ?x3x? +scale +adam"};
    for (size_t t = 0; t < 2; t++) {
        struct clnorm_values v = values_of(texts[t], 1, 1, 1, CLNORM_DATA_ORDINARY, 8), before;
        memset(v.slot[CLNORM_SLOT_STATE].data, 0,
               v.slot[CLNORM_SLOT_STATE].elements * sizeof(double));
        v.optimiser.step = 1;
        assert_int_equal(clnorm_values_copy(&before, &v), CLNORM_OK);
        clnorm_reference_run(&v);
        for (size_t c = 0; c < 3; c++) {
            const double old = before.slot[CLNORM_SLOT_SCALE].data[c],
                         g = v.slot[CLNORM_SLOT_DSCALE].data[c] + 0.01 * old;
            const double moved = old - v.slot[CLNORM_SLOT_SCALE].data[c],
                         rate = v.optimiser.learning_rate;
            assert_true(fabs(moved - rate * (t ? (g > 0 ? 1 : -1) : g)) < 1e-7);
        }
        clnorm_values_free(&before);
        clnorm_values_free(&v);
    }
}

/* A velocity that its gradient all but cancels, in single precision with every operation rounded once:
 * no device can come nearer, so the tolerance must hold it. */
static void cancelling_steps_are_within_tolerance(void **state)
{
    (void)state;
    struct clnorm_values right =
        values_of("update nchw f32 ?x4096x? +shift +sgd", 1, 1, 1, CLNORM_DATA_ORDINARY, 8);
    const double *const parameter = right.slot[CLNORM_SLOT_SHIFT].data,
                        *const velocity = right.slot[CLNORM_SLOT_STATE].data;
    const float rate = (float)right.optimiser.learning_rate,
                decay = (float)right.optimiser.weight_decay, kept = (float)right.optimiser.momentum;
    struct clnorm_values rounded;
    char detail[256] = "";
    for (size_t c = 0; c < 4096; c++) {
        right.slot[CLNORM_SLOT_SHIFT].data[c] = (float)c * 0x1p-20f;
        right.slot[CLNORM_SLOT_DSHIFT].data[c] = -kept * (float)velocity[c];
    }
    assert_int_equal(clnorm_values_copy(&rounded, &right), CLNORM_OK);
    for (size_t c = 0; c < 4096; c++) {
        const float old = (float)parameter[c];
        const float slope = (float)right.slot[CLNORM_SLOT_DSHIFT].data[c] + decay * old;
        const float next = kept * (float)velocity[c] + slope;
        rounded.slot[CLNORM_SLOT_STATE].data[c] = next;
        rounded.slot[CLNORM_SLOT_SHIFT].data[c] = old - rate * next;
    }
    clnorm_reference_run(&right);
    if (clnorm_compare(&right, &rounded, detail, sizeof detail) > 1)
        fail_msg("%s", detail);
    clnorm_values_free(&right);
    clnorm_values_free(&rounded);
}

/* Every value that the reference writes, pushed beyond its tolerance in turn, must be noticed. */
static void comparison_notices_every_fault(void **state)
{
    (void)state;
    static const char *const texts[] = {"forward nchw f32 2x3x5 +running", "moments nhwc f32 2x3x5",
                                        "backward nchw f16 2x3x5 +scale +shift +adam",
                                        "backward nhwc f32 2x3x5 +add"};
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        struct clnorm_values right = values_of(texts[t], 0, 0, 1, CLNORM_DATA_ORDINARY, 7), wrong;
        char detail[256];
        clnorm_reference_run(&right);
        assert_int_equal(clnorm_values_copy(&wrong, &right), CLNORM_OK);
        assert_true(clnorm_compare(&right, &wrong, detail, sizeof detail) <= 1);
        for (int slot = 0; slot < CLNORM_SLOT_COUNT; slot++)
            for (size_t i = 0; right.slot[slot].use > CLNORM_READ && i < right.slot[slot].elements;
                 i++) {
                double *const place = &wrong.slot[slot].data[i];
                const double kept = *place;
                assert_true(right.slot[slot].tolerance[i] < 0.02 * (1 + fabs(kept)));
                const double fault = fmax(2 * right.slot[slot].tolerance[i],
                                          clnorm_convert_ulp(right.slot[slot].dtype, kept));
                *place = kept + (kept < 0 ? -fault : fault);
                assert_true(clnorm_compare(&right, &wrong, detail, sizeof detail) > 1);
                *place = (double)NAN;
                assert_true(isinf(clnorm_compare(&right, &wrong, detail, sizeof detail)));
                *place = kept;
            }
        clnorm_values_free(&wrong);
        clnorm_values_free(&right);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_survives_the_round_trip),
        cmocka_unit_test(halfway_rounds_to_even),
        cmocka_unit_test(known_bit_patterns),
        cmocka_unit_test(reference_forward_by_identities),
        cmocka_unit_test(reference_optimisers_by_hand),
        cmocka_unit_test(cancelling_steps_are_within_tolerance),
        cmocka_unit_test(comparison_notices_every_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
