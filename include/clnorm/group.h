/*
 * clnorm/group.h: one batch on several devices.
 *
 *     group of contexts -> problem -> plan of the group -> run on tensors
 *
 * The members of a group are contexts: devices of one platform or of several, of any kinds. A run
 * cuts the batch along N into one contiguous share a member, some of which may be empty. The
 * statistics are those of the whole batch: each member reduces its share (`moments`,
 * `backward-sums`), the host merges the results by count, in the order of the samples, with the
 * formula of Chan, Golub and LeVeque ("Updating formulae and a pairwise algorithm for computing
 * sample variances", 1979), and each member goes on with the same merged set (`normalise`,
 * `input-gradient`). What there is once per channel (mean, invstd, running statistics, dscale,
 * dshift) is the same from each, but for rounding: that of the first member with a share is kept.
 * An optimiser's step runs on one member. Where one member has the whole batch, that is a run of a
 * plan of the problem there: with the same bits, and in one pass over memory where that has one.
 *
 * Shares follow weights: a member's part of the batch is its weight over the sum of the weights,
 * rounded so that the shares add up (clnorm_group_shares). Where the weights come from is the
 * group's `sharing`. Another cut adds up in another order: results repeat bit for bit for the same
 * shares, and agree within rounding for others. To be repeatable give the shares, or the weights.
 *
 * Data are in tensors (clnorm/tensor.h), and move as those say: an input that a member has stays
 * there, a share that moves on moves through the host, and where memory is shared nothing is
 * copied. All members are given their work before any is waited for; waiting takes no processor
 * time.
 *
 * When a device fails. A member whose device refuses a call, runs out of memory, or loses a command
 * is out: other members do its share, from what is on the host or on them, and the run succeeds;
 * its report says who failed and why. What was only in memory of the member that failed is fetched,
 * if that still works; if it does not, the run fails and says which tensor it was. A run that
 * fails leaves running statistics and parameters as before it, unless their newest values were only
 * on the lost device. Tensors of the batch that it writes are undefined then, also where they are
 * read (in place). A member that is out takes part in no run until clnorm_group_restore.
 *
 * Threads: a group and its plans are used by one thread at a time. Tensors that a run uses may be
 * read by others meanwhile.
 */
#ifndef CLNORM_GROUP_H
#define CLNORM_GROUP_H

#include <clnorm/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

struct clnorm_group;
struct clnorm_group_plan;

/* ---- The group ---- */

enum clnorm_sharing_mode {
    CLNORM_SHARING_GIVEN,    /* the weights stay as they are */
    CLNORM_SHARING_MEASURED, /* ... until all that have one are timed in a run; then for good what
                                was measured */
    CLNORM_SHARING_ADAPTING, /* every run is timed, and moves the weights */
    CLNORM_SHARING_COUNT
};

struct clnorm_group_options {
    size_t size;                            /* sizeof(struct clnorm_group_options); required */
    struct clnorm_context *const *contexts; /* `count` of them, each once; they outlive the group */
    size_t count;                           /* >= 1 */
    const double *weights;                  /* `count`, >= 0, not all 0; copied. NULL: all 1 */
    enum clnorm_sharing_mode sharing;       /* 0: as given */
    /*
     * For adapting: the weight of the newest measurement, 0 < smoothing <= 1; 0: 0.25. After each
     * run, for members that had samples, weight = (1 - smoothing)*weight + smoothing*speed, where
     * speeds are samples per second, scaled so that the sum of these members' weights stays. The
     * first run of each plan is not counted, as it moves data and fills caches, nor is one in which
     * a member fails. A member with no samples is not measured, and keeps its weight.
     */
    double smoothing;
};

/*
 * Makes a group. Release with clnorm_group_release. On failure *group is NULL and message[size] (may
 * be NULL with size 0) says why. Errors: CLNORM_INVALID_ARGUMENT, CLNORM_OUT_OF_MEMORY.
 */
CLNORM_API enum clnorm_status clnorm_group_create(const struct clnorm_group_options *options,
                                                  struct clnorm_group **group, char *message,
                                                  size_t size);

/* After its plans, before its contexts. NULL: no-op. */
CLNORM_API void clnorm_group_release(struct clnorm_group *group);

/* Detail of the last failed call on the group or one of its plans, "" when there was none. Copies
 * and returns as clnorm_context_error does. */
CLNORM_API size_t clnorm_group_error(const struct clnorm_group *group, char *text, size_t size);

/* The weights as they are now, a number a member, and new ones. Errors: CLNORM_INVALID_ARGUMENT. */
CLNORM_API void clnorm_group_weights(const struct clnorm_group *group, double *weights);
CLNORM_API enum clnorm_status clnorm_group_set_weights(struct clnorm_group *group,
                                                       const double *weights);

