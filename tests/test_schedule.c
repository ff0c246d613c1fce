/* Schedules are legal and deterministic; launches cover every position once, at any size, and
 * address it without overflow. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <clnorm/codegen.h>

#include "variants.h"

static int check_legal(void *unused, const struct variant *v)
{
    (void)unused;
    char message[256];
    if (clnorm_schedule_check(&v->schedule, &v->problem, message, sizeof message) != CLNORM_OK)
        fail_msg("%s", message);
    return 0;
}

static void test_legal(void **unused)
{
    (void)unused;
    assert_int_equal(visit_variants(check_legal, NULL), 0);
}

static void test_refuse(void **unused)
{
    (void)unused;
    struct clnorm_problem p;
    struct clnorm_schedule good, s;
    const struct clnorm_target cpu = clnorm_target_default(CLNORM_KIND_CPU);
    assert_int_equal(clnorm_problem_parse("forward nchw f32 ?x64x?", &p, NULL, 0), CLNORM_OK);
    assert_true(clnorm_schedule_choose(&p, &cpu, 0, &good));
    assert_int_equal(clnorm_schedule_check(&good, &p, NULL, 0), CLNORM_OK);
    static const struct {
        size_t place;
        uint32_t value;
    } wrong[] = {
        {offsetof(struct clnorm_schedule, lanes), 3},
        {offsetof(struct clnorm_schedule, lanes), 32},
        {offsetof(struct clnorm_schedule, lanes), 0},
        {offsetof(struct clnorm_schedule, group), 2},
        {offsetof(struct clnorm_schedule, group), 0},
        {offsetof(struct clnorm_schedule, tile), 4},
        {offsetof(struct clnorm_schedule, block), 0},
        {offsetof(struct clnorm_schedule, block), 1025},
        {offsetof(struct clnorm_schedule, parts), 0},
        {offsetof(struct clnorm_schedule, baked), 1},
        {offsetof(struct clnorm_schedule, walk), 2},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        s = good;
        memcpy((char *)&s + wrong[i].place, &wrong[i].value, sizeof(uint32_t));
        assert_int_equal(clnorm_schedule_check(&s, &p, NULL, 0), CLNORM_INVALID_ARGUMENT);
    }
}

static uint64_t covered(uint64_t extent, uint64_t step, uint64_t parts)
{
    assert_true(step > 0);
    assert_true(parts == 0 || (parts - 1) * step < extent); /* the last part is not empty */
    return parts * step >= extent;
}

static void check_launches(const struct variant *v, uint64_t batch, uint64_t spatial)
{
    const struct clnorm_launches plan =
        clnorm_launches_plan(&v->problem, &v->schedule, batch, spatial);
    assert_true(plan.batch * plan.spatial == batch * spatial);
    assert_true(plan.count <= 3);
    for (unsigned i = 0; i < plan.count; i++) {
        const struct clnorm_launch *const l = &plan.launch[i];
        for (unsigned d = 0; d < 3; d++) {
            assert_true(l->local[d] > 0 && l->global[d] > 0);
            assert_int_equal(l->global[d] % l->local[d], 0);
        }
        if (l->step == CLNORM_STEP_FINISH) {
            assert_true(l->global[0] >= (uint64_t)v->problem.channels);
            continue;
        }
        if (l->step == CLNORM_STEP_FUSED) {
            assert_true(plan.batch_step >= plan.batch && plan.spatial_step >= plan.spatial);
            assert_true(l->global[1] == 1 && l->global[2] == 1);
            continue;
        }
        assert_true(covered(plan.batch, plan.batch_step, l->global[1]));
        assert_true(covered(plan.spatial, plan.spatial_step, l->global[2]));
        if (l->step == CLNORM_STEP_REDUCE)
            assert_int_equal(plan.parts, l->global[1] * l->global[2]);
        assert_true(l->global[1] * l->global[2] <= 65536);
    }
}

static int check_sizes(void *unused, const struct variant *v)
{
    (void)unused;
    static const uint64_t sizes[] = {
        0, 1, 2, 3, 7, 49, 513, 3136, 50176, UINT64_C(3) << 31, UINT64_C(1) << 40};
    const struct clnorm_problem *const p = &v->problem;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            const uint64_t batch = p->batch == CLNORM_ANY ? sizes[i] : (uint64_t)p->batch;
            const uint64_t spatial = p->spatial == CLNORM_ANY ? sizes[j] : (uint64_t)p->spatial;
            if (batch == 0 || spatial < (UINT64_C(1) << 60) / batch / (uint64_t)p->channels)
                check_launches(v, batch, spatial);
        }
    return 0;
}

static void test_launches(void **unused)
{
    (void)unused;
    assert_int_equal(visit_variants(check_sizes, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_legal),
        cmocka_unit_test(test_refuse),
        cmocka_unit_test(test_launches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
