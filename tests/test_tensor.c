/*
 * Tensors, rule by rule: which copy is valid when, how many bytes move, what is refused and why,
 * what becomes of values when work is abandoned, commands fail or memory runs out, and threads.
 * tests/test_coherence.c does all of it at random.
 */
#define _POSIX_C_SOURCE 200809L
#include "testing.h"

#include "control.h"

#include <clnorm/tensor.h>
#include <pthread.h>
#include <stdlib.h>

enum { SAMPLES = 16, SAMPLE_BYTES = 64, BYTES = SAMPLES * SAMPLE_BYTES };
enum { READ = CLNORM_ACCESS_READ, WRITE = CLNORM_ACCESS_WRITE, BOTH = CLNORM_ACCESS_READ_WRITE };

/* Two contexts, of one device here; a tensor whose memory they share, or not. */
struct fixture {
    struct clnorm_context *a, *b;
    struct clnorm_tensor *tensor;
    unsigned char *view; /* the caller's, at no multiple of 4096 */
};
static struct fixture f;

/* ---- Fixture ---- */

static int open_contexts(void **state)
{
    (void)state;
    f.a = clnorm_verify_context(NULL, 0);
    f.b = clnorm_verify_context(NULL, 0);
    f.view = malloc(BYTES + 8);
    return f.a && f.b && f.view ? 0 : -1;
}

static int close_contexts(void **state)
{
    (void)state;
    clnorm_context_release(f.a);
    clnorm_context_release(f.b);
    free(f.view);
    return 0;
}

static struct clnorm_tensor *make(void *host)
{
    const struct clnorm_tensor_options options = {
        .size = sizeof options, .samples = SAMPLES, .sample_bytes = SAMPLE_BYTES, .host = host};
    struct clnorm_tensor *tensor;
    assert_int_equal(clnorm_tensor_create(&options, &tensor, NULL, 0), CLNORM_OK);
    return tensor;
}

/* Every byte is `value` first. */
static void open_tensor(int shared, int value)
{
    unsigned char *const view = f.view + ((uintptr_t)f.view % 4096 == 0 ? 8 : 0);
    memset(view, value, BYTES);
    f.tensor = make(shared ? NULL : view);
}

static void close_tensor(void)
{
    clnorm_tensor_release(f.tensor);
    f.tensor = NULL;
}

static const char *error_text(void)
{
    static char text[512];
    clnorm_tensor_error(f.tensor, text, sizeof text);
    return text;
}

static struct clnorm_access acquire(struct clnorm_context *context, uint64_t first, uint64_t count,
                                    int mode)
{
    struct clnorm_access access;
    if (clnorm_tensor_acquire(f.tensor, context, first, count, (enum clnorm_access_mode)mode,
                              &access) != CLNORM_OK)
        fail_msg("%s", error_text());
    return access;
}

static void refuse(struct clnorm_context *context, uint64_t first, uint64_t count, int mode,
                   enum clnorm_status status, const char *says)
{
    struct clnorm_access access;
    assert_int_equal(clnorm_tensor_acquire(f.tensor, context, first, count,
                                           (enum clnorm_access_mode)mode, &access),
                     status);
    assert_null(access.tensor);
    if (!strstr(error_text(), says))
        fail_msg("'%s' does not say '%s'", error_text(), says);
}

/* Fills an acquired range with a byte, on the context's own queue; the event is the caller's. */
static cl_event fill(struct clnorm_context *context, const struct clnorm_access *access, int value,
                     cl_event gate)
{
    cl_event wait[2], last;
    cl_uint waits = 0;
    const unsigned char byte = (unsigned char)value;
    if (access->ready)
        wait[waits++] = access->ready;
    if (gate)
        wait[waits++] = gate;
    assert_int_equal(clEnqueueFillBuffer(clnorm_context_queue(context), access->buffer.memory,
                                         &byte, 1, access->buffer.offset,
                                         access->count * SAMPLE_BYTES, waits, waits ? wait : NULL,
                                         &last),
                     CL_SUCCESS);
    return last;
}

static void write_in(struct clnorm_context *context, uint64_t first, uint64_t count, int value)
{
    struct clnorm_access access = acquire(context, first, count, WRITE);
    const cl_event last = fill(context, &access, value, NULL);
    assert_int_equal(clnorm_access_release(&access, last), CLNORM_OK);
    clReleaseEvent(last);
}

static void expect(uint64_t first, uint64_t count, int value)
{
    struct clnorm_access access = acquire(NULL, first, count, READ);
    for (uint64_t i = 0; i < count * SAMPLE_BYTES; i++)
        assert_int_equal(((const unsigned char *)access.host)[i], value);
    assert_int_equal(clnorm_access_release(&access, NULL), CLNORM_OK);
}

