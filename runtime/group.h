/*
 * A group, its plans and runs, as their files share them.
 *
 *     group.c         members and shares
 *     group_plan.c    which plans an operation needs on each member
 *     group_run.c     the way of a run: cut, reduce, merge, apply, once per channel, report
 *     group_stage.c   one stage of it on all members, and what is done when one fails
 *     group_task.c    one plan at work on one member, from acquiring its tensors to releasing them
 *     group_once.c    what there is once per channel, on the host
 */
#ifndef CLNORM_RUNTIME_GROUP_H
#define CLNORM_RUNTIME_GROUP_H

#include <clnorm/group.h>
#include <clnorm/moments.h>
#include <stdatomic.h>

#include "context.h"
#include "roles.h"

enum { CLNORM__GROUP_TEXT_SIZE = 512 };

struct clnorm__member {
    struct clnorm_context *context;
    double weight;
    enum clnorm_status status; /* CLNORM_OK, or why it is out */
    int left; /* its copies of the tensors of the run in which it failed are gone */
    char text[CLNORM__GROUP_TEXT_SIZE];
};

struct clnorm_group {
    size_t count;
    struct clnorm__member *members;
    enum clnorm_sharing_mode sharing;
    double smoothing;
    int measured; /* once a run was */
    char error[2 * CLNORM__GROUP_TEXT_SIZE];
};

/* Keeps a printf'd detail as the group's last error and returns status. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
enum clnorm_status
clnorm__group_fail(struct clnorm_group *group, enum clnorm_status status, const char *format, ...);

/* Shares by the weights, into the reports of the plan's run; and weights by those. */
struct clnorm_group_plan;
void clnorm__group_cut(struct clnorm_group_plan *plan, uint64_t batch);
void clnorm__group_learn(struct clnorm_group_plan *plan);

/* ---- Plans ---- */

enum clnorm__group_stage {
    CLNORM__STAGE_REDUCE, /* a share -> its set of moments or sums */
    CLNORM__STAGE_APPLY,  /* a share and the merged set -> tensors of the batch */
    CLNORM__STAGE_WHOLE,  /* all of the problem */
    CLNORM__STAGE_UPDATE, /* the optimiser's step */
    CLNORM__STAGE_COUNT
};

/* What is merged between the halves. */
enum clnorm__group_set { CLNORM__SET_NONE, CLNORM__SET_MOMENTS, CLNORM__SET_SUMS };

/* How an operation falls into halves. CLNORM_OPERATION_COUNT: it lacks that half. */
struct clnorm__group_halves {
    enum clnorm__group_set set;
    enum clnorm_operation reduce, apply;
};

/* A member's side of a plan: plans of the stages, those that were needed; and its scratch memory,
 * where clnorm__group_place says what stands. */
struct clnorm__group_part {
    struct clnorm_plan *plan[CLNORM__STAGE_COUNT];
    cl_mem scratch;
    unsigned char *mapped;             /* the scratch memory on the host, or NULL */
    struct clnorm_group_report report; /* of the run so far; bytes: of scratch memory */
    uint64_t to_device, to_host;       /* bytes of tensors before the run */
};

/* A range of the batch, and who has it. */
struct clnorm__share {
    uint64_t first, count;
    size_t member;
    enum { CLNORM__SHARE_WAITING, CLNORM__SHARE_RUNNING, CLNORM__SHARE_DONE } state;
};

/* When an event completed; shared with the driver's callback. */
struct clnorm__group_time {
    atomic_int holders;
    atomic_llong at; /* ns of the clock; 0: not yet */
};

/* A plan at work on a share. */
struct clnorm__task {
    struct clnorm__share *share;
    struct clnorm_access access[CLNORM__CONSTANTS];
    size_t accesses;
    int started; /* commands may have been enqueued */
    cl_event last;
    int64_t began; /* ns */
    struct clnorm__group_time *time;
};

struct clnorm_group_plan {
    struct clnorm_group *group;
    struct clnorm_problem problem;
    const struct clnorm__group_halves *halves;
    unsigned runs;                    /* that succeeded */
    struct clnorm__group_part *parts; /* one for each member */
    /* One for each member, and one for the optimiser's step: */
    struct clnorm__share *shares;
    struct clnorm__task *tasks;
    /* What each share gave in 4*C parameters each, the first one's place then for results per
     * channel; the merged set; what is read and written per channel, before and after. */
    unsigned char *sets, *merged, *before, *after;
    struct clnorm_moments total, more; /* for merging */
};

