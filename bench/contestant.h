/*
 * Contestants: what is timed. A file for each kind (clnorm.c, limit.c, onednn.c, pytorch.c) adds
 * its contestants for a case to the roster. Those of one name are variants, of which the fastest
 * counts: a peer with fresh and with reused outputs, a copy by memcpy and by kernels, clnorm on one
 * device and on another.
 */
#ifndef CLNORM_BENCH_CONTESTANT_H
#define CLNORM_BENCH_CONTESTANT_H

#include "data.h"

#include <clnorm/clnorm.h>

#include <sys/types.h>

#define BENCH_ROSTER_MAX 96
#define BENCH_NAME_SIZE  48
#define BENCH_DEVICE_MAX 4

struct bench_onednn;
struct bench_peer; /* the PyTorch process */

/* A device for clnorm and the limit; each of several makes a variant. */
struct bench_device {
    struct clnorm_context *context;
    struct bench_limit *limit;       /* NULL: left out */
    unsigned threads;                /* on a processor: of its compute units; else all cores */
    char label[BENCH_NAME_SIZE / 2]; /* as the user calls it; "" when it is the only one */
};

/* What serves all cases. */
struct bench {
    struct bench_device device[BENCH_DEVICE_MAX];
    unsigned devices;
    unsigned threads;            /* of a peer: all cores */
    unsigned schedule;           /* index for clnorm_schedule_choose */
    int all_schedules;           /* each legal one a contestant */
    struct bench_onednn *onednn; /* NULL: left out */
    struct bench_peer *pytorch;  /* NULL: left out */
};

/* What a contestant of the limit does over one tensor (a read: also over two, one after the other).
 */
enum bench_pattern {
    BENCH_NOT_LIMIT,
    BENCH_COPY,  /* one read, one write */
    BENCH_READ,  /* one read */
    BENCH_TRIAD, /* two reads, one write */
    BENCH_PATTERNS
};

struct bench_contestant {
    char name[BENCH_NAME_SIZE];    /* "clnorm", "clnorm:<row>", "limit", "onednn", "pytorch", ... */
    char variant[BENCH_NAME_SIZE]; /* which of those of the name; "" when there is one */
    enum bench_pattern pattern;
    const char *buffers; /* "reused" or "fresh" */
    unsigned threads;
    char schedule[CLNORM_SCHEDULE_TEXT_SIZE]; /* clnorm's */
    double error;                             /* of its result, found when it was made */
    void *state;
    /* Times `count` runs, from the call until the result is there. BENCH_DONE, or BENCH_FAILED
     * after a line. */
    int (*run)(struct bench_contestant *self, unsigned count, double *seconds);
    void (*release)(struct bench_contestant *self);
};

struct bench_roster {
    struct bench_contestant item[BENCH_ROSTER_MAX];
    unsigned count;
};

/* The next free place, zeroed, and counted at once; NULL when the roster is full. */
struct bench_contestant *bench_roster_add(struct bench_roster *roster, const char *name,
                                          const char *variant);

/* Releases all. */
void bench_roster_clear(struct bench_roster *roster);

/*
 * Each adds its contestants for data->one, their results verified, or none, after a line that says
 * why. BENCH_FAILED when the bench should end with status 1: clnorm itself failed or was wrong.
 */
int bench_make_clnorm(struct bench *bench, const struct bench_data *data,
                      struct bench_roster *roster);
int bench_make_limit(struct bench *bench, const struct bench_data *data,
                     struct bench_roster *roster);
int bench_make_onednn(struct bench *bench, const struct bench_data *data,
                      struct bench_roster *roster);
int bench_make_onednn_blocked(struct bench *bench, const struct bench_data *data,
                              struct bench_roster *roster);
int bench_make_pytorch(struct bench *bench, const struct bench_data *data,
                       struct bench_roster *roster);

/* The limit's programs and, with threads above 0, what copies on the host; the device stays until
 * they are closed. NULL after a line. */
struct bench_limit *bench_limit_open(const struct bench_device *device, unsigned threads);
void bench_limit_close(struct bench_limit *limit);

/* Starts the PyTorch process with this Python; NULL, after a line that says how to get it, when it
 * does not run. */
struct bench_peer *bench_pytorch_open(const char *python, unsigned threads);
void bench_pytorch_close(struct bench_peer *peer);
pid_t bench_pytorch_process(const struct bench_peer *peer); /* NULL: 0 */

/* Loads the libraries of a list with commas; NULL when there is none that works, after a line for
 * each. */
struct bench_onednn *bench_onednn_open(const char *libraries);
void bench_onednn_close(struct bench_onednn *onednn);

/* Seconds of a clock that only goes forward. */
double bench_now(void);

/* The error up to which a result is right, and up to which a peer's is still worth timing. */
double bench_tolerance(enum clnorm_dtype dtype);
double bench_peer_tolerance(enum clnorm_dtype dtype);

#endif
