#include "onednn_primitive.h"

#include "message.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const dnnl_data_type_t types[CLNORM_DTYPE_COUNT] = {
    [CLNORM_F32] = dnnl_f32, [CLNORM_F16] = dnnl_f16, [CLNORM_BF16] = dnnl_bf16};

/* By rank. Channels last is the same memory as channels first in a matrix; seen as a picture of one
 * pixel it gets oneDNN's faster code. */
const onednn_layout onednn_first = {
    [2] = dnnl_ab, [3] = dnnl_abc, [4] = dnnl_abcd, [5] = dnnl_abcde};
const onednn_layout onednn_last = {[3] = dnnl_acb, [4] = dnnl_acdb, [5] = dnnl_acdeb};
const onednn_layout onednn_blocked = {[3] = dnnl_aBc16b, [4] = dnnl_aBcd16b, [5] = dnnl_aBcde16b};

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Host memory in `outer` layout to or from a memory object: oneDNN's reorder copies where the
 * layouts agree. */
static int reorder(const struct onednn_primitive *const p, const_dnnl_memory_desc_t outer,
                   void *const host, dnnl_memory_t inner, const int into)
{
    const_dnnl_memory_desc_t desc;
    dnnl_memory_t user = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t copy = NULL;
    int fine = p->dnn->memory_get_memory_desc(inner, &desc) == dnnl_success &&
               p->dnn->memory_create(&user, outer, p->dnn->engine, host) == dnnl_success &&
               p->dnn->reorder_primitive_desc_create(&pd, into ? outer : desc, p->dnn->engine,
                                                     into ? desc : outer, p->dnn->engine,
                                                     NULL) == dnnl_success &&
               p->dnn->primitive_create(&copy, pd) == dnnl_success;
    if (fine) {
        const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, into ? user : inner},
                                             {DNNL_ARG_TO, into ? inner : user}};
        fine = p->dnn->primitive_execute(copy, p->dnn->stream, 2, arguments) == dnnl_success &&
               p->dnn->stream_wait(p->dnn->stream) == dnnl_success;
    }
    p->dnn->primitive_destroy(copy);
    p->dnn->primitive_desc_destroy(pd);
    p->dnn->memory_destroy(user);
    return fine;
}

/* An argument with oneDNN's own memory, filled from host memory unless that is NULL. */
static int add_argument(struct onednn_primitive *const p, const int id,
                        const_dnnl_memory_desc_t desc, const_dnnl_memory_desc_t outer,
                        const void *const host)
{
    dnnl_memory_t memory;
    if (p->dnn->memory_create(&memory, desc, p->dnn->engine, DNNL_MEMORY_ALLOCATE) != dnnl_success)
        return 0;
    p->argument[p->arguments++] = (dnnl_exec_arg_t){id, memory};
    return !host || reorder(p, outer, (void *)(uintptr_t)host, memory, 1);
}

static dnnl_memory_t memory_of(const struct onednn_primitive *const p, const int id)
{
    for (int i = 0; i < p->arguments; i++)
        if (p->argument[i].arg == id)
            return p->argument[i].memory;
    return NULL;
}

/* Where the slots of the case stand among oneDNN's arguments. Variance stands for invstd. */
static const struct place {
    enum clnorm_slot slot;
    int id;
} places[] = {
    {CLNORM_SLOT_X, DNNL_ARG_SRC},
    {CLNORM_SLOT_Y, DNNL_ARG_DST},
    {CLNORM_SLOT_DY, DNNL_ARG_DIFF_DST},
    {CLNORM_SLOT_DX, DNNL_ARG_DIFF_SRC},
    {CLNORM_SLOT_SCALE, DNNL_ARG_SCALE},
    {CLNORM_SLOT_SHIFT, DNNL_ARG_SHIFT},
    {CLNORM_SLOT_MEAN, DNNL_ARG_MEAN},
    {CLNORM_SLOT_VAR, DNNL_ARG_VARIANCE},
    {CLNORM_SLOT_DSCALE, DNNL_ARG_DIFF_SCALE},
    {CLNORM_SLOT_DSHIFT, DNNL_ARG_DIFF_SHIFT},
};

static int add_slot(struct onednn_primitive *const p, const struct place *const place,
                    const void *const host)
{
    const int tensor = clnorm_slots[place->slot].tensor;
    return add_argument(p, place->id, tensor ? p->own : p->parameters,
                        tensor ? p->plain : p->parameters, host);
}

