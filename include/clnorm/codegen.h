/*
 * clnorm/codegen.h: from a problem to OpenCL C text, without OpenCL.
 *
 *     problem -> target -> schedule -> source text
 *
 * Everything here is a pure function of its arguments: no device, no files, no locale, no global
 * state. All functions may be called from any thread at any time. The library target is
 * `clnorm_codegen`; it needs the C library only.
 *
 * A tensor is (N, C, S): batch, channels, and spatial extent, the product of all spatial dimensions
 * (1 for a fully connected layer). Per channel there are M = N*S values.
 */
#ifndef CLNORM_CODEGEN_H
#define CLNORM_CODEGEN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLNORM_VERSION_MAJOR  0
#define CLNORM_VERSION_MINOR  1
#define CLNORM_VERSION_PATCH  0
#define CLNORM_VERSION_STRING "0.1.0"

#if defined(__GNUC__)
#define CLNORM_API __attribute__((visibility("default")))
#else
#define CLNORM_API
#endif

/* ---- Status ---- */

enum clnorm_status {
    CLNORM_OK = 0,
    CLNORM_INVALID_ARGUMENT, /* the caller passed something that can never work; fix the call */
    CLNORM_UNSUPPORTED,      /* right, but not on this device (f64 without cl_khr_fp64, no compiler,
                                after fork) */
    CLNORM_NO_DEVICE,        /* no OpenCL platform or no matching device on this machine */
    CLNORM_OUT_OF_MEMORY,    /* host or device memory */
    CLNORM_BUILD_FAILED,  /* the device's compiler refused generated source; the detail has its log
                           */
    CLNORM_DEVICE_FAILED, /* an OpenCL call failed for another reason; the detail names call and
                             code */
    CLNORM_IO_FAILED,     /* a file could not be read or written */
    CLNORM_COMMUNICATION_FAILED /* a message between ranks did not get through (clnorm/mpi.h) */
};

/* "out of memory" and the like: one short sentence, never NULL, also for values outside the enum.
 */
CLNORM_API const char *clnorm_status_text(enum clnorm_status status);

/* "0.1.0". The version of the library that runs, CLNORM_VERSION_STRING the one compiled against. */
CLNORM_API const char *clnorm_version(void);

/* ---- Problem: what to compute ---- */

enum clnorm_operation {
    CLNORM_MOMENTS,   /* x -> moments */
    CLNORM_MERGE,     /* parts (sets of moments) -> moments */
    CLNORM_NORMALISE, /* x, parts -> y, mean, invstd, running statistics: forward with given moments
                       */
    CLNORM_FORWARD, /* x -> y, mean, invstd, running statistics: moments, merge and normalise in one
                     */
    CLNORM_INFER,   /* x, mean, var -> y */
    CLNORM_BACKWARD_SUMS,  /* dy, x, mean, invstd -> sums */
    CLNORM_INPUT_GRADIENT, /* dy, x, mean, invstd, parts (sets of sums), count -> dx, dscale, dshift
                            */
    CLNORM_BACKWARD,       /* dy, x, mean, invstd -> dx, dscale, dshift: both of the above in one */
    CLNORM_BACKWARD_FROZEN, /* as backward, but mean and invstd are constants, not functions of x */
    CLNORM_UPDATE, /* scale, shift, dscale, dshift, state -> scale, shift, state: one optimiser step
                    */
    CLNORM_OPERATION_COUNT
};

enum clnorm_layout {
    CLNORM_NCHW, /* channels first at any rank: offset of (n, c, s) is (n*C + c)*S + s */
    CLNORM_NHWC, /* channels last at any rank:  offset of (n, c, s) is (n*S + s)*C + c */
    CLNORM_LAYOUT_COUNT
};

/* Storage of x, y, dy, dx, add, dadd. Arithmetic, statistics and parameters: f64 for f64, else f32.
 */
enum clnorm_dtype { CLNORM_F32, CLNORM_F64, CLNORM_F16, CLNORM_BF16, CLNORM_DTYPE_COUNT };