/*
 * The samples of each member in a run over `batch` samples, by the weights as they are now: up to
 * the first i members, batch times their weights over all weights, rounded to nearest. Members that
 * are out have none; should all others have weight 0, they share alike.
 */
CLNORM_API void clnorm_group_shares(const struct clnorm_group *group, uint64_t batch,
                                    uint64_t *shares);

/* CLNORM_OK, or why a member is out. text[size] (may be NULL with size 0) is the detail then. */
CLNORM_API enum clnorm_status clnorm_group_member(const struct clnorm_group *group, size_t member,
                                                  char *text, size_t size);

/* Lets a member that is out take part again. A member that does not exist or is not out: no-op. */
CLNORM_API void clnorm_group_restore(struct clnorm_group *group, size_t member);

/* ---- Plan of a group ---- */

/*
 * Makes plans of a problem on all members: of its two halves and, for a group of one, of the whole.
 * Those that rare runs need, of the whole on one member of several, are made when they do. Any
 * operation but merge and update, which have no batch to share, and any flags but +ghost and
 * +lengths. Release with clnorm_group_plan_release, before the group. Errors: those of
 * clnorm_plan_create on any member, and CLNORM_INVALID_ARGUMENT for what is left out here.
 */
CLNORM_API enum clnorm_status clnorm_group_plan_create(struct clnorm_group *group,
                                                       const struct clnorm_problem *problem,
                                                       struct clnorm_group_plan **plan);
CLNORM_API void clnorm_group_plan_release(struct clnorm_group_plan *plan);

/*
 * What a run reads and writes: struct clnorm_arguments with tensors in place of buffers. Those of
 * the batch have a sample for each of N; the others the same bytes in any number of samples. In
 * place is one tensor given twice, where a plan allows the same memory.
 */
struct clnorm_group_arguments {
    size_t size;            /* sizeof(struct clnorm_group_arguments); required */
    int64_t batch, spatial; /* N and S, where the problem says CLNORM_ANY; >= 0 */
    struct clnorm_tensor *x, *y, *add, *dy, *dx, *dadd;
    struct clnorm_tensor *scale, *shift, *dscale, *dshift, *mean, *invstd, *var;
    struct clnorm_tensor *running_mean, *running_var, *renorm_r, *renorm_d;
    struct clnorm_tensor *moments, *sums, *parts, *state;
    int64_t sets;
    double epsilon, momentum, count, r_max, d_max;
    struct clnorm_optimiser optimiser;
    /* Samples of each member in this run; they add up to N, and members that are out have 0. NULL:
     * by the weights. */
    const uint64_t *shares;
    /*
     * For a batch that goes beyond the group, as over several machines. Called once between the
     * halves, with the merged moments (4*C of the parameter type, as struct clnorm_arguments has
     * them) or sums (2*C) of the group, which it replaces by those of the whole batch; for sums,
     * `count` is M of the whole. Not called where an operation has no halves (infer), and with the
     * sums of backward-frozen as far as it has them (zeros for the others). A status other than
     * CLNORM_OK ends the run, which returns it. NULL: the group has the whole batch.
     */
    enum clnorm_status (*exchange)(void *user, void *set, size_t bytes);
    void *user;
};

/* How a member did in a run. */
struct clnorm_group_report {
    uint64_t share; /* samples it was to do */
    uint64_t done;  /* samples it did to the end, those taken over from others included */
    double seconds; /* it was busy, from when its work was enqueued, in both halves together */
    uint64_t bytes_to_device, bytes_to_host; /* copied for it, tensors and merged sets; handing
                                                over shared memory copies none */
    enum clnorm_status status;               /* CLNORM_OK, or why it is out now */
    char text[256];                          /* detail of status, cut; "" */
};

/*
 * Runs the plan, and returns when all work has finished. report (NULL is fine) has room for one a
 * member, and is written whether the run succeeds or not, unless arguments are refused. Commands enqueued before on the contexts'
 * queues (clnorm_context_queue) run first there. Errors: CLNORM_INVALID_ARGUMENT (the detail names
 * the argument; nothing was done), CLNORM_OUT_OF_MEMORY (of the host, or of the last member that
 * was not out), CLNORM_DEVICE_FAILED (all members are out, or values were lost with one),
 * CLNORM_BUILD_FAILED (of a plan made late), what `exchange` returns.
 */
CLNORM_API enum clnorm_status clnorm_group_run(struct clnorm_group_plan *plan,
                                               const struct clnorm_group_arguments *arguments,
                                               struct clnorm_group_report *report);

#ifdef __cplusplus
}
#endif

#endif