/* Letters of the states of the samples from `first` on: I, S, O. */
static void expect_states(const struct clnorm_context *context, uint64_t first, const char *states)
{
    for (; *states; states++, first++)
        assert_int_equal("ISO"[clnorm_tensor_state(f.tensor, context, first)], *states);
}

static struct clnorm_tensor_statistics counted(void)
{
    return clnorm_tensor_statistics(f.tensor, NULL);
}

static void expect_bytes(uint64_t to_device, uint64_t to_host)
{
    assert_int_equal(counted().bytes_to_device, to_device);
    assert_int_equal(counted().bytes_to_host, to_host);
}

/* ---- Making ---- */

static void test_what_a_sample_is(void **state)
{
    (void)state;
    struct clnorm_problem problem;
    struct clnorm_tensor *tensor;
    char message[256] = "";
    clnorm_problem_parse("forward nhwc f16 ?x3x?", &problem, NULL, 0);
    struct clnorm_tensor_options options = {
        .size = sizeof options, .problem = &problem, .batch = 5, .spatial = 7};
    assert_int_equal(clnorm_tensor_create(&options, &tensor, NULL, 0), CLNORM_OK);
    assert_int_equal(clnorm_tensor_samples(tensor), 5);
    assert_int_equal(clnorm_tensor_sample_bytes(tensor), 3 * 7 * 2);
    clnorm_tensor_release(tensor);
    options.batch = -1;
    assert_int_equal(clnorm_tensor_create(&options, &tensor, message, sizeof message),
                     CLNORM_INVALID_ARGUMENT);
    assert_non_null(strstr(message, "options.batch"));
    options = (struct clnorm_tensor_options){
        .size = sizeof options, .samples = UINT64_C(1) << 40, .sample_bytes = UINT64_C(1) << 30};
    assert_int_equal(clnorm_tensor_create(&options, &tensor, message, sizeof message),
                     CLNORM_INVALID_ARGUMENT);
    assert_null(tensor);
    options.size = 1;
    assert_int_equal(clnorm_tensor_create(&options, &tensor, NULL, 0), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_tensor_create(NULL, &tensor, NULL, 0), CLNORM_INVALID_ARGUMENT);
    clnorm_tensor_release(NULL);
}

static void test_nothing(void **state)
{
    (void)state;
    const struct clnorm_tensor_options options = {.size = sizeof options};
    assert_int_equal(clnorm_tensor_create(&options, &f.tensor, NULL, 0), CLNORM_OK);
    struct clnorm_access access = acquire(f.a, 0, 0, BOTH);
    assert_null(access.buffer.memory);
    assert_null(access.ready);
    assert_int_equal(clnorm_access_release(&access, NULL), CLNORM_OK);
    assert_int_equal(clnorm_access_release(&access, NULL), CLNORM_OK); /* no access */
    assert_int_equal(clnorm_tensor_prefetch(f.tensor, f.a, 0, 0), CLNORM_OK);
    assert_int_equal(clnorm_tensor_evict(f.tensor, f.a, 0, 0), CLNORM_OK);
    assert_int_equal(clnorm_tensor_state(f.tensor, NULL, 0), CLNORM_COPY_INVALID);
    close_tensor();
}

/* ---- Protocol ---- */

static void test_states(void **state)
{
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        open_tensor(shared, 0);
        expect_states(NULL, 0, "OOOOOOOOOOOOOOOO");
        assert_int_equal(clnorm_tensor_prefetch(f.tensor, f.a, 2, 6), CLNORM_OK);
        expect_states(NULL, 0, "OOSSSSSSOO");
        expect_states(f.a, 0, "IISSSSSSII");
        write_in(f.a, 4, 2, 9);
        expect_states(NULL, 2, "SSIISS");
        expect_states(f.a, 2, "SSOOSS");
        write_in(f.b, 5, 1, 8);
        expect_states(f.a, 4, "OI");
        expect_states(f.b, 4, "IO");
        expect(5, 1, 8);
        expect_states(f.b, 5, "S");
        expect(4, 1, 9);
        expect(0, 4, 0);
        assert_int_equal(clnorm_tensor_evict(f.tensor, f.a, 0, SAMPLES), CLNORM_OK);
        expect_states(f.a, 0, "IIIIIIIIIIIIIIII");
        expect_states(NULL, 2, "OOOSOO");
        close_tensor();
    }
}

