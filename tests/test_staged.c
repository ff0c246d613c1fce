/*
 * The staged forms add up: pieces of a batch, reduced apart (as several devices would), merged and
 * applied, give what the whole batch gives; and the optimiser step is the same inside backward and
 * alone.
 */
#include "compare.h"
#include "convert.h"
#include "reference.h"
#include "testing.h"

enum { PIECES = 3 };
static const int64_t piece_batch[PIECES] = {
    1, 4, 2}; /* N = 7, in unequal shares; n is outermost in both layouts */

/* Values for `operation` on the layout, dtype, channels and given flags of a whole-batch problem.
 */
static struct clnorm_values make(const struct clnorm_values *const whole,
                                 const enum clnorm_operation operation, const uint32_t flags,
                                 const int64_t batch, const int64_t sets)
{
    struct clnorm_problem problem = whole->problem;
    struct clnorm_values values;
    problem.operation = operation;
    problem.flags = flags;
    problem.batch = CLNORM_ANY;
    assert_int_equal(clnorm_values_create(&values, &problem, batch, whole->spatial, sets),
                     CLNORM_OK);
    return values;
}

/* Copies as many elements as `to` has from `from`, starting there at `first`. */
static void take(struct clnorm_slot_values *const to, const struct clnorm_slot_values *const from,
                 const size_t first)
{
    if (to->data && from->data && to->elements > 0)
        memcpy(to->data, from->data + first, to->elements * sizeof *to->data);
}

/* The inputs that a piece shares with the whole: its rows of the tensors, all of the parameters. */
static void take_piece(struct clnorm_values *const piece, const struct clnorm_values *const whole,
                       const int64_t first)
{
    static const enum clnorm_slot slots[] = {
        CLNORM_SLOT_X,      CLNORM_SLOT_ADD,          CLNORM_SLOT_DY,
        CLNORM_SLOT_SCALE,  CLNORM_SLOT_SHIFT,        CLNORM_SLOT_MEAN,
        CLNORM_SLOT_INVSTD, CLNORM_SLOT_RUNNING_MEAN, CLNORM_SLOT_RUNNING_VAR,
    };
    const size_t row = (size_t)(whole->problem.channels * whole->spatial);
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
        const int rows = clnorm_slots[slots[i]].tensor;
        if (piece->slot[slots[i]].use != CLNORM_WRITTEN)
            take(&piece->slot[slots[i]], &whole->slot[slots[i]], rows ? (size_t)first * row : 0);
    }
}

/* Copies the rows a piece wrote into a whole tensor. */
static void give_rows(struct clnorm_values *const whole, const struct clnorm_values *const piece,
                      const enum clnorm_slot slot, const int64_t first)
{
    const size_t row = (size_t)(whole->problem.channels * whole->spatial);
    memcpy(whole->slot[slot].data + (size_t)first * row, piece->slot[slot].data,
           piece->slot[slot].elements * sizeof(double));
}

/* Runs a reduction on each piece; their results end up one after the other in parts->data. */
static void reduce_pieces(struct clnorm_context *const context,
                          const struct clnorm_values *const whole,
                          const enum clnorm_operation operation, const enum clnorm_slot result,
                          struct clnorm_slot_values *const parts)
{
    size_t filled = 0;
    int64_t first = 0;
    for (int i = 0; i < PIECES; i++) {
        struct clnorm_values piece = make(whole, operation, 0, piece_batch[i], 1);
        take_piece(&piece, whole, first);
        assert_true(execute(context, NULL, &piece, NULL));
        memcpy(parts->data + filled, piece.slot[result].data,
               piece.slot[result].elements * sizeof(double));
        filled += piece.slot[result].elements;
        first += piece_batch[i];
        clnorm_values_free(&piece);
    }
    assert_int_equal(filled, parts->elements);
}

static void assert_close(const struct clnorm_values *const expected,
                         const struct clnorm_values *const observed)
{
    char detail[256] = "", problem[CLNORM_PROBLEM_TEXT_SIZE];
    clnorm_problem_format(&expected->problem, problem);
    if (clnorm_compare(expected, observed, detail, sizeof detail) > 1)
        fail_msg("%s: %s", problem, detail);
}

/* Normalises each piece with `parts`; y, mean, invstd and running statistics are then compared with
 * the reference's. */
static void normalise_pieces(struct clnorm_context *const context,
                             const struct clnorm_values *const whole,
                             const struct clnorm_values *const expected,
                             const struct clnorm_slot_values *const parts, const int64_t sets)
{
    static const enum clnorm_slot statistics[] = {
        CLNORM_SLOT_MEAN, CLNORM_SLOT_INVSTD, CLNORM_SLOT_RUNNING_MEAN, CLNORM_SLOT_RUNNING_VAR};
    struct clnorm_values observed;
    int64_t first = 0;
    assert_int_equal(clnorm_values_copy(&observed, expected),
                     CLNORM_OK); /* rows not there yet: as they should be */
    for (int i = 0; i < PIECES; i++) {
        struct clnorm_values piece =
            make(whole, CLNORM_NORMALISE, whole->problem.flags, piece_batch[i], sets);
        take_piece(&piece, whole, first);
        take(&piece.slot[CLNORM_SLOT_PARTS], parts, 0);
        assert_true(execute(context, NULL, &piece, NULL));
        give_rows(&observed, &piece, CLNORM_SLOT_Y, first);
        for (size_t k = 0; k < sizeof statistics / sizeof *statistics; k++)
            take(&observed.slot[statistics[k]], &piece.slot[statistics[k]], 0);
        assert_close(expected,
                     &observed); /* the statistics are those of the whole after each piece */
        first += piece_batch[i];
        clnorm_values_free(&piece);
    }
    clnorm_values_free(&observed);
}

