#define _POSIX_C_SOURCE 200809L
#include "crew.h"

#include "contestant.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define AWAKE 1e-3 /* seconds */

struct bench_crew {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    atomic_uint job;  /* counts the jobs; 0: none yet */
    atomic_uint left; /* threads still at it */
    atomic_int over;
    void (*work)(void *user, unsigned index, unsigned threads);
    void *user;
    unsigned threads, started;
    struct member {
        struct bench_crew *crew;
        unsigned index;
        pthread_t thread;
    } member[]; /* the caller's unused */
};

/* Waits for a job after number `done`: awake at first, then asleep. */
static unsigned next_job(struct bench_crew *const crew, const unsigned done)
{
    const double end = bench_now() + AWAKE;
    while (atomic_load(&crew->job) == done && bench_now() < end)
        sched_yield();
    if (atomic_load(&crew->job) == done) {
        pthread_mutex_lock(&crew->mutex);
        while (atomic_load(&crew->job) == done)
            pthread_cond_wait(&crew->wake, &crew->mutex);
        pthread_mutex_unlock(&crew->mutex);
    }
    return done + 1;
}

static void *serve(void *const user)
{
    const struct member *const self = user;
    struct bench_crew *const crew = self->crew;
    for (unsigned job = next_job(crew, 0); !atomic_load(&crew->over); job = next_job(crew, job)) {
        crew->work(crew->user, self->index, crew->threads);
        atomic_fetch_sub(&crew->left, 1);
    }
    return NULL;
}

static void post(struct bench_crew *const crew)
{
    atomic_store(&crew->left, crew->threads - 1);
    pthread_mutex_lock(&crew->mutex);
    atomic_fetch_add(&crew->job, 1);
    pthread_cond_broadcast(&crew->wake);
    pthread_mutex_unlock(&crew->mutex);
}

void bench_crew_run(struct bench_crew *const crew,
                    void (*const work)(void *user, unsigned index, unsigned threads),
                    void *const user)
{
    crew->work = work;
    crew->user = user;
    post(crew);
    work(user, 0, crew->threads);
    while (atomic_load(&crew->left))
        sched_yield(); /* it may have been woken on this very core */
}

struct bench_crew *bench_crew_open(const unsigned threads)
{
    struct bench_crew *const crew = calloc(1, sizeof *crew + threads * sizeof *crew->member);
    if (!crew)
        return NULL;
    crew->threads = threads;
    crew->started = 1;
    pthread_mutex_init(&crew->mutex, NULL);
    pthread_cond_init(&crew->wake, NULL);
    for (; crew->started < threads; crew->started++) {
        struct member *const one = &crew->member[crew->started];
        *one = (struct member){.crew = crew, .index = crew->started};
        if (pthread_create(&one->thread, NULL, serve, one) != 0) {
            bench_crew_close(crew);
            return NULL;
        }
    }
    return crew;
}

void bench_crew_close(struct bench_crew *const crew)
{
    if (!crew)
        return;
    atomic_store(&crew->over, 1);
    post(crew);
    for (unsigned i = 1; i < crew->started; i++)
        pthread_join(crew->member[i].thread, NULL);
    pthread_cond_destroy(&crew->wake);
    pthread_mutex_destroy(&crew->mutex);
    free(crew);
}