/* Only what is missing moves, and once. */
static void test_bytes_are_those_needed(void **state)
{
    (void)state;
    open_tensor(0, 1);
    write_in(f.a, 0, 4, 2); /* to be written whole: nothing moves */
    expect_bytes(0, 0);
    assert_int_equal(clnorm_tensor_prefetch(f.tensor, f.a, 0, 8), CLNORM_OK);
    expect_bytes(4 * SAMPLE_BYTES, 0);
    assert_int_equal(clnorm_tensor_prefetch(f.tensor, f.a, 1, 5), CLNORM_OK);
    expect_bytes(4 * SAMPLE_BYTES, 0);
    assert_int_equal(clnorm_tensor_prefetch(f.tensor, f.b, 2, 4), CLNORM_OK);
    expect_bytes(8 * SAMPLE_BYTES, 2 * SAMPLE_BYTES);
    expect(0, SAMPLES - 12, 2);
    expect_bytes(8 * SAMPLE_BYTES, 4 * SAMPLE_BYTES);
    expect(4, 12, 1);
    expect_bytes(8 * SAMPLE_BYTES, 4 * SAMPLE_BYTES);
    const struct clnorm_tensor_statistics a = clnorm_tensor_statistics(f.tensor, f.a);
    assert_int_equal(a.bytes_to_device, 4 * SAMPLE_BYTES);
    assert_int_equal(a.device_bytes, 8 * SAMPLE_BYTES); /* of 16: no more than was asked for */
    assert_int_equal(a.handovers, 0);
    assert_int_equal(a.hits, 2);
    assert_int_equal(a.misses, 1);
    close_tensor();
}

/* Where device and host share their memory, nothing is ever copied. */
static void test_shared_memory_is_not_copied(void **state)
{
    (void)state;
    if (!clnorm_context_device(f.a)->host_memory)
        skip();
    open_tensor(1, 0);
    struct clnorm_access host = acquire(NULL, 0, SAMPLES, BOTH);
    unsigned char *const view = host.host;
    memset(view, 3, BYTES);
    clnorm_access_release(&host, NULL);
    for (int round = 0; round < 10; round++) {
        write_in(f.a, 0, 8, round);
        write_in(f.b, 8, 8, round);
        assert_int_equal(clnorm_tensor_prefetch(f.tensor, f.b, 0, 8), CLNORM_OK);
        expect(0, SAMPLES, round);
        assert_int_equal(clnorm_tensor_evict(f.tensor, f.b, 0, SAMPLES), CLNORM_OK);
    }
    host = acquire(NULL, 0, SAMPLES, READ);
    assert_ptr_equal(host.host, view);
    clnorm_access_release(&host, NULL);
    const struct clnorm_tensor_statistics s = counted();
    assert_int_equal(s.bytes_to_device + s.bytes_to_host + s.bytes_on_device + s.copies, 0);
    assert_int_equal(s.device_peak, 0);
    assert_int_equal(s.handovers, 10 * 3);
    close_tensor();
}

/* Pieces of memory are joined within the device, and only when nobody is in them. */
static void test_joining(void **state)
{
    (void)state;
    open_tensor(0, 0);
    write_in(f.a, 0, 4, 1);
    write_in(f.a, 8, 4, 2);
    struct clnorm_access part = acquire(f.a, 0, 4, READ);
    refuse(f.a, 0, SAMPLES, READ, CLNORM_INVALID_ARGUMENT, "acquire the whole before its parts");
    struct clnorm_access other = acquire(f.a, 8, 4, READ);
    clnorm_access_release(&other, NULL);
    clnorm_access_release(&part, NULL);
    struct clnorm_access whole = acquire(f.a, 0, SAMPLES, READ);
    assert_int_equal(whole.buffer.offset, 0);
    clnorm_access_release(&whole, NULL);
    const struct clnorm_tensor_statistics s = counted();
    assert_int_equal(s.bytes_on_device, 8 * SAMPLE_BYTES);
    assert_int_equal(s.bytes_to_device, 8 * SAMPLE_BYTES);
    assert_int_equal(s.bytes_to_host, 0);
    assert_int_equal(s.device_bytes, BYTES);
    part = acquire(f.a, 9, 2, READ);
    assert_int_equal(part.buffer.offset, 9 * SAMPLE_BYTES);
    clnorm_access_release(&part, NULL);
    expect(0, 4, 1);
    expect(4, 4, 0);
    expect(8, 4, 2);
    close_tensor();
}

/* ---- What is refused ---- */