static void check_forward(struct clnorm_context *const context, const char *const text,
                          const enum clnorm_data data)
{
    struct clnorm_values whole = values_of(text, 7, 0, 1, data, 61), expected;
    assert_int_equal(clnorm_values_copy(&expected, &whole), CLNORM_OK);
    clnorm_reference_run(&expected);
    struct clnorm_values merge = make(&whole, CLNORM_MERGE, 0, 7, PIECES);
    reduce_pieces(context, &whole, CLNORM_MOMENTS, CLNORM_SLOT_MOMENTS,
                  &merge.slot[CLNORM_SLOT_PARTS]);
    assert_true(execute(context, NULL, &merge, NULL));
    struct clnorm_values moments = make(&whole, CLNORM_MOMENTS, 0, 7, 1);
    take_piece(&moments, &whole, 0);
    clnorm_reference_run(&moments);
    struct clnorm_values merged = make(&whole, CLNORM_MOMENTS, 0, 7, 1);
    take(&merged.slot[CLNORM_SLOT_MOMENTS], &merge.slot[CLNORM_SLOT_MOMENTS], 0);
    assert_close(&moments, &merged);
    normalise_pieces(context, &whole, &expected, &merge.slot[CLNORM_SLOT_MOMENTS], 1);
    normalise_pieces(context, &whole, &expected, &merge.slot[CLNORM_SLOT_PARTS], PIECES);
    clnorm_values_free(&merged);
    clnorm_values_free(&moments);
    clnorm_values_free(&merge);
    clnorm_values_free(&expected);
    clnorm_values_free(&whole);
}

static void pieces_normalise_like_the_whole(void **state)
{
    static const char *const texts[] = {
        "forward nchw f32 7x5x33 +scale +shift +running",
        "forward nhwc f32 7x5x33 +scale +shift +running +biased",
        "forward nchw f32 7x19 +add +relu",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check_forward(*state, texts[i], CLNORM_DATA_ORDINARY);
        check_forward(*state, texts[i], CLNORM_DATA_LARGE_MEAN);
        check_forward(*state, texts[i], CLNORM_DATA_OUTLIER);
    }
    check_forward(*state, "forward nhwc f16 7x5x33 +scale +shift", CLNORM_DATA_ORDINARY);
}

static void check_backward(struct clnorm_context *const context, const char *const text)
{
    struct clnorm_values whole = values_of(text, 7, 0, 1, CLNORM_DATA_ORDINARY, 62), expected,
                         observed;
    assert_int_equal(clnorm_values_copy(&expected, &whole), CLNORM_OK);
    assert_int_equal(clnorm_values_copy(&observed, &whole), CLNORM_OK);
    clnorm_reference_run(&expected);
    struct clnorm_values parts =
        make(&whole, CLNORM_INPUT_GRADIENT, whole.problem.flags, 7, PIECES);
    reduce_pieces(context, &whole, CLNORM_BACKWARD_SUMS, CLNORM_SLOT_SUMS,
                  &parts.slot[CLNORM_SLOT_PARTS]);
    int64_t first = 0;
    for (int i = 0; i < PIECES; i++) {
        struct clnorm_values piece =
            make(&whole, CLNORM_INPUT_GRADIENT, whole.problem.flags, piece_batch[i], PIECES);
        take_piece(&piece, &whole, first);
        take(&piece.slot[CLNORM_SLOT_PARTS], &parts.slot[CLNORM_SLOT_PARTS], 0);
        piece.count = 7 * (double)whole.spatial;
        assert_true(execute(context, NULL, &piece, NULL));
        give_rows(&observed, &piece, CLNORM_SLOT_DX, first);
        take(&observed.slot[CLNORM_SLOT_DSCALE], &piece.slot[CLNORM_SLOT_DSCALE], 0);
        take(&observed.slot[CLNORM_SLOT_DSHIFT], &piece.slot[CLNORM_SLOT_DSHIFT], 0);
        first += piece_batch[i];
        clnorm_values_free(&piece);
    }
    assert_close(&expected, &observed);
    clnorm_values_free(&parts);
    clnorm_values_free(&observed);
    clnorm_values_free(&expected);
    clnorm_values_free(&whole);
}

static void gradients_of_pieces_are_those_of_the_whole(void **state)
{
    check_backward(*state, "backward nchw f32 7x5x33 +scale +shift");
    check_backward(*state, "backward nhwc f32 7x5x33 +scale +shift");
    check_backward(*state, "backward nhwc f32 7x5x33");
}

