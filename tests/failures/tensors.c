#define _POSIX_C_SOURCE 200809L
#include "scenarios.h"

#include "control.h"

#include <clnorm/tensor.h>
#include <pthread.h>
#include <time.h>

enum { SAMPLES = 8, SAMPLE_WORDS = 16, WORDS = SAMPLES * SAMPLE_WORDS };

/* An application with a tensor in two contexts, and what must be in it. */
static struct {
    struct stage *stage;
    struct clnorm_context *other;
    cl_context other_opencl;
    cl_command_queue other_queue;
    struct clnorm_tensor *tensor;
    uint32_t view[WORDS + 1], model[WORDS];
    int lost; /* 1: the library said that it gave up new values, and the memory had the old ones */
} play;

/* What commands in the stage's context wait for. Opened by the act; or after some time by a thread
 * of its own, where the library waits instead of going on. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t thread;
    int closing, running;
    cl_event event;
} gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static void *open_in_time(void *user)
{
    struct timespec until;
    (void)user;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100 * 1000 * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&gate.mutex);
    while (!gate.closing && pthread_cond_timedwait(&gate.wake, &gate.mutex, &until) == 0)
        ;
    pthread_mutex_unlock(&gate.mutex);
    clSetUserEventStatus(gate.event, CL_COMPLETE);
    return NULL;
}

static void shut_gate(void)
{
    cl_int code;
    gate.event = clCreateUserEvent(play.stage->opencl, &code);
    assert_int_equal(code, CL_SUCCESS);
    gate.closing = 0;
    assert_int_equal(pthread_create(&gate.thread, NULL, open_in_time, NULL), 0);
    gate.running = 1;
}

static void open_gate(void)
{
    if (!gate.running)
        return;
    pthread_mutex_lock(&gate.mutex);
    gate.closing = 1;
    pthread_cond_signal(&gate.wake);
    pthread_mutex_unlock(&gate.mutex);
    pthread_join(gate.thread, NULL);
    clReleaseEvent(gate.event);
    gate.running = 0;
}

static enum clnorm_status note(enum clnorm_status status)
{
    if (status != CLNORM_OK && play.tensor)
        clnorm_tensor_error(play.tensor, play.stage->text, sizeof play.stage->text);
    return status;
}

#define WATCHED(call) note((enum clnorm_status)CLNORM_LAYER_WATCHED(call))

static void compare(const uint32_t *got, const char *where)
{
    for (unsigned i = 0; i < WORDS; i++)
        if (got[i] != play.model[i]) {
            snprintf(play.stage->wrong, sizeof play.stage->wrong, "word %u on %s is %u, not %u", i,
                     where, (unsigned)got[i], (unsigned)play.model[i]);
            return;
        }
}

static void open_play(struct stage *stage, int shared)
{
    cl_int code;
    play.stage = stage;
    play.lost = 0;
    play.other_opencl = clCreateContext(NULL, 1, &stage->device.device, NULL, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    play.other_queue = clCreateCommandQueue(play.other_opencl, stage->device.device, 0, &code);
    assert_int_equal(code, CL_SUCCESS);
    const struct clnorm_context_options other = {
        .size = sizeof other, .context = play.other_opencl, .cache_directory = ""};
    assert_int_equal(clnorm_context_create(&other, &play.other, NULL, 0), CLNORM_OK);
    const struct clnorm_tensor_options options = {
        .size = sizeof options,
        .samples = SAMPLES,
        .sample_bytes = SAMPLE_WORDS * sizeof(uint32_t),
        .host = shared ? NULL : play.view + ((uintptr_t)play.view % 8 == 0),
    };
    assert_int_equal(clnorm_tensor_create(&options, &play.tensor, NULL, 0), CLNORM_OK);
    struct clnorm_access all;
    assert_int_equal(
        clnorm_tensor_acquire(play.tensor, NULL, 0, SAMPLES, CLNORM_ACCESS_WRITE, &all), CLNORM_OK);
    for (unsigned i = 0; i < WORDS; i++)
        play.model[i] = ((uint32_t *)all.host)[i] = i;
    clnorm_access_release(&all, NULL);
}

static void close_play(void)
{
    open_gate();
    clnorm_layer_watch();
    clnorm_tensor_release(play.tensor);
    clnorm_layer_unwatch(0);
    play.tensor = NULL;
    clnorm_context_release(play.other);
    clReleaseCommandQueue(play.other_queue);
    clReleaseContext(play.other_opencl);
}

/* Lets the library try again what failed in a callback. */
static void settle(void)
{
    clnorm_tensor_prefetch(play.tensor, NULL, 0, 0);
}