enum clnorm_flag {
    CLNORM_SCALE = 1u << 0,   /* multiply by scale (gamma); backward: also dscale */
    CLNORM_SHIFT = 1u << 1,   /* add shift (beta); backward: also dshift */
    CLNORM_ADD = 1u << 2,     /* forward: add a tensor after shift; backward: also write dadd */
    CLNORM_RELU = 1u << 3,    /* forward: y = max(y, 0) last, NaN stays NaN; backward: needs y,
                                 gradient 0 where y <= 0 */
    CLNORM_RUNNING = 1u << 4, /* update running_mean and running_var */
    CLNORM_BIASED = 1u << 5,  /* with running: store the biased variance (ONNX, Keras), not M/(M-1)
                                 (PyTorch, cuDNN) */
    CLNORM_SGD =
        1u << 6, /* update, backward: optimiser step by SGD with momentum and weight decay */
    CLNORM_ADAM = 1u << 7,   /* update, backward: optimiser step by Adam */
    CLNORM_RENORM = 1u << 8, /* batch renormalization: y as with the running statistics from before
                                the batch, as far as r_max and d_max let it */
    CLNORM_GHOST = 1u << 9,  /* sub-batches of `ghost` samples with statistics of their own */
    CLNORM_LENGTHS =
        1u << 10 /* of each sample only the first lengths[n] of its S positions count */
};

/* An extent known only when a plan runs; `?` in the grammar. */
#define CLNORM_ANY (-1)

struct clnorm_problem {
    enum clnorm_operation operation;
    enum clnorm_layout layout;
    enum clnorm_dtype dtype;
    int64_t batch;    /* N >= 0, or CLNORM_ANY */
    int64_t channels; /* 1 <= C <= 2^31 - 1, always known */
    int64_t spatial;  /* S >= 0, or CLNORM_ANY; 1 for fully connected layers */
    uint32_t flags;   /* of enum clnorm_flag, those the operation knows (clnorm_operation_flags) */
    int64_t ghost;    /* with CLNORM_GHOST: samples of a sub-batch, 1 to 2^31 - 1, the last one has
                         what is left; else 0 */
};

/* Names as the grammar spells them: "forward", "nhwc", "f16". NULL outside the enum. */
CLNORM_API const char *clnorm_operation_name(enum clnorm_operation operation);
CLNORM_API const char *clnorm_layout_name(enum clnorm_layout layout);
CLNORM_API const char *clnorm_dtype_name(enum clnorm_dtype dtype);

/* The flags an operation accepts. 0 outside the enum. */
CLNORM_API uint32_t clnorm_operation_flags(enum clnorm_operation operation);

/* Bytes of one stored element (2, 4, 8), and of one statistic or parameter (4, 8). 0 outside the
 * enum. */
CLNORM_API size_t clnorm_dtype_size(enum clnorm_dtype dtype);
CLNORM_API size_t clnorm_dtype_parameter_size(enum clnorm_dtype dtype);

/*
 * Reads "<operation> <layout> <dtype> <dims>[ +flag...]", dims in N,C,spatial order whatever the
 * layout, `?` for an extent known only at run time: "forward nhwc f16 ?x64x56x56 +scale +shift
 * +relu". Rank 2 or more. One flag has a number: +ghost=32. Words are separated by blanks. On failure returns
 * CLNORM_INVALID_ARGUMENT, leaves *problem alone, and writes one line that says what is wrong and
 * what is accepted to message[size] (message may be NULL when size is 0).
 */
CLNORM_API enum clnorm_status clnorm_problem_parse(const char *text, struct clnorm_problem *problem,
                                                   char *message, size_t size);

/* Longest text clnorm_problem_format writes, its terminating zero included. */
#define CLNORM_PROBLEM_TEXT_SIZE 192

/* The canonical text of a valid problem, dims as NxCxS; parsing it gives the same problem. */
CLNORM_API void clnorm_problem_format(const struct clnorm_problem *problem,
                                      char text[CLNORM_PROBLEM_TEXT_SIZE]);

/* CLNORM_OK, or CLNORM_INVALID_ARGUMENT with one line in message[size] as above. Checks fields,
 * flags, N*C*S < 2^60. */
CLNORM_API enum clnorm_status clnorm_problem_check(const struct clnorm_problem *problem,
                                                   char *message, size_t size);

