/* What the tests of groups share: members on all devices there are, and the values of a problem in
 * tensors. */
#ifndef CLNORM_GROUP_RIG_H
#define CLNORM_GROUP_RIG_H

#include <clnorm/group.h>

#include "compare.h"
#include "convert.h"
#include "reference.h"
#include "testing.h"

enum { MAX_MEMBERS = 8 };

struct rig {
    struct clnorm_context *context[MAX_MEMBERS];
    size_t count;
    struct clnorm_group *group;
};

/* One member for each device, at most `most`. */
void rig_open(struct rig *rig, size_t most);
void rig_close(struct rig *rig);

/* A new group of the same contexts. */
void rig_regroup(struct rig *rig, enum clnorm_sharing_mode sharing, const double *weights);

/* Cuts n by a pattern of weights, repeated over the members, by a group's own rule. */
void rig_cut(const struct rig *rig, const double *pattern, size_t length, uint64_t n,
             uint64_t shares[MAX_MEMBERS]);

/* The values of a problem: inputs, what is right, and tensors with the inputs. */
struct load {
    struct clnorm_values inputs, expected;
    struct clnorm_tensor *tensor[CLNORM_SLOT_COUNT];
    void *view[CLNORM_SLOT_COUNT]; /* NULL: the tensor's own */
};

/* `odd`: views of the test's, at an odd element, so that no device can share them. In place: `out`
 * is the tensor of `in` (CLNORM_SLOT_COUNT: none is). */
struct load_options {
    int odd;
    enum clnorm_slot out, in;
};
void load_open(struct load *load, const struct clnorm_values *inputs,
               const struct load_options *options);
void load_close(struct load *load);

/* Gives all tensors the inputs again; outputs become NaN. */
void load_reset(struct load *load);

struct clnorm_group_arguments load_arguments(const struct load *load);

/* What the tensors have now, in the slots that the problem writes. */
void load_read(const struct load *load, struct clnorm_values *observed);

/* Fails the test where what the tensors have is not right. */
void load_check(const struct load *load, const char *what);

/* 1 when a slot's tensor has the inputs it was given. */
int load_is_intact(const struct load *load, enum clnorm_slot slot);

/* A plan, or the test fails with the group's error. NULL where a member lacks f64. */
struct clnorm_group_plan *rig_plan(struct rig *rig, const struct clnorm_problem *problem);

/* A run, or the test fails with the group's error. */
void rig_run(struct rig *rig, struct clnorm_group_plan *plan,
             const struct clnorm_group_arguments *arguments,
             struct clnorm_group_report report[MAX_MEMBERS]);

#endif