/* Writes new values in a context, and waits for that unless it is at the gate. */
static enum clnorm_status write(struct clnorm_context *context, cl_command_queue queue,
                                uint64_t first, uint64_t count, enum clnorm_access_mode mode,
                                uint32_t value, int shared)
{
    struct clnorm_access access;
    uint32_t words[WORDS];
    enum clnorm_status status =
        WATCHED(clnorm_tensor_acquire(play.tensor, context, first, count, mode, &access));
    const int gated = gate.running;
    if (!gated)
        open_gate();
    if (status != CLNORM_OK)
        return status;
    settle();
    const size_t from = first * SAMPLE_WORDS, size = count * SAMPLE_WORDS;
    for (size_t i = 0; i < size; i++)
        words[i] = value + (uint32_t)i;
    cl_event wait[2], last;
    cl_uint waits = 0;
    if (access.ready)
        wait[waits++] = access.ready;
    if (gated)
        wait[waits++] = gate.event;
    assert_int_equal(clEnqueueWriteBuffer(queue, access.buffer.memory, CL_FALSE,
                                          access.buffer.offset, size * sizeof *words, words, waits,
                                          waits ? wait : NULL, &last),
                     CL_SUCCESS);
    if (!gated)
        assert_int_equal(clFinish(queue), CL_SUCCESS);
    status = WATCHED(clnorm_access_release(&access, last));
    if (gated && status == CLNORM_OK)
        status = WATCHED(clnorm_tensor_prefetch(play.tensor, play.other, 2, 4));
    open_gate();
    settle();
    assert_int_equal(clFinish(queue), CL_SUCCESS);
    clReleaseEvent(last);
    const int released = clnorm_tensor_state(play.tensor, context, first) == CLNORM_COPY_OWNER ||
                         clnorm_tensor_state(play.tensor, context, first) == CLNORM_COPY_SHARED;
    if (released)
        memcpy(play.model + from, words, size * sizeof *words);
    else
        play.lost |= shared;
    return status;
}

static enum clnorm_status read_in_context(void)
{
    struct clnorm_access access;
    uint32_t got[WORDS];
    const enum clnorm_status status = WATCHED(clnorm_tensor_acquire(
        play.tensor, play.stage->context, 0, SAMPLES, CLNORM_ACCESS_READ, &access));
    if (status != CLNORM_OK)
        return status;
    settle();
    assert_int_equal(clEnqueueReadBuffer(play.stage->in_order, access.buffer.memory, CL_TRUE,
                                         access.buffer.offset, sizeof got, got,
                                         access.ready ? 1 : 0, access.ready ? &access.ready : NULL,
                                         NULL),
                     CL_SUCCESS);
    compare(got, "the device");
    return WATCHED(clnorm_access_release(&access, NULL));
}

static enum clnorm_status read_on_host(void)
{
    struct clnorm_access access;
    const enum clnorm_status status =
        WATCHED(clnorm_tensor_acquire(play.tensor, NULL, 0, SAMPLES, CLNORM_ACCESS_READ, &access));
    if (status != CLNORM_OK)
        return status;
    compare(access.host, "the host");
    return WATCHED(clnorm_access_release(&access, NULL));
}

/* Afterwards nothing fails any more, and all values are there, or said to be lost. To acquire for
 * writing waits for all that uses the view, which is freed next, with calls that may fail. */
static enum clnorm_status check_values(enum clnorm_status status)
{
    struct clnorm_access access;
    enum clnorm_status read = CLNORM_DEVICE_FAILED;
    for (int attempt = 0; attempt < 2 && read != CLNORM_OK; attempt++)
        read =
            clnorm_tensor_acquire(play.tensor, NULL, 0, SAMPLES, CLNORM_ACCESS_READ_WRITE, &access);
    if (read == CLNORM_OK) {
        compare(access.host, "the host afterwards");
    } else if (!play.lost) {
        clnorm_tensor_error(play.tensor, play.stage->text, sizeof play.stage->text);
        status = CLNORM_IO_FAILED; /* fits no failure */
    }
    if (read != CLNORM_OK)
        clnorm_tensor_acquire(play.tensor, NULL, 0, SAMPLES, CLNORM_ACCESS_WRITE, &access);
    clnorm_access_abandon(&access, 0);
    return play.stage->wrong[0] && status != CLNORM_OK ? CLNORM_IO_FAILED : status;
}

enum clnorm_status use_tensor(struct stage *stage, const struct scenario *scenario)
{
    const int shared = (scenario->manner & MANNER_SHARED) != 0;
    open_play(stage, shared);
    shut_gate();
    enum clnorm_status status =
        write(stage->context, stage->in_order, 0, 4, CLNORM_ACCESS_WRITE, 1000, shared);
    if (status == CLNORM_OK)
        status = write(play.other, play.other_queue, 2, 4, CLNORM_ACCESS_READ_WRITE, 2000, shared);
    if (status == CLNORM_OK)
        status = read_in_context();
    if (status == CLNORM_OK)
        status = read_on_host();
    if (status == CLNORM_OK)
        status = WATCHED(clnorm_tensor_evict(play.tensor, play.other, 0, SAMPLES));
    open_gate();
    status = check_values(status);
    close_play();
    return status;
}
