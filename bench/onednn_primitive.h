/*
 * A batch normalization of oneDNN's with all its arguments in memory of its own, in one layout.
 */
#ifndef CLNORM_BENCH_ONEDNN_PRIMITIVE_H
#define CLNORM_BENCH_ONEDNN_PRIMITIVE_H

#include "data.h"
#include "onednn_library.h"

#define ONEDNN_RANK_MAX      5
#define ONEDNN_ARGUMENTS_MAX 12

/* Format tags by rank; dnnl_format_tag_undef where the layout has none. */
typedef dnnl_format_tag_t onednn_layout[ONEDNN_RANK_MAX + 1];
extern const onednn_layout onednn_first, onednn_last, onednn_blocked;

struct onednn_primitive {
    const struct bench_data *data; /* valid while it is made and checked */
    const struct onednn *dnn;
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t argument[ONEDNN_ARGUMENTS_MAX];
    int arguments;
    dnnl_memory_desc_t plain, own, parameters; /* the case's layout; the primitive's; a vector */
    dnnl_dims_t dims;
    int rank;
};

/* Makes it for data->one; 0 when oneDNN does not do it. For release whatever is returned. */
int onednn_primitive_make(struct onednn_primitive *p, const struct onednn *dnn,
                          const struct bench_data *data, const onednn_layout layout);

/* Runs and waits; 0: it failed. */
int onednn_primitive_run(const struct onednn_primitive *p);

/* Runs, and compares what it wrote: bench_check's error; infinite when that cannot be done. */
double onednn_primitive_check(const struct onednn_primitive *p, char what[32]);

void onednn_primitive_release(struct onednn_primitive *p);

#endif