static void test_refused(void **state)
{
    (void)state;
    open_tensor(1, 0);
    refuse(f.a, 10, 7, READ, CLNORM_INVALID_ARGUMENT, "tensor of 16");
    refuse(f.a, UINT64_MAX, 2, READ, CLNORM_INVALID_ARGUMENT, "tensor of 16");
    refuse(f.a, 0, 1, 0, CLNORM_INVALID_ARGUMENT, "mode");
    refuse(f.a, 0, 1, 4, CLNORM_INVALID_ARGUMENT, "mode");
    struct clnorm_access reader = acquire(f.a, 2, 4, READ), again = acquire(NULL, 2, 4, READ);
    refuse(f.b, 5, 2, WRITE, CLNORM_INVALID_ARGUMENT, "samples 2 to 5 are acquired for reading");
    assert_int_equal(clnorm_tensor_evict(f.tensor, f.a, 0, SAMPLES), CLNORM_INVALID_ARGUMENT);
    struct clnorm_access writer = acquire(f.b, 6, 2, WRITE);
    refuse(NULL, 0, SAMPLES, READ, CLNORM_INVALID_ARGUMENT, "samples 6 to 7 are acquired for writ");
    assert_int_equal(clnorm_tensor_prefetch(f.tensor, f.a, 6, 1), CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_tensor_evict(f.tensor, NULL, 0, 1), CLNORM_INVALID_ARGUMENT);
    cl_int code;
    const cl_event foreign = clCreateUserEvent(clnorm_context_opencl(f.a), &code);
    assert_int_equal(clnorm_access_release(&writer, foreign), CLNORM_INVALID_ARGUMENT);
    assert_non_null(strstr(error_text(), "cl_context"));
    assert_int_equal(clnorm_access_release(&again, foreign), CLNORM_INVALID_ARGUMENT);
    clReleaseEvent(foreign);
    assert_int_equal(clnorm_access_release(&again, NULL), CLNORM_OK);
    assert_int_equal(clnorm_access_release(&writer, NULL), CLNORM_OK);
    assert_int_equal(clnorm_access_release(&reader, NULL), CLNORM_OK);
    close_tensor();
}

/* ---- Failures ---- */

static void test_abandoned(void **state)
{
    (void)state;
    open_tensor(0, 5);
    struct clnorm_access access = acquire(f.a, 0, 4, BOTH);
    clnorm_access_abandon(&access, 0);
    expect_states(f.a, 0, "SSSS");
    access = acquire(f.a, 0, 4, BOTH);
    clnorm_access_abandon(&access, 1); /* the host still has the old values */
    expect_states(f.a, 0, "IIII");
    expect(0, 4, 5);
    write_in(f.a, 0, 4, 6);
    access = acquire(f.a, 1, 2, BOTH);
    clnorm_access_abandon(&access, 1); /* nobody has */
    refuse(NULL, 0, 4, READ, CLNORM_DEVICE_FAILED, "samples 1 to 2 are lost");
    expect(0, 1, 6);
    write_in(f.b, 1, 2, 7);
    expect(1, 2, 7);
    close_tensor();
}

/* A command that fails after the access was released takes its samples with it, and no others. */
static void test_a_command_fails(void **state)
{
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        cl_int code;
        open_tensor(shared, 0);
        write_in(f.a, 0, SAMPLES, 4);
        expect(0, SAMPLES, 4);
        struct clnorm_access access = acquire(f.a, 2, 3, WRITE);
        const cl_event last = clCreateUserEvent(clnorm_context_opencl(f.a), &code);
        assert_int_equal(clnorm_access_release(&access, last), CLNORM_OK);
        assert_int_equal(clnorm_tensor_prefetch(f.tensor, f.b, 0, SAMPLES), CLNORM_OK);
        assert_int_equal(clSetUserEventStatus(last, CL_DEVICE_NOT_AVAILABLE), CL_SUCCESS);
        refuse(NULL, 0, SAMPLES, READ, CLNORM_DEVICE_FAILED, "samples 2 to 4");
        refuse(f.b, 4, 1, READ, CLNORM_DEVICE_FAILED, "samples 4 to 4 are lost");
        expect(0, 2, 4);
        expect(5, SAMPLES - 5, 4);
        write_in(f.b, 2, 3, 1);
        expect(2, 3, 1);
        access = acquire(f.a, 2, 1, BOTH); /* one that has failed already was not released */
        assert_int_equal(clnorm_access_release(&access, last), CLNORM_DEVICE_FAILED);
        clReleaseEvent(last);
        if (!shared)
            expect(2, 1, 1);
        close_tensor();
    }
}