/* oneDNN takes the variance where clnorm takes invstd, and writes it where clnorm writes that. */
static int add_variance(struct onednn_primitive *const p)
{
    const struct bench_data *const data = p->data;
    const size_t channels = (size_t)data->one->problem.channels;
    float *const variance = malloc(channels * sizeof *variance);
    if (!variance)
        return 0;
    for (size_t c = 0; c < channels; c++)
        variance[c] = (float)data->channel[c].variance;
    const int given = data->one->problem.operation != CLNORM_FORWARD;
    const int fine =
        add_argument(p, DNNL_ARG_VARIANCE, p->parameters, p->parameters, given ? variance : NULL);
    free(variance);
    return fine;
}

static int add_arguments(struct onednn_primitive *const p)
{
    const struct bench_data *const data = p->data;
    const int relu_gradient = data->input[CLNORM_SLOT_Y] != NULL;
    for (size_t i = 0; i < ROWS(places); i++) {
        const enum clnorm_slot slot = places[i].slot;
        const int used = data->use[slot] != CLNORM_UNUSED && slot != CLNORM_SLOT_VAR &&
                         !(slot == CLNORM_SLOT_Y && relu_gradient);
        if (used && !add_slot(p, &places[i], data->input[slot]))
            return 0;
    }
    return add_variance(p);
}

/* ---- The primitive --------------------------------------------------------------------------- */

static unsigned flags_of(const struct clnorm_problem *const problem)
{
    unsigned flags = problem->operation == CLNORM_INFER ? dnnl_use_global_stats : 0;
    flags |= problem->flags & CLNORM_SCALE ? dnnl_use_scale : 0;
    flags |= problem->flags & CLNORM_SHIFT ? dnnl_use_shift : 0;
    return flags | (problem->flags & CLNORM_RELU ? dnnl_fuse_norm_relu : 0);
}

/* Memory for add_signs alone; NULL when there is none. */
static dnnl_memory_t scratch(const struct onednn_primitive *const p, const_dnnl_memory_desc_t desc)
{
    dnnl_memory_t memory = NULL;
    p->dnn->memory_create(&memory, desc, p->dnn->engine, DNNL_MEMORY_ALLOCATE);
    return memory;
}

/* Behind relu, backward needs what a forward noted of the signs: that forward is run here, with a
 * shift of 0 as data.c has it. It writes its own mean and variance. */
static int add_signs(struct onednn_primitive *const p, const_dnnl_primitive_desc_t forward)
{
    const_dnnl_memory_desc_t signs =
        p->dnn->primitive_desc_query_md(forward, dnnl_query_workspace_md, 0);
    const struct clnorm_problem *const problem = &p->data->one->problem;
    float *const zeros = calloc((size_t)problem->channels, sizeof *zeros);
    dnnl_primitive_t primitive = NULL;
    dnnl_exec_arg_t own[] = {{DNNL_ARG_DST, scratch(p, p->own)},
                             {DNNL_ARG_MEAN, scratch(p, p->parameters)},
                             {DNNL_ARG_VARIANCE, scratch(p, p->parameters)},
                             {DNNL_ARG_SHIFT, scratch(p, p->parameters)},
                             {DNNL_ARG_SRC, NULL},
                             {DNNL_ARG_WORKSPACE, NULL},
                             {DNNL_ARG_SCALE, NULL}};
    int fine = zeros && own[0].memory && own[1].memory && own[2].memory && own[3].memory &&
               add_argument(p, DNNL_ARG_WORKSPACE, signs, NULL, NULL) &&
               p->dnn->primitive_create(&primitive, forward) == dnnl_success &&
               reorder(p, p->parameters, zeros, own[3].memory, 1);
    for (size_t i = 4; i < ROWS(own); i++)
        own[i].memory = memory_of(p, own[i].arg);
    const int count = problem->flags & CLNORM_SCALE ? ROWS(own) : ROWS(own) - 1;
    fine = fine &&
           p->dnn->primitive_execute(primitive, p->dnn->stream, count, own) == dnnl_success &&
           p->dnn->stream_wait(p->dnn->stream) == dnnl_success;
    for (size_t i = 0; i < 4; i++)
        p->dnn->memory_destroy(own[i].memory);
    p->dnn->primitive_destroy(primitive);
    free(zeros);
    return fine;
}