/*
 * The representative of all problems that should share a schedule with this valid one: flags that
 * change no traffic are dropped, known extents are the nearest power of two (0 becomes 1), `ghost`
 * is the power of two below. Itself a valid problem, and its own representative; its text (clnorm_problem_format) names the class.
 */
CLNORM_API void clnorm_problem_class(const struct clnorm_problem *problem,
                                     struct clnorm_problem *representative);

/* ---- Target: the facts of a device that matter to kernels ---- */

enum clnorm_kind {
    CLNORM_KIND_AUTO,
    CLNORM_KIND_CPU,
    CLNORM_KIND_GPU,
    CLNORM_KIND_FPGA,
    CLNORM_KIND_COUNT
};

struct clnorm_target {
    enum clnorm_kind kind;  /* never CLNORM_KIND_AUTO */
    uint32_t compute_units; /* at least 1 */
    uint32_t max_group;     /* largest work-group; at least 1 */
    uint32_t vector_bytes;  /* widest useful vector register, 4 to 128 */
    uint64_t local_memory;  /* bytes a work-group may use */
    uint64_t cache;         /* bytes of the cache one compute unit can call its own */
    uint64_t shared_cache;  /* bytes of the last cache before memory, which all share */
    uint32_t f64;           /* 1 when doubles work (cl_khr_fp64) */
    uint32_t sub_group;     /* work-items in a sub-group, where a full work-group has the most of
                               them; 0 when there are none that exchange values (OpenCL C 2.0 or
                               newer, cl_khr_subgroup_shuffle) */
    uint32_t collectives;   /* 1 when work_group_reduce_add works (OpenCL C 2.0, or an optional
                               feature of 3.0) */
};

/* "cpu", "gpu", "fpga" ("auto"); NULL outside the enum. */
CLNORM_API const char *clnorm_kind_name(enum clnorm_kind kind);

/* A plain, modest member of the kind: what `clnorm emit --target` and the golden kernels use. AUTO
 * gives the CPU. */
CLNORM_API struct clnorm_target clnorm_target_default(enum clnorm_kind kind);

/* ---- Schedule: the chosen numbers ---- */

enum clnorm_walk {
    CLNORM_WALK_SERIAL,   /* one work-item walks a tile of channels (CPUs) */
    CLNORM_WALK_GROUP,    /* a work-group walks it and folds its sums in a tree (GPUs) */
    CLNORM_WALK_PIPELINE, /* one work-item walks all tiles, in loops that a compiler for FPGAs can
                             pipeline: it starts an iteration on every cycle */
    CLNORM_WALK_DATAFLOW, /* four single work-items at the same time, a reader, the moments, a
                             normaliser and a writer, joined by channels (cl_intel_channels). Only
                             text: plans do not run it, and no schedule chosen has it */
    CLNORM_WALK_COUNT
};

/*
 * How the group walk makes one record a channel of its work-items' records. All but the tree need
 * more than OpenCL C 1.2 of the compiler: -cl-std=CL2.0 or CL3.0.
 */
enum clnorm_fold {
    CLNORM_FOLD_TREE,     /* in local memory, half of the items a step; the serial walk has this */
    CLNORM_FOLD_SUBGROUP, /* by shuffles within sub-groups, then in local memory: a tree, too */
    CLNORM_FOLD_COLLECTIVE, /* by work_group_reduce_add, for tile 1. OpenCL leaves open in which order
                               that adds, run by run: only the device can promise the same bits */
    CLNORM_FOLD_COUNT
};

struct clnorm_schedule {
    char name[24]; /* the row of the schedule table it came from; "": the caller's own */
    enum clnorm_walk walk;
    uint32_t lanes;    /* values a work-item handles at once: 1, 2, 4, 8 or 16 */
    uint32_t group;    /* work-items in a work-group, a power of two; 1 unless the walk is group */
    uint32_t tile;     /* channels a work-item takes at most at a time. Group walk, channels last:
                       channels across the group; channels first: 1 */
    uint32_t block;    /* values a lane sums up between two merges: 1 to 1024 */
    uint32_t parts;    /* work-items (groups) to aim for when the work is split; pipeline walk: 1 */
    uint64_t resident; /* a tile of at most so many bytes is done start to end by one work-item
                          (group), in one launch; 0: never */
    uint64_t stream;   /* serial walk: from so many bytes of tensors on (in one launch, half), those
                        written are stored past the caches where the compiler knows how; 0: never */
    uint32_t fetch;    /* serial walk: 1 asks memory for values some time before they are read */
    uint32_t baked; /* 1: batch and spatial extents are constants in the text (the problem must fix
                       them) */
    uint32_t bound; /* pipeline walk, operations on whole tensors in one launch, no optimiser: the
                       channel count is an argument of the kernels, from `lanes` up to this, so that
                       one text serves problems that differ in it; 0: it is a constant in the text */
    enum clnorm_fold fold;
};

