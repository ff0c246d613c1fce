#include <clnorm/codegen.h>

static const char *const kind_names[CLNORM_KIND_COUNT] = {
    [CLNORM_KIND_AUTO] = "auto",
    [CLNORM_KIND_CPU] = "cpu",
    [CLNORM_KIND_GPU] = "gpu",
    [CLNORM_KIND_FPGA] = "fpga",
};

const char *clnorm_kind_name(enum clnorm_kind kind)
{
    return (unsigned)kind < CLNORM_KIND_COUNT ? kind_names[kind] : NULL;
}

static const struct clnorm_target targets[CLNORM_KIND_COUNT] = {
    [CLNORM_KIND_CPU] = {.kind = CLNORM_KIND_CPU,
                         .compute_units = 4,
                         .max_group = 1024,
                         .vector_bytes = 32,
                         .local_memory = 32768,
                         .cache = 1u << 20,
                         .shared_cache = 1u << 25,
                         .f64 = 1},
    [CLNORM_KIND_GPU] = {.kind = CLNORM_KIND_GPU,
                         .compute_units = 32,
                         .max_group = 256,
                         .vector_bytes = 16,
                         .local_memory = 32768,
                         .cache = 1u << 17,
                         .shared_cache = 1u << 22,
                         .f64 = 1},
    [CLNORM_KIND_FPGA] = {.kind = CLNORM_KIND_FPGA,
                          .compute_units = 1,
                          .max_group = 256,
                          .vector_bytes = 32,
                          .local_memory = 16384,
                          .cache = 0,
                          .f64 = 1},
};

struct clnorm_target clnorm_target_default(enum clnorm_kind kind)
{
    const unsigned index = (unsigned)kind;
    return targets[index == CLNORM_KIND_AUTO || index >= CLNORM_KIND_COUNT ? CLNORM_KIND_CPU
                                                                           : index];
}
