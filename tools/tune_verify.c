#include "tune.h"

#include "commands.h"
#include "compare.h"
#include "convert.h"
#include "data.h"
#include "message.h"
#include "reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Where the channels are ----------------------------------------------------------------- */

/* A buffer as `outer` times channels times `inner` bytes: tensors of either layout, and parameters. */
struct extents {
    size_t outer, inner;
};

static struct extents extents_of(const struct replica *replica, enum clnorm_slot slot)
{
    const struct clnorm_problem *const p = &replica->problem;
    const struct clnorm_slot_values *const values = &replica->expected.slot[slot];
    const int rows = clnorm_slots[slot].tensor && p->layout == CLNORM_NCHW;
    const size_t inner = rows ? (size_t)p->spatial : 1;
    return (struct extents){
        .outer = values->elements / ((size_t)p->channels * inner),
        .inner = inner * clnorm_dtype_size(values->dtype),
    };
}

/* Channel c of `all` becomes channel c mod `few` of the other. */
static void spread(struct extents e, const unsigned char *from, size_t few, unsigned char *to,
                   size_t all)
{
    for (size_t o = 0; o < e.outer; o++)
        for (size_t c = 0; c < all; c += few) {
            const size_t count = all - c < few ? all - c : few;
            memcpy(to + (o * all + c) * e.inner, from + o * few * e.inner, count * e.inner);
        }
}

/* Channels c, c+1, ... of `all`, as many as there are of `few`. */
static void gather(struct extents e, const unsigned char *from, size_t all, size_t c,
                   unsigned char *to, size_t few)
{
    const size_t count = all - c < few ? all - c : few;
    for (size_t o = 0; o < e.outer; o++)
        memcpy(to + o * few * e.inner, from + (o * all + c) * e.inner, count * e.inner);
}

/* ---- Open and close -------------------------------------------------------------------------- */

/* Odd numbers, so that a mix-up of neighbours in a vector shows; as many as memory and time allow. */
static int64_t choose_channels(const struct clnorm_problem *problem)
{
    static const int64_t choices[] = {7, 5, 3, 1};
    const int64_t limit = (int64_t)1 << 21, values = problem->batch * problem->spatial;
    size_t i = 0;
    while (i + 1 < ROWS(choices) && (choices[i] > problem->channels || choices[i] > limit / values))
        i++;
    return choices[i];
}

static int is_read(enum clnorm_use use)
{
    return use == CLNORM_READ || use == CLNORM_READ_WRITTEN;
}

static int is_written(enum clnorm_use use)
{
    return use == CLNORM_WRITTEN || use == CLNORM_READ_WRITTEN;
}

/* The host memory for one slot, and its input as the device stores it. */
static int open_slot(struct replica *replica, enum clnorm_slot slot, size_t full_bytes)
{
    const struct clnorm_slot_values *const values = &replica->observed.slot[slot];
    const size_t bytes = values->elements * clnorm_values_element_size(&replica->observed, slot);
    if (is_read(values->use)) {
        replica->input[slot] = malloc(bytes);
        if (!replica->input[slot])
            return 0;
        for (size_t i = 0; i < values->elements; i++)
            clnorm_values_store(&replica->observed, slot, replica->input[slot], i);
    }
    if (is_written(values->use)) {
        replica->output[slot] = malloc(full_bytes);
        replica->first[slot] = malloc(bytes);
        replica->group[slot] = malloc(bytes);
        return replica->output[slot] && replica->first[slot] && replica->group[slot];
    }
    return 1;
}

static int open_slots(struct replica *replica, const struct device_run *run)
{
    size_t largest = 1;
    for (unsigned i = 0; i < CLNORM_SLOT_COUNT; i++) {
        const size_t bytes = run->sizes[device_buffer_index(clnorm_slots[i].name)].bytes;
        largest = bytes > largest ? bytes : largest;
        if (replica->observed.slot[i].use != CLNORM_UNUSED &&
            !open_slot(replica, (enum clnorm_slot)i, bytes))
            return 0;
    }
    replica->scratch = malloc(largest);
    return replica->scratch != NULL;
}

int replica_open(struct replica *replica, const struct device_run *run)
{
    *replica = (struct replica){.problem = *clnorm_plan_problem(run->plan)};
    struct clnorm_problem *const p = &replica->problem;
    p->channels = choose_channels(p);
    int made = clnorm_values_create(&replica->observed, p, p->batch, p->spatial, 1) == CLNORM_OK;
    if (made) {
        clnorm_data_fill(&replica->observed, CLNORM_DATA_ORDINARY, 1);
        made = clnorm_values_copy(&replica->expected, &replica->observed) == CLNORM_OK;
    }
    if (made && open_slots(replica, run)) {
        clnorm_reference_run(&replica->expected);
        return DONE;
    }
    return fail(WORK_FAILED, "out of memory for a reference of %lld channels; tune a smaller batch",
                (long long)p->channels);
}

