/*
 * The values of one run on the host, all as doubles: every buffer of struct clnorm_arguments is a
 * slot, found by name through clnorm_problem_buffer, so that data, reference, device and comparison
 * share one way of naming them.
 */
#ifndef CLNORM_VERIFY_VALUES_H
#define CLNORM_VERIFY_VALUES_H

#include <clnorm/clnorm.h>

enum clnorm_slot {
    CLNORM_SLOT_X,
    CLNORM_SLOT_Y,
    CLNORM_SLOT_ADD,
    CLNORM_SLOT_DY,
    CLNORM_SLOT_DX,
    CLNORM_SLOT_DADD,
    CLNORM_SLOT_SCALE,
    CLNORM_SLOT_SHIFT,
    CLNORM_SLOT_DSCALE,
    CLNORM_SLOT_DSHIFT,
    CLNORM_SLOT_MEAN,
    CLNORM_SLOT_INVSTD,
    CLNORM_SLOT_VAR,
    CLNORM_SLOT_RUNNING_MEAN,
    CLNORM_SLOT_RUNNING_VAR,
    CLNORM_SLOT_RENORM_R,
    CLNORM_SLOT_RENORM_D,
    CLNORM_SLOT_MOMENTS,
    CLNORM_SLOT_SUMS,
    CLNORM_SLOT_PARTS,
    CLNORM_SLOT_STATE,
    CLNORM_SLOT_LENGTHS, /* stored as uint32_t, whatever its dtype says */
    CLNORM_SLOT_COUNT
};

/* Where a slot lives in struct clnorm_arguments, and whether its elements are the tensor's dtype or
 * parameters. */
struct clnorm_slot_row {
    const char *name;
    size_t offset;
    int tensor;
};
extern const struct clnorm_slot_row clnorm_slots[CLNORM_SLOT_COUNT];

struct clnorm_slot_values {
    enum clnorm_use use;
    enum clnorm_dtype dtype; /* of the stored elements */
    size_t elements;
    double *data;      /* NULL for an unused slot */
    double *tolerance; /* of each element; the reference sets it for what it writes */
};

struct clnorm_values {
    struct clnorm_problem problem;
    int64_t batch, spatial, sets;
    double epsilon, momentum, count, r_max, d_max;
    struct clnorm_optimiser optimiser;
    struct clnorm_slot_values slot[CLNORM_SLOT_COUNT];
};

/*
 * Zeroed values for a problem with these extents. CLNORM_OUT_OF_MEMORY leaves *values empty.
 * Numbers: epsilon 1e-5, momentum 0.1, r_max 1.5 and d_max 1, so that some channels are clipped and
 * some are not, an ordinary optimiser; change them before the data are used.
 */
enum clnorm_status clnorm_values_create(struct clnorm_values *values,
                                        const struct clnorm_problem *problem, int64_t batch,
                                        int64_t spatial, int64_t sets);
enum clnorm_status clnorm_values_copy(struct clnorm_values *copy,
                                      const struct clnorm_values *values);
void clnorm_values_free(struct clnorm_values *values); /* an empty struct is fine */

/* Bytes of an element of a slot as the device has it, and element i written so into an array at
 * base, which needs no alignment. */
size_t clnorm_values_element_size(const struct clnorm_values *values, enum clnorm_slot slot);
void clnorm_values_store(const struct clnorm_values *values, enum clnorm_slot slot, void *base,
                         size_t i);

/* Index of element (n, c, s) of a tensor, by the formula of enum clnorm_layout. */
size_t clnorm_values_offset(const struct clnorm_values *values, int64_t n, int64_t c, int64_t s);

/* A channel of a sub-batch, which is the whole batch without +ghost: samples first to last - 1; and
 * its place in mean and invstd. */
struct clnorm_part {
    int64_t channel, first, last;
    size_t statistic;
};
int64_t clnorm_values_ghosts(const struct clnorm_values *values); /* sub-batches */
struct clnorm_part clnorm_values_part(const struct clnorm_values *values, int64_t c, int64_t ghost);

/* Valid positions of sample n: S without +lengths. */
int64_t clnorm_values_length(const struct clnorm_values *values, int64_t n);

/* Those of all samples of a part. */
int64_t clnorm_values_count(const struct clnorm_values *values, struct clnorm_part part);

/* The channel that element `index` of a slot belongs to. */
int64_t clnorm_values_channel(const struct clnorm_values *values, enum clnorm_slot slot,
                              size_t index);

#endif
