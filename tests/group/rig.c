#include "rig.h"

#include <stdlib.h>

/* ---- Members ---- */

void rig_open(struct rig *rig, size_t most)
{
    struct clnorm_device *devices = NULL;
    size_t count = 0;
    *rig = (struct rig){.count = 0};
    assert_int_equal(clnorm_devices_list(&devices, &count), CLNORM_OK);
    for (size_t i = 0; i < count && rig->count < most && rig->count < MAX_MEMBERS; i++) {
        char selector[24], message[256] = "";
        const char *const cache = getenv("CLNORM_TEST_CACHE");
        snprintf(selector, sizeof selector, "%zu", i);
        const struct clnorm_context_options options = {
            .size = sizeof options, .device_selector = selector, .cache_directory = cache};
        if (clnorm_context_create(&options, &rig->context[rig->count], message, sizeof message) !=
            CLNORM_OK)
            fail_msg("%s", message);
        rig->count++;
    }
    free(devices);
    rig_regroup(rig, CLNORM_SHARING_GIVEN, NULL);
}

void rig_regroup(struct rig *rig, enum clnorm_sharing_mode sharing, const double *weights)
{
    char message[256] = "";
    const struct clnorm_group_options options = {.size = sizeof options,
                                                 .contexts = rig->context,
                                                 .count = rig->count,
                                                 .weights = weights,
                                                 .sharing = sharing};
    clnorm_group_release(rig->group);
    if (clnorm_group_create(&options, &rig->group, message, sizeof message) != CLNORM_OK)
        fail_msg("%s", message);
}

void rig_close(struct rig *rig)
{
    clnorm_group_release(rig->group);
    for (size_t i = 0; i < rig->count; i++)
        clnorm_context_release(rig->context[i]);
}

void rig_cut(const struct rig *rig, const double *pattern, size_t length, uint64_t n,
             uint64_t shares[MAX_MEMBERS])
{
    double weights[MAX_MEMBERS] = {0}, before[MAX_MEMBERS];
    for (size_t i = 0; i < rig->count; i++)
        weights[i] = pattern[i % length];
    clnorm_group_weights(rig->group, before);
    assert_int_equal(clnorm_group_set_weights(rig->group, weights), CLNORM_OK);
    clnorm_group_shares(rig->group, n, shares);
    assert_int_equal(clnorm_group_set_weights(rig->group, before), CLNORM_OK);
}

struct clnorm_group_plan *rig_plan(struct rig *rig, const struct clnorm_problem *problem)
{
    struct clnorm_group_plan *plan = NULL;
    char error[1024];
    const enum clnorm_status status = clnorm_group_plan_create(rig->group, problem, &plan);
    clnorm_group_error(rig->group, error, sizeof error);
    if (status != CLNORM_OK && status != CLNORM_UNSUPPORTED)
        fail_msg("%s: %s", clnorm_status_text(status), error);
    return plan;
}

void rig_run(struct rig *rig, struct clnorm_group_plan *plan,
             const struct clnorm_group_arguments *arguments,
             struct clnorm_group_report report[MAX_MEMBERS])
{
    char error[1024];
    const enum clnorm_status status = clnorm_group_run(plan, arguments, report);
    clnorm_group_error(rig->group, error, sizeof error);
    if (status != CLNORM_OK)
        fail_msg("%s: %s", clnorm_status_text(status), error);
}

/* ---- Values in tensors ---- */

static size_t bytes_of(const struct clnorm_slot_values *slot)
{
    return slot->elements * clnorm_dtype_size(slot->dtype);
}

/* A tensor's bytes on the host. */
static void *open_view(struct clnorm_tensor *tensor, enum clnorm_access_mode mode,
                       struct clnorm_access *access)
{
    char error[256];
    const enum clnorm_status status =
        clnorm_tensor_acquire(tensor, NULL, 0, clnorm_tensor_samples(tensor), mode, access);
    clnorm_tensor_error(tensor, error, sizeof error);
    if (status != CLNORM_OK)
        fail_msg("%s: %s", clnorm_status_text(status), error);
    return access->host;
}

static void open_slot(struct load *load, enum clnorm_slot slot, int odd)
{
    const struct clnorm_slot_values *const values = &load->inputs.slot[slot];
    const uint64_t samples = clnorm_slots[slot].tensor ? (uint64_t)load->inputs.batch : 1;
    struct clnorm_tensor_options options = {.size = sizeof options, .samples = samples};
    char message[256] = "";
    if (samples > 0)
        options.sample_bytes = bytes_of(values) / samples;
    if (odd) {
        load->view[slot] = calloc(1, bytes_of(values) + 8);
        assert_non_null(load->view[slot]);
        options.host = (char *)load->view[slot] + clnorm_dtype_size(values->dtype);
    }
    if (clnorm_tensor_create(&options, &load->tensor[slot], message, sizeof message) != CLNORM_OK)
        fail_msg("%s", message);
}

void load_open(struct load *load, const struct clnorm_values *inputs,
               const struct load_options *options)
{
    *load = (struct load){.view = {NULL}};
    assert_int_equal(clnorm_values_copy(&load->inputs, inputs), CLNORM_OK);
    assert_int_equal(clnorm_values_copy(&load->expected, inputs), CLNORM_OK);
    clnorm_reference_run(&load->expected);
    for (unsigned slot = 0; slot < CLNORM_SLOT_COUNT; slot++)
        if (inputs->slot[slot].use != CLNORM_UNUSED && slot != options->out)
            open_slot(load, (enum clnorm_slot)slot, options->odd);
    if (options->out != CLNORM_SLOT_COUNT)
        load->tensor[options->out] = load->tensor[options->in];
    load_reset(load);
}