/*
 * The default schedule for a valid problem on a target: the first row of the table that applies.
 * `index` 0 is that choice; 1, 2, ... are the other legal ones, so that a test or a tuner can visit
 * all. Returns 0 when there is no such index (never for index 0), else 1.
 */
CLNORM_API int clnorm_schedule_choose(const struct clnorm_problem *problem,
                                      const struct clnorm_target *target, unsigned index,
                                      struct clnorm_schedule *schedule);

/*
 * One line with all numbers: "gpu: walk=group lanes=1 group=256 ...". resident is a number of bytes
 * or `always`, and a schedule without a name is called `custom`; a bound of 0 and the fold tree are left out. Longest
 * text, zero included.
 */
#define CLNORM_SCHEDULE_TEXT_SIZE 384
CLNORM_API void clnorm_schedule_format(const struct clnorm_schedule *schedule,
                                       char text[CLNORM_SCHEDULE_TEXT_SIZE]);

/*
 * Reads what clnorm_schedule_format writes: the name and a colon, then every number once (bound
 * and fold: at most once), in any order, separated by blanks. What the numbers mean is not looked at; clnorm_schedule_check does
 * that. On failure returns CLNORM_INVALID_ARGUMENT, leaves *schedule alone, and writes one line that
 * says what is wrong and what is accepted to message[size] (NULL is fine when size is 0).
 */
CLNORM_API enum clnorm_status clnorm_schedule_parse(const char *text,
                                                    struct clnorm_schedule *schedule, char *message,
                                                    size_t size);

/* 1 when names and all numbers are equal. */
CLNORM_API int clnorm_schedule_same(const struct clnorm_schedule *a,
                                    const struct clnorm_schedule *b);

/* CLNORM_OK, or CLNORM_INVALID_ARGUMENT with a line in message[size]: numbers out of range or not
 * fit for the problem. */
CLNORM_API enum clnorm_status clnorm_schedule_check(const struct clnorm_schedule *schedule,
                                                    const struct clnorm_problem *problem,
                                                    char *message, size_t size);

/* 1 when the target takes the schedule's work-groups, the local memory that a group's records need,
 * and its fold. */
CLNORM_API int clnorm_schedule_fits(const struct clnorm_schedule *schedule,
                                    const struct clnorm_problem *problem,
                                    const struct clnorm_target *target);

/* ---- Source: OpenCL C text ---- */

/* The steps a problem may need. A kernel of the source carries the step's name: reduce, finish,
 * map, fused. */
enum clnorm_step {
    CLNORM_STEP_REDUCE, /* tensor -> per-channel sums of each part */
    CLNORM_STEP_FINISH, /* sums of all parts -> per-channel results */
    CLNORM_STEP_MAP,    /* tensor and per-channel results -> tensor */
    CLNORM_STEP_FUSED,  /* all of these in one launch, a work-item (group) a tile */
    CLNORM_STEP_COUNT
};

#define CLNORM_MAX_KERNEL_ARGUMENTS 56
#define CLNORM_KERNEL_NAME_SIZE     32

struct clnorm_kernel {
    enum clnorm_step step;
    char name[CLNORM_KERNEL_NAME_SIZE]; /* the kernel's name in the text */
    unsigned arguments; /* how many there are; 0: the text has no kernel for this step */
    char argument[CLNORM_MAX_KERNEL_ARGUMENTS]
                 [24]; /* their names, in order, as the text spells them */
};