/*
 * Steps of update from zero state, each held to the reference's tolerance on the device's own
 * state, and all of them together against a reference that runs by itself.
 */
static void check_steps(struct clnorm_context *const context, const char *const text)
{
    struct clnorm_values device = values_of(text, 1, 1, 1, CLNORM_DATA_ORDINARY, 63), alone;
    memset(device.slot[CLNORM_SLOT_STATE].data, 0,
           device.slot[CLNORM_SLOT_STATE].elements * sizeof(double));
    assert_int_equal(clnorm_values_copy(&alone, &device), CLNORM_OK);
    for (uint64_t step = 1; step <= 6; step++) {
        struct clnorm_values expected;
        device.optimiser.step = alone.optimiser.step = step;
        assert_int_equal(clnorm_values_copy(&expected, &device), CLNORM_OK);
        clnorm_reference_run(&expected);
        clnorm_reference_run(&alone);
        assert_true(execute(context, NULL, &device, NULL));
        assert_close(&expected, &device);
        clnorm_values_free(&expected);
    }
    for (size_t c = 0; c < 9; c++) {
        const double drift =
            fabs(alone.slot[CLNORM_SLOT_SCALE].data[c] - device.slot[CLNORM_SLOT_SCALE].data[c]);
        assert_true(drift <= 1e-5);
    }
    clnorm_values_free(&alone);
    clnorm_values_free(&device);
}

static void optimiser_steps_follow_the_reference(void **state)
{
    check_steps(*state, "update nchw f32 ?x9x? +scale +shift +sgd");
    check_steps(*state, "update nchw f32 ?x9x? +scale +shift +adam");
    check_steps(*state, "update nhwc f16 ?x9x? +scale +adam");
}

static void assert_near(const struct clnorm_slot_values *const a,
                        const struct clnorm_slot_values *const b)
{
    for (size_t i = 0; i < a->elements; i++)
        assert_true(fabs(a->data[i] - b->data[i]) <= 4 * clnorm_convert_ulp(a->dtype, a->data[i]));
}

/* backward with an optimiser against backward, then update: the gradients and dx are the same bits,
 * the rest is near. */
static void check_fused(struct clnorm_context *const context, const enum clnorm_layout layout,
                        const uint32_t optimiser)
{
    const uint32_t flags = CLNORM_SCALE | CLNORM_SHIFT;
    struct clnorm_values fused;
    const struct clnorm_problem problem = {.operation = CLNORM_BACKWARD,
                                           .layout = layout,
                                           .dtype = CLNORM_F32,
                                           .batch = 4,
                                           .channels = 6,
                                           .spatial = 50,
                                           .flags = flags | optimiser};
    assert_int_equal(clnorm_values_create(&fused, &problem, 4, 50, 1), CLNORM_OK);
    clnorm_data_fill(&fused, CLNORM_DATA_ORDINARY, 64);
    struct clnorm_values plain = make(&fused, CLNORM_BACKWARD, flags, 4, 1);
    struct clnorm_values update = make(&fused, CLNORM_UPDATE, flags | optimiser, 4, 1);
    take_piece(&plain, &fused, 0);
    take_piece(&update, &fused, 0);
    take(&update.slot[CLNORM_SLOT_STATE], &fused.slot[CLNORM_SLOT_STATE], 0);
    assert_true(execute(context, NULL, &fused, NULL) && execute(context, NULL, &plain, NULL));
    take(&update.slot[CLNORM_SLOT_DSCALE], &plain.slot[CLNORM_SLOT_DSCALE], 0);
    take(&update.slot[CLNORM_SLOT_DSHIFT], &plain.slot[CLNORM_SLOT_DSHIFT], 0);
    assert_true(execute(context, NULL, &update, NULL));
    assert_true(clnorm_compare_same(&plain, &fused, -1));
    assert_near(&update.slot[CLNORM_SLOT_SCALE], &fused.slot[CLNORM_SLOT_SCALE]);
    assert_near(&update.slot[CLNORM_SLOT_SHIFT], &fused.slot[CLNORM_SLOT_SHIFT]);
    assert_near(&update.slot[CLNORM_SLOT_STATE], &fused.slot[CLNORM_SLOT_STATE]);
    clnorm_values_free(&update);
    clnorm_values_free(&plain);
    clnorm_values_free(&fused);
}

static void fused_optimiser_equals_separate(void **state)
{
    for (unsigned layout = 0; layout < CLNORM_LAYOUT_COUNT; layout++) {
        check_fused(*state, (enum clnorm_layout)layout, CLNORM_SGD);
        check_fused(*state, (enum clnorm_layout)layout, CLNORM_ADAM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_normalise_like_the_whole),
        cmocka_unit_test(gradients_of_pieces_are_those_of_the_whole),
        cmocka_unit_test(optimiser_steps_follow_the_reference),
        cmocka_unit_test(fused_optimiser_equals_separate),
    };
    return cmocka_run_group_tests(tests, make_context, release_context);
}