void replica_close(struct replica *replica)
{
    for (unsigned i = 0; i < CLNORM_SLOT_COUNT; i++) {
        free(replica->input[i]);
        free(replica->output[i]);
        free(replica->first[i]);
        free(replica->group[i]);
    }
    free(replica->scratch);
    clnorm_values_free(&replica->expected);
    clnorm_values_free(&replica->observed);
}

/* ---- One run against the reference ------------------------------------------------------------ */

/* Inputs, and 0xff bytes, a NaN of every type, where outputs are to be: what is not written shows. */
static int upload(const struct replica *replica, struct device_run *run)
{
    const size_t all = (size_t)clnorm_plan_problem(run->plan)->channels;
    const size_t few = (size_t)replica->problem.channels;
    int status = DONE;
    for (unsigned i = 0; i < CLNORM_SLOT_COUNT && status == DONE; i++) {
        const size_t buffer = device_buffer_index(clnorm_slots[i].name);
        if (replica->input[i] && i == CLNORM_SLOT_LENGTHS) /* the same for all channels */
            memcpy(replica->scratch, replica->input[i], run->sizes[buffer].bytes);
        else if (replica->input[i])
            spread(extents_of(replica, (enum clnorm_slot)i), replica->input[i], few,
                   replica->scratch, all);
        else
            memset(replica->scratch, 0xff, run->sizes[buffer].bytes);
        if (run->sizes[buffer].use != CLNORM_UNUSED)
            status = device_run_write(run, buffer, replica->scratch);
    }
    return status;
}

static int download(const struct replica *replica, struct device_run *run)
{
    int status = DONE;
    for (unsigned i = 0; i < CLNORM_SLOT_COUNT && status == DONE; i++)
        if (replica->output[i])
            status =
                device_run_read(run, device_buffer_index(clnorm_slots[i].name), replica->output[i]);
    return status;
}

/* The outputs in `group`, compared with the reference. */
static int compare_group(struct replica *replica, char *detail, size_t size)
{
    for (unsigned i = 0; i < CLNORM_SLOT_COUNT; i++) {
        const struct clnorm_slot_values *const values = &replica->observed.slot[i];
        for (size_t j = 0; replica->group[i] && j < values->elements; j++)
            values->data[j] = clnorm_convert_load(values->dtype, replica->group[i], j);
    }
    return clnorm_compare(&replica->expected, &replica->observed, detail, size) <= 1;
}

/* Takes the channels from c on into `group`. 1 when they are, bit by bit, those of `first`. */
static int take_group(struct replica *replica, size_t all, size_t c)
{
    const size_t few = (size_t)replica->problem.channels;
    int same = 1;
    for (unsigned i = 0; i < CLNORM_SLOT_COUNT; i++) {
        if (!replica->output[i])
            continue;
        const struct extents e = extents_of(replica, (enum clnorm_slot)i);
        const size_t bytes = e.outer * few * e.inner;
        if (all - c < few) /* the last group may lack some: those of the first stand in */
            memcpy(replica->group[i], replica->first[i], bytes);
        gather(e, replica->output[i], all, c, replica->group[i], few);
        if (c == 0)
            memcpy(replica->first[i], replica->group[i], bytes);
        same = same && memcmp(replica->group[i], replica->first[i], bytes) == 0;
    }
    return same;
}

static void take_numbers(const struct clnorm_values *values, struct clnorm_arguments *arguments)
{
    arguments->sets = values->sets;
    arguments->epsilon = values->epsilon;
    arguments->momentum = values->momentum;
    arguments->r_max = values->r_max;
    arguments->d_max = values->d_max;
    arguments->count = values->count;
    arguments->optimiser = values->optimiser;
}

int replica_check(struct replica *replica, struct device_run *run, char *detail, size_t size)
{
    const size_t all = (size_t)clnorm_plan_problem(run->plan)->channels;
    const size_t few = (size_t)replica->problem.channels;
    cl_command_queue const queue = clnorm_context_queue(run->context);
    take_numbers(&replica->expected, &run->arguments);
    snprintf(detail, size, "the device failed");
    if (upload(replica, run) != DONE)
        return 0;
    if (clnorm_plan_run(run->plan, queue, &run->arguments, 0, NULL, NULL) != CLNORM_OK) {
        clnorm_context_error(run->context, detail, size);
        return 0;
    }
    if (clFinish(queue) != CL_SUCCESS || download(replica, run) != DONE)
        return 0;
    for (size_t c = 0; c < all; c += few)
        if ((!take_group(replica, all, c) || c == 0) && !compare_group(replica, detail, size))
            return 0;
    return 1;
}
