/*
 * oneDNN, loaded when the bench runs: two versions of one library name can then be timed in one
 * process, such as the newest, which comes with SYCL, and an older one with OpenMP. Version 3's
 * headers are needed when this is built.
 */
#ifndef CLNORM_BENCH_ONEDNN_LIBRARY_H
#define CLNORM_BENCH_ONEDNN_LIBRARY_H

#include <oneapi/dnnl/dnnl.h>

/* Every function of oneDNN that is called, without its dnnl_. */
#define ONEDNN_FUNCTIONS(use)                                                                      \
    use(version) use(engine_create) use(engine_destroy) use(stream_create) use(stream_destroy)     \
        use(stream_wait) use(memory_create) use(memory_destroy) use(memory_get_memory_desc)        \
            use(memory_desc_create_with_tag) use(memory_desc_destroy) use(primitive_create)        \
                use(primitive_execute) use(primitive_destroy) use(primitive_desc_destroy)          \
                    use(primitive_desc_query_md) use(reorder_primitive_desc_create)                \
                        use(batch_normalization_forward_primitive_desc_create)                     \
                            use(batch_normalization_backward_primitive_desc_create)

struct onednn {
    void *library;
    char name[32]; /* version and threads: "3.2.0 OpenMP" */
    dnnl_engine_t engine;
    dnnl_stream_t stream;
#define ONEDNN_MEMBER(function) __typeof__(dnnl_##function) *function;
    ONEDNN_FUNCTIONS(ONEDNN_MEMBER)
#undef ONEDNN_MEMBER
};

/* Loads a library and makes its CPU engine; 0 after a line that says what is wrong. */
int onednn_load(struct onednn *onednn, const char *path);
void onednn_unload(struct onednn *onednn);

#endif