/* Bytes of a set: a record of every channel, and of the longest of them. */
size_t clnorm__group_set_bytes(const struct clnorm_group_plan *plan);
size_t clnorm__group_room(const struct clnorm_group_plan *plan);

/* Where a role's array stands in the scratch memory, and results in a set, in bytes. */
size_t clnorm__group_place(const struct clnorm_group_plan *plan, unsigned role);
size_t clnorm__group_scratch_bytes(const struct clnorm_group_plan *plan);

/* Where the host has what a plan finds there in the scratch memory, and what it leaves there, for a
 * share. */
unsigned char *clnorm__group_given(const struct clnorm_group_plan *plan, unsigned role);
unsigned char *clnorm__group_taken(const struct clnorm_group_plan *plan, unsigned role,
                                   size_t share);

/* The problem of a stage; 0 when the operation lacks it. */
int clnorm__group_stage_problem(const struct clnorm_group_plan *plan,
                                enum clnorm__group_stage stage, struct clnorm_problem *problem);

/* A member's plan of a stage, made when there is none yet. The detail is the context's. */
enum clnorm_status clnorm__group_stage_plan(struct clnorm_group_plan *plan, size_t member,
                                            enum clnorm__group_stage stage,
                                            struct clnorm_plan **made);

/* ---- A run ---- */

struct clnorm__group_run {
    struct clnorm_group_plan *plan;
    struct clnorm_group *group;
    const struct clnorm_group_arguments *given;
    struct clnorm_arguments numbers; /* of all plans; no buffers */
    struct clnorm__extents extents;
    struct clnorm_tensor *tensor[CLNORM__CONSTANTS]; /* by role; NULL where not used */
    size_t batch_shares;           /* shares of the batch, from the first on; none of them empty */
    size_t first, shares;          /* those of the stage at hand */
    enum clnorm__group_stage last; /* that works on the batch */
    int failures;                  /* members that failed in this run */
};

/* What the problem makes of a role: CLNORM_UNUSED, ... */
enum clnorm_use clnorm__group_use(const struct clnorm__group_run *run, unsigned role);

/* 1 when role is the first with its tensor. */
int clnorm__group_is_first(const struct clnorm__group_run *run, unsigned role);

/* ---- group_task.c ---- */

/* Whose fault a failure is. */
enum clnorm__blame { CLNORM__BLAME_NONE, CLNORM__BLAME_MEMBER, CLNORM__BLAME_CALLER };

/* Acquires, enqueues and flushes; nothing is waited for. When it fails the task is dropped, and the
 * detail is the group's error. */
enum clnorm_status clnorm__task_start(struct clnorm__group_run *run, struct clnorm__task *task,
                                      enum clnorm__group_stage stage, enum clnorm__blame *blame);

/* Waits for a task that was started, takes what it gives per channel, and releases all. When it fails
 * the task is dropped; the member is to blame. */
enum clnorm_status clnorm__task_finish(struct clnorm__group_run *run, struct clnorm__task *task,
                                       enum clnorm__group_stage stage);

/* Unmaps what is mapped on a member, and waits for nothing. */
void clnorm__part_unmap(struct clnorm_group_plan *plan, size_t member);

/* ---- group_stage.c ---- */

/* Runs a stage on the shares at hand that wait; those of members that fail, on others. */
enum clnorm_status clnorm__group_stage_run(struct clnorm__group_run *run,
                                           enum clnorm__group_stage stage);

/* Looks whether the members still answer, and does what is to be done about those that do not. 1 when
 * there were such, and they could be done without. */
int clnorm__group_lose_dead(struct clnorm__group_run *run);

/* ---- group_once.c ---- */

/* Reads what is read and written per channel from its tensors, for a plan to work on. */
enum clnorm_status clnorm__group_keep(struct clnorm__group_run *run);

/* The merged set: of the sets of all shares, or of the parts that were given; then exchanged. */
enum clnorm_status clnorm__group_merge(struct clnorm__group_run *run);

/* Writes to tensors what there is once per channel after a stage, all of it or nothing: the second
 * half stands for both. */
enum clnorm_status clnorm__group_write_once(struct clnorm__group_run *run,
                                            enum clnorm__group_stage stage);

#endif