void load_close(struct load *load)
{
    for (unsigned slot = 0; slot < CLNORM_SLOT_COUNT; slot++) {
        unsigned first = 0;
        while (load->tensor[first] != load->tensor[slot])
            first++;
        if (first == slot)
            clnorm_tensor_release(load->tensor[slot]);
    }
    for (unsigned slot = 0; slot < CLNORM_SLOT_COUNT; slot++)
        free(load->view[slot]);
    clnorm_values_free(&load->inputs);
    clnorm_values_free(&load->expected);
}

void load_reset(struct load *load)
{
    for (int inputs = 0; inputs < 2; inputs++) /* in place: the input stays */
        for (unsigned slot = 0; slot < CLNORM_SLOT_COUNT; slot++) {
            const struct clnorm_slot_values *const values = &load->inputs.slot[slot];
            struct clnorm_access access;
            if (values->use == CLNORM_UNUSED || (values->use != CLNORM_WRITTEN) != inputs)
                continue;
            void *const view = open_view(load->tensor[slot], CLNORM_ACCESS_WRITE, &access);
            if (!inputs && bytes_of(values) > 0)
                memset(view, 0xFF, bytes_of(values));
            for (size_t i = 0; inputs && i < values->elements; i++)
                clnorm_convert_store(values->dtype, view, i, values->data[i]);
            assert_int_equal(clnorm_access_release(&access, NULL), CLNORM_OK);
        }
}

struct clnorm_group_arguments load_arguments(const struct load *load)
{
    struct clnorm_tensor *const *const t = load->tensor;
    return (struct clnorm_group_arguments){
        .size = sizeof(struct clnorm_group_arguments),
        .batch = load->inputs.batch,
        .spatial = load->inputs.spatial,
        .x = t[CLNORM_SLOT_X],
        .y = t[CLNORM_SLOT_Y],
        .add = t[CLNORM_SLOT_ADD],
        .dy = t[CLNORM_SLOT_DY],
        .dx = t[CLNORM_SLOT_DX],
        .dadd = t[CLNORM_SLOT_DADD],
        .scale = t[CLNORM_SLOT_SCALE],
        .shift = t[CLNORM_SLOT_SHIFT],
        .dscale = t[CLNORM_SLOT_DSCALE],
        .dshift = t[CLNORM_SLOT_DSHIFT],
        .mean = t[CLNORM_SLOT_MEAN],
        .invstd = t[CLNORM_SLOT_INVSTD],
        .var = t[CLNORM_SLOT_VAR],
        .running_mean = t[CLNORM_SLOT_RUNNING_MEAN],
        .running_var = t[CLNORM_SLOT_RUNNING_VAR],
        .renorm_r = t[CLNORM_SLOT_RENORM_R],
        .renorm_d = t[CLNORM_SLOT_RENORM_D],
        .moments = t[CLNORM_SLOT_MOMENTS],
        .sums = t[CLNORM_SLOT_SUMS],
        .parts = t[CLNORM_SLOT_PARTS],
        .state = t[CLNORM_SLOT_STATE],
        .sets = load->inputs.sets,
        .epsilon = load->inputs.epsilon,
        .momentum = load->inputs.momentum,
        .count = load->inputs.count,
        .r_max = load->inputs.r_max,
        .d_max = load->inputs.d_max,
        .optimiser = load->inputs.optimiser,
    };
}

void load_read(const struct load *load, struct clnorm_values *observed)
{
    assert_int_equal(clnorm_values_copy(observed, &load->inputs), CLNORM_OK);
    for (unsigned slot = 0; slot < CLNORM_SLOT_COUNT; slot++) {
        struct clnorm_slot_values *const values = &observed->slot[slot];
        struct clnorm_access access;
        if (values->use != CLNORM_WRITTEN && values->use != CLNORM_READ_WRITTEN)
            continue;
        const void *const view = open_view(load->tensor[slot], CLNORM_ACCESS_READ, &access);
        for (size_t i = 0; i < values->elements; i++)
            values->data[i] = clnorm_convert_load(values->dtype, view, i);
        assert_int_equal(clnorm_access_release(&access, NULL), CLNORM_OK);
    }
}

void load_check(const struct load *load, const char *what)
{
    struct clnorm_values observed;
    char detail[256] = "", problem[CLNORM_PROBLEM_TEXT_SIZE];
    load_read(load, &observed);
    clnorm_problem_format(&load->inputs.problem, problem);
    if (clnorm_compare(&load->expected, &observed, detail, sizeof detail) > 1)
        fail_msg("%s, %s: %s", problem, what, detail);
    clnorm_values_free(&observed);
}

int load_is_intact(const struct load *load, enum clnorm_slot slot)
{
    const struct clnorm_slot_values *const values = &load->inputs.slot[slot];
    struct clnorm_access access;
    struct clnorm_tensor *const tensor = load->tensor[slot];
    int same = 1;
    if (clnorm_tensor_acquire(tensor, NULL, 0, clnorm_tensor_samples(tensor), CLNORM_ACCESS_READ,
                              &access) != CLNORM_OK)
        return 0;
    const void *const view = access.host;
    for (size_t i = 0; i < values->elements; i++)
        same &= clnorm_convert_load(values->dtype, view, i) ==
                clnorm_convert_round(values->dtype, values->data[i]);
    clnorm_access_release(&access, NULL);
    return same;
}