static void test_forgotten(void **state)
{
    (void)state;
    uint64_t lost;
    open_tensor(0, 0);
    write_in(f.a, 0, 4, 1);
    write_in(f.a, 8, 4, 2);
    expect(2, 2, 1);
    assert_int_equal(clnorm_tensor_forget(f.tensor, f.b, &lost), CLNORM_OK); /* not in it */
    assert_int_equal(lost, 0);
    struct clnorm_access access = acquire(f.a, 8, 1, READ);
    assert_int_equal(clnorm_tensor_forget(f.tensor, f.a, &lost), CLNORM_OK);
    assert_int_equal(lost, 2 + 4);
    assert_int_equal(clnorm_access_release(&access, NULL), CLNORM_OK); /* has ended */
    expect(2, 2, 1);
    expect(4, 4, 0);
    refuse(f.b, 0, 2, READ, CLNORM_DEVICE_FAILED, "samples 0 to 1 are lost");
    write_in(f.a, 0, SAMPLES, 3);
    expect(0, SAMPLES, 3);
    close_tensor();
}

/* ---- Out of memory ---- */

/* Room for one buffer in the device: other copies go, to the host where they must. */
static void test_out_of_device_memory(void **state)
{
    (void)state;
    open_tensor(0, 0);
    write_in(f.a, 0, 4, 1);
    clnorm_pool_trim(f.a);
    clnorm_pool_trim(f.b);
    clnorm_layer_limit_buffers((unsigned)clnorm_layer_references().count[CLNORM_LAYER_MEMORY]);
    write_in(f.a, 8, 4, 2);
    expect_states(f.a, 0, "IIII");
    expect_states(NULL, 0, "OOOO");
    assert_int_equal(clnorm_tensor_statistics(f.tensor, f.a).evictions, 1);
    struct clnorm_access held = acquire(f.a, 8, 1, READ);
    refuse(f.a, 0, 4, READ, CLNORM_OUT_OF_MEMORY, "256 bytes");
    clnorm_access_release(&held, NULL);
    refuse(f.b, 0, 4, READ, CLNORM_OUT_OF_MEMORY, "256 bytes"); /* nothing of it is there */
    struct clnorm_access joined = acquire(f.a, 7, 6, READ);     /* by way of the host */
    clnorm_access_release(&joined, NULL);
    clnorm_layer_limit_buffers(0);
    expect(0, 4, 1);
    expect(4, 4, 0);
    expect(8, 4, 2);
    expect(12, 4, 0);
    close_tensor();
}

/* ---- Threads ---- */

enum { THREADS = 4, ROUNDS = 100, SHARE = SAMPLES / THREADS };

/* Each has its own samples, and goes from context to context with them. */
static void *use(void *user)
{
    const uint64_t first = (uint64_t)(uintptr_t)user * SHARE;
    int failed = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct clnorm_context *const context = round % 2 ? f.a : f.b;
        struct clnorm_access access;
        failed |= clnorm_tensor_acquire(f.tensor, context, first, SHARE, CLNORM_ACCESS_WRITE,
                                        &access) != CLNORM_OK;
        const cl_event last = fill(context, &access, round, NULL);
        failed |= clnorm_access_release(&access, last) != CLNORM_OK;
        clReleaseEvent(last);
        failed |=
            clnorm_tensor_prefetch(f.tensor, round % 2 ? f.b : f.a, first, SHARE) != CLNORM_OK;
        if (round % 3 == 0)
            failed |= clnorm_tensor_evict(f.tensor, context, first, SHARE) != CLNORM_OK;
        failed |= clnorm_tensor_acquire(f.tensor, NULL, first, SHARE, CLNORM_ACCESS_READ,
                                        &access) != CLNORM_OK;
        for (unsigned i = 0; i < SHARE * SAMPLE_BYTES && !failed; i++)
            failed |= ((const unsigned char *)access.host)[i] != round;
        failed |= clnorm_access_release(&access, NULL) != CLNORM_OK;
    }
    return (void *)(uintptr_t)failed;
}

static void test_threads(void **state)
{
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        pthread_t threads[THREADS];
        open_tensor(shared, 0);
        for (uintptr_t i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, use, (void *)i), 0);
        for (unsigned i = 0; i < THREADS; i++) {
            void *failed;
            pthread_join(threads[i], &failed);
            assert_null(failed);
        }
        expect(0, SAMPLES, ROUNDS - 1);
        close_tensor();
    }
}

static int open_layer(void **state)
{
    setenv("OPENCL_LAYERS", LAYER, 1);
    return open_contexts(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_sample_is),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_bytes_are_those_needed),
        cmocka_unit_test(test_shared_memory_is_not_copied),
        cmocka_unit_test(test_joining),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_abandoned),
        cmocka_unit_test(test_a_command_fails),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_out_of_device_memory),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, open_layer, close_contexts);
}