struct clnorm_source {
    char *text;    /* zero-terminated ASCII OpenCL C 1.2, or what the
                      schedule's fold needs; freed by clnorm_source_free */
    size_t length; /* without the zero */
    struct clnorm_kernel kernels[CLNORM_STEP_COUNT];
};

/*
 * The kernels of a problem under a schedule. The same input gives the same bytes on any machine.
 * Errors, with one line in message[size]: CLNORM_INVALID_ARGUMENT (problem or schedule does not
 * check), CLNORM_OUT_OF_MEMORY. *source is then empty. The text holds the steps that some extents
 * the problem allows can need.
 */
CLNORM_API enum clnorm_status clnorm_source_emit(const struct clnorm_problem *problem,
                                                 const struct clnorm_schedule *schedule,
                                                 struct clnorm_source *source, char *message,
                                                 size_t size);

/* Frees the text and empties the struct. NULL and an empty struct are fine. */
CLNORM_API void clnorm_source_free(struct clnorm_source *source);

/*
 * The name a kernel of the source has in an image, where programs share one text: the step, an
 * underscore and eight hexadecimal digits that the source's text gives, "map_3f2a9c1e". Whatever
 * the text depends on, problem, schedule and version of the library, is thereby in the name.
 */
CLNORM_API void clnorm_image_kernel(const struct clnorm_source *source, enum clnorm_step step,
                                    char name[CLNORM_KERNEL_NAME_SIZE]);

/*
 * Joins sources into one text, for devices that load one image with all their kernels, as FPGAs do.
 * The text of each stands there unchanged, between lines that give all it declares names of its
 * own: kernels those of clnorm_image_kernel. Kernels of yours may stand before or behind it.
 * *image has no kernels listed; free it with clnorm_source_free. Errors, with one line in
 * message[size]: CLNORM_INVALID_ARGUMENT (no sources, or one of them twice), CLNORM_OUT_OF_MEMORY.
 */
CLNORM_API enum clnorm_status clnorm_image_join(const struct clnorm_source *sources, size_t count,
                                                struct clnorm_source *image, char *message,
                                                size_t size);

/* ---- Launches: which kernels run, and how large, for given extents ---- */

struct clnorm_launch {
    enum clnorm_step step;
    uint64_t global[3]; /* work-items; multiples of local */
    uint64_t local[3];
    uint64_t tile;                     /* channels of one tile, times spread */
    uint64_t batch_step, spatial_step; /* extents of one part */
    uint64_t spread; /* values of a channel in one position, each with sums of its own: 1, or the
                        spatial extent where nchw is walked as rows of all channels */
};

/* What running a problem with given extents takes. Steps are listed in the order in which they run.
 */
struct clnorm_launches {
    struct clnorm_launch launch[3];
    unsigned count; /* 0: nothing to do (no elements and no per-channel outputs) */
    /* Extents as the kernels take them: nhwc is walked as one row of N*S positions; nchw with planes
     * too small to fill vectors likewise, with N positions of C*S values. */
    uint64_t batch, spatial;
    uint64_t past;   /* 1: tensors are stored past the caches */
    uint64_t parts;  /* sets of sums the reduction leaves: batch parts x spatial parts x spread; 0
                       when M = 0 */
    uint64_t ghosts; /* sub-batches: 1 without CLNORM_GHOST, 0 when N = 0 */
    uint64_t ghost_sets; /* sets of sums of each but the last */
    uint64_t constants;  /* where the per-channel constants start in the workspace, in parameters */
    uint64_t workspace;  /* bytes; 0 when none is needed; never falls as extents grow */
};

/*
 * Plans the launches of a valid problem and schedule for N = batch, S = spatial (both >= 0, and
 * equal to the problem's where it fixes them; N*C*S < 2^60).
 */
CLNORM_API struct clnorm_launches clnorm_launches_plan(const struct clnorm_problem *problem,
                                                       const struct clnorm_schedule *schedule,
                                                       uint64_t batch, uint64_t spatial);

/* The launch of one step over a single part: what warming up a kernel of the source takes. */
CLNORM_API struct clnorm_launch clnorm_launch_of_step(const struct clnorm_problem *problem,
                                                      const struct clnorm_schedule *schedule,
                                                      enum clnorm_step step);

#ifdef __cplusplus
}
#endif

#endif
