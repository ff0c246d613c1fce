/*
 * Events of commands in several cl_contexts. Within one, a command waits for an event; across them,
 * for a user event of its own cl_context, a bridge, that a callback of the other event completes.
 * Where that is not to be had, the thread waits for the event instead, just before it enqueues.
 */
#ifndef CLNORM_RUNTIME_EVENTS_H
#define CLNORM_RUNTIME_EVENTS_H

#include <clnorm/clnorm.h>
#include <pthread.h>

/* As clFinish, which on rusticl 22.3 returns at once. CL_SUCCESS, or the code of the call that
 * failed, which *call then names. */
cl_int clnorm__queue_wait(cl_command_queue queue, const char **call);

/* The event of one command, counted by us, so that keeping it cannot fail. Under its owner's lock.
 */
struct clnorm__stamp {
    unsigned references;
    cl_event event; /* NULL until the command is enqueued */
    cl_event
        before; /* of another command that it follows, or NULL: PoCL does not survive the failure
                        of one whose event nobody keeps */
    cl_context opencl;
    int mute; /* 1: its failure calls no callback */
};

/* A stamp with one reference and no event; NULL: out of memory. */
struct clnorm__stamp *clnorm__stamp_new(cl_context opencl, int mute);
struct clnorm__stamp *clnorm__stamp_keep(struct clnorm__stamp *stamp);
void clnorm__stamp_drop(struct clnorm__stamp *stamp); /* NULL: no-op */

/* Above 0: not done yet, or OpenCL does not tell; 0: done; below 0: the code it failed with. */
cl_int clnorm__stamp_status(const struct clnorm__stamp *stamp);

/* Waits until it is done or has failed. CL_SUCCESS or the code of waiting or failing. */
cl_int clnorm__stamp_wait(const struct clnorm__stamp *stamp);

struct clnorm__stamps {
    struct clnorm__stamp **at;
    size_t count, capacity;
};

/* Room for so many more; 0: out of memory. */
int clnorm__stamps_reserve(struct clnorm__stamps *stamps, size_t more);
/* Keeps a stamp, unless the list has it. There must be room. */
void clnorm__stamps_add(struct clnorm__stamps *stamps, struct clnorm__stamp *stamp);
/* Adds all of another list; 0: out of memory, with nothing added. */
int clnorm__stamps_append(struct clnorm__stamps *stamps, const struct clnorm__stamps *more);
int clnorm__stamps_same(const struct clnorm__stamps *a, const struct clnorm__stamps *b);
/* Drops those that are done or have failed. */
void clnorm__stamps_prune(struct clnorm__stamps *stamps);
/* Drops those of a cl_context. */
void clnorm__stamps_drop_context(struct clnorm__stamps *stamps, cl_context opencl);
/* Drops all; the room stays. */
void clnorm__stamps_clear(struct clnorm__stamps *stamps);
void clnorm__stamps_free(struct clnorm__stamps *stamps);

struct clnorm__bridge;

/* Bridges that are under way. */
struct clnorm__bridges {
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    struct clnorm__bridge *first;
};

void clnorm__bridges_open(struct clnorm__bridges *bridges);
/* Frees those that have done their work, and sees to those that a callback did not, or not well. To
 * be called now and then, as clnorm__waits_arm under the lock of the owner. */
void clnorm__bridges_reap(struct clnorm__bridges *bridges);
/* Waits for all of them, and frees them. */
void clnorm__bridges_close(struct clnorm__bridges *bridges);

/*
 * The wait list of one command: open (zero but for the first three members), add what it waits for,
 * enqueue it with list and count, arm, close; a command that could not be enqueued: close only. A
 * bridge completes no sooner than it is armed: a command never finds an event in its wait list that
 * has failed already, which PoCL waits for forever.
 */
struct clnorm__waits {
    cl_context opencl;
    int bridged; /* 0: wait for events of other cl_contexts in this thread, now */
    struct clnorm__bridges *bridges;
    cl_event *list;
    cl_uint count;
    struct clnorm__bridge *unarmed;
    cl_int code; /* not CL_SUCCESS: something it needed has failed, or could not be waited for */
    int waiting_failed; /* 1: the latter, and the code is that of clWaitForEvents */
};

/* `needed`: the command must not run when this one fails. Else it runs as soon as this has ended. */
void clnorm__waits_add(struct clnorm__waits *waits, const struct clnorm__stamp *stamp, int needed);
void clnorm__waits_add_all(struct clnorm__waits *waits, const struct clnorm__stamps *stamps);
void clnorm__waits_arm(struct clnorm__waits *waits);
void clnorm__waits_close(struct clnorm__waits *waits);

#endif