static int make_primitive(struct onednn_primitive *const p)
{
    const struct clnorm_problem *const problem = &p->data->one->problem;
    const int backward = problem->operation == CLNORM_BACKWARD;
    const unsigned flags = flags_of(problem);
    const dnnl_prop_kind_t kind =
        problem->operation == CLNORM_INFER ? dnnl_forward_inference : dnnl_forward_training;
    const dnnl_prop_kind_t back =
        problem->flags & (CLNORM_SCALE | CLNORM_SHIFT) ? dnnl_backward : dnnl_backward_data;
    dnnl_primitive_desc_t forward = NULL, gradient = NULL;
    int fine = p->dnn->batch_normalization_forward_primitive_desc_create(
                   &forward, p->dnn->engine, kind, p->own, p->own, (float)BENCH_EPSILON, flags,
                   NULL) == dnnl_success;
    if (fine && backward)
        fine = p->dnn->batch_normalization_backward_primitive_desc_create(
                   &gradient, p->dnn->engine, back, p->own, p->own, p->own, (float)BENCH_EPSILON,
                   flags, forward, NULL) == dnnl_success;
    fine = fine &&
           p->dnn->primitive_create(&p->primitive, backward ? gradient : forward) == dnnl_success &&
           add_arguments(p);
    if (fine && problem->flags & CLNORM_RELU && problem->operation != CLNORM_INFER)
        fine =
            backward
                ? add_signs(p, forward)
                : add_argument(p, DNNL_ARG_WORKSPACE,
                               p->dnn->primitive_desc_query_md(forward, dnnl_query_workspace_md, 0),
                               NULL, NULL);
    p->dnn->primitive_desc_destroy(gradient);
    p->dnn->primitive_desc_destroy(forward);
    return fine;
}

/* ---- Made and used --------------------------------------------------------------------------- */

/* The dims as oneDNN takes them: more than its five fold into one, and a matrix that asks for
 * another layout is a picture of one pixel. */
static void choose_dims(struct onednn_primitive *const p, const onednn_layout tag)
{
    const struct bench_case *const one = p->data->one;
    p->rank = (int)one->rank;
    for (int i = 0; i < p->rank && i < ONEDNN_RANK_MAX; i++)
        p->dims[i] = one->dim[i];
    if (p->rank <= ONEDNN_RANK_MAX && tag[p->rank])
        return;
    p->rank = 4;
    p->dims[2] = one->problem.spatial;
    p->dims[3] = 1;
}

static int make_layouts(struct onednn_primitive *const p, const onednn_layout tag)
{
    const struct clnorm_problem *const problem = &p->data->one->problem;
    const dnnl_dims_t channels = {problem->channels};
    choose_dims(p, tag);
    const dnnl_format_tag_t plain = (tag == onednn_last ? onednn_last : onednn_first)[p->rank];
    return p->dnn->memory_desc_create_with_tag(&p->own, p->rank, p->dims, types[problem->dtype],
                                               tag[p->rank]) == dnnl_success &&
           p->dnn->memory_desc_create_with_tag(&p->plain, p->rank, p->dims, types[problem->dtype],
                                               plain) == dnnl_success &&
           p->dnn->memory_desc_create_with_tag(&p->parameters, 1, channels, dnnl_f32, dnnl_a) ==
               dnnl_success;
}

int onednn_primitive_make(struct onednn_primitive *const p, const struct onednn *const dnn,
                          const struct bench_data *const data, const onednn_layout layout)
{
    *p = (struct onednn_primitive){.data = data, .dnn = dnn};
    return make_layouts(p, layout) && make_primitive(p);
}

int onednn_primitive_run(const struct onednn_primitive *const p)
{
    return p->dnn->primitive_execute(p->primitive, p->dnn->stream, p->arguments, p->argument) ==
               dnnl_success &&
           p->dnn->stream_wait(p->dnn->stream) == dnnl_success;
}

double onednn_primitive_check(const struct onednn_primitive *const p, char what[32])
{
    struct bench_outputs seen = {{NULL}};
    void *outputs[CLNORM_SLOT_COUNT] = {NULL};
    int fine = onednn_primitive_run(p);
    for (size_t i = 0; fine && i < ROWS(places); i++) {
        const enum clnorm_slot slot = places[i].slot;
        if (p->data->use[slot] != CLNORM_WRITTEN)
            continue;
        outputs[slot] = malloc(p->data->bytes[slot]);
        fine = outputs[slot] && reorder(p, clnorm_slots[slot].tensor ? p->plain : p->parameters,
                                        outputs[slot], memory_of(p, places[i].id), 0);
        seen.slot[slot] = outputs[slot];
    }
    const double error = fine ? bench_check(p->data, &seen, what) : INFINITY;
    for (int i = 0; i < CLNORM_SLOT_COUNT; i++)
        free(outputs[i]);
    return error;
}

void onednn_primitive_release(struct onednn_primitive *const p)
{
    for (int i = 0; i < p->arguments; i++)
        p->dnn->memory_destroy(p->argument[i].memory);
    p->dnn->primitive_destroy(p->primitive);
    p->dnn->memory_desc_destroy(p->plain);
    p->dnn->memory_desc_destroy(p->own);
    p->dnn->memory_desc_destroy(p->parameters);
}
