/*
 * Many at once, and some killed: processes and threads that share one cache directory. Children
 * report by their exit status only; a failed assertion in a child would go on with the parent's
 * tests.
 */
#define _POSIX_C_SOURCE 200809L

#include "store_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "store_files.h"

enum { PROCESSES = 16, ROUNDS = 20, THREADS = 8, BIG = 100000 };

/*
 * A large payload of its own for each key, so that a torn or mixed-up entry could not pass for a
 * sound one.
 */
static void fill_payload(unsigned char payload[BIG], unsigned seed)
{
    uint32_t value = seed * 2654435761u + 1;
    for (size_t i = 0; i < BIG; i++) {
        value = value * 1664525u + 1013904223u;
        payload[i] = (unsigned char)(value >> 24);
    }
}

static struct clnorm__key numbered_key(unsigned number)
{
    char program[16];
    (void)snprintf(program, sizeof program, "program %u", number);
    return make_key(program, "1");
}

static void save_number(struct clnorm__store *store, unsigned number)
{
    struct clnorm__key key = numbered_key(number);
    unsigned char payload[BIG];
    fill_payload(payload, number);
    clnorm__store_save(store, &key, payload, BIG);
    clnorm__key_free(&key);
}

/* 1: a hit with the right payload. 0: a miss. -1: something else was loaded. */
static int load_number(struct clnorm__store *store, unsigned number)
{
    struct clnorm__key key = numbered_key(number);
    unsigned char expected[BIG];
    void *payload = NULL;
    size_t size = 0;
    int result = clnorm__store_load(store, &key, &payload, &size);
    if (result) {
        fill_payload(expected, number);
        result = size == BIG && memcmp(payload, expected, BIG) == 0 ? 1 : -1;
    }
    free(payload);
    clnorm__key_free(&key);
    return result;
}

/* The parts of the directory's state that hold whenever no writer is at work. */
static void expect_all_sound(const char *path)
{
    struct clnorm__file *files = NULL;
    size_t count = 0;
    const int directory = clnorm__directory_open(path, 0);
    assert_true(directory >= 0);
    assert_int_equal(clnorm__files_list(directory, &files, &count), CLNORM_OK);
    for (size_t i = 0; i < count; i++) {
        void *bytes = NULL;
        struct clnorm__entry entry;
        assert_int_equal(clnorm__file_read(directory, files[i].name, NULL, &bytes, &entry),
                         CLNORM__FOUND_SOUND);
        free(bytes);
    }
    free(files);
    assert_int_equal(close(directory), 0);
}

/* ---- Sixteen at once ---- */

/*
 * 0, or which of the promises was broken. Number 0 is everybody's, the others each process's own.
 */
static int use_store(const char *directory, uint64_t limit, unsigned self)
{
    struct clnorm__store *store = NULL;
    const struct clnorm_context_options options = {
        .size = sizeof options,
        .cache_directory = directory,
        .cache_limit = limit,
    };
    if (clnorm__store_open(&options, &store) != CLNORM_OK) {
        return 1;
    }
    int broken = 0;
    for (unsigned i = 0; i < ROUNDS && !broken; i++) {
        save_number(store, i % 2 ? 0 : self);
        broken =
            load_number(store, 0) < 0 || load_number(store, 1 + (self + i) % PROCESSES) < 0 ? 2 : 0;
    }
    const struct clnorm__store_counters counters = clnorm__store_counters(store);
    clnorm__store_close(store);
    return broken ? broken : counters.rejects ? 3 : counters.failures ? 4 : 0;
}

/* Starts the processes and lets them all go at the moment the pipe is closed. */
static void run_processes(const char *directory, uint64_t limit)
{
    pid_t children[PROCESSES];
    int gate[2];
    assert_int_equal(pipe(gate), 0);
    for (unsigned i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            char byte;
            (void)close(gate[1]);
            _exit(read(gate[0], &byte, 1) == 0 ? use_store(directory, limit, i + 1) : 5);
        }
    }
    assert_int_equal(close(gate[0]), 0);
    assert_int_equal(close(gate[1]), 0);
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

static void processes_share_an_empty_directory(void **state)
{
    const struct fixture *const fixture = *state;
    run_processes(fixture->directory, 0);
    struct clnorm__store *const store = open_store(fixture->directory, 0);
    for (unsigned i = 0; i <= PROCESSES; i++) {
        assert_int_equal(load_number(store, i), 1);
    }
    clnorm__store_close(store);
    assert_int_equal(count_files(fixture->directory, ".clnorm"), PROCESSES + 1);
    assert_int_equal(count_files(fixture->directory, ".tmp"), 0);
}

/* The limit has room for three, so that all evict each other's entries all the time. */
static void processes_evict_each_other(void **state)
{
    const struct fixture *const fixture = *state;
    run_processes(fixture->directory, 3 * (BIG + 1000));
    expect_all_sound(fixture->directory);
    assert_int_equal(count_files(fixture->directory, ".tmp"), 0);

    /*
     * Two processes may each have kept the entry the other saw too late; the next save settles it.
     */
    struct clnorm__store *const store = open_store(fixture->directory, 3 * (BIG + 1000));
    save_number(store, 0);
    clnorm__store_close(store);
    assert_in_range(count_files(fixture->directory, ".clnorm"), 1, 3);
}

/* ---- Killed and failing writers ---- */

static void kill_a_writer_after(const char *directory, long microseconds)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct clnorm__store *store = NULL;
        const struct clnorm_context_options options = {.size = sizeof options,
                                                       .cache_directory = directory};
        if (clnorm__store_open(&options, &store) == CLNORM_OK) {
            for (unsigned i = 0;; i++) {
                save_number(store, i % 4);
            }
        }
        _exit(1);
    }
    const struct timespec wait = {.tv_sec = 0, .tv_nsec = microseconds * 1000};
    int status = 0;
    (void)nanosleep(&wait, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void killed_writers_leave_nothing_wrong(void **state)
{
    const struct fixture *const fixture = *state;
    size_t removed = 0;
    assert_int_equal(mkdir(fixture->directory, 0700), 0);
    unsigned left = 0;
    for (long i = 0; i < 60; i++) {
        kill_a_writer_after(fixture->directory, 1000 + 317 * i);
        expect_all_sound(fixture->directory);
    }
    left = count_files(fixture->directory, ".tmp");
    print_message("60 writers killed, %u temporary files left behind\n", left);
    const unsigned entries = count_files(fixture->directory, ".clnorm");
    assert_true(entries > 0);

    struct clnorm__store *const store = open_store(fixture->directory, 0);
    save_number(store, 0);
    assert_int_equal(load_number(store, 0), 1);
    clnorm__store_close(store);
    assert_int_equal(clnorm_cache_clear(fixture->directory, &removed), CLNORM_OK);
    assert_in_range(removed, entries, entries + 1);
    assert_int_equal(rmdir(fixture->directory), 0); /* only an empty one can be removed */
}

/* Runs the body in a child of its own, whose limits and user may then change. */
static void expect_in_child(int (*body)(const char *directory), const char *directory)
{
    const pid_t child = fork();
    int status = 0;
    assert_true(child >= 0);
    if (child == 0) {
        _exit(body(directory));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* One failure and nothing else, whatever was tried. */
static int save_fails(const char *directory)
{
    struct clnorm__store *store = NULL;
    const struct clnorm_context_options options = {.size = sizeof options,
                                                   .cache_directory = directory};
    if (clnorm__store_open(&options, &store) != CLNORM_OK) {
        return 1;
    }
    save_number(store, 1);
    const int loaded = load_number(store, 1);
    const struct clnorm__store_counters counters = clnorm__store_counters(store);
    clnorm__store_close(store);
    return loaded ? 2 : counters.failures != 1 ? 3 : counters.rejects ? 4 : 0;
}

/*
 * The file may grow to a few pages only: the same to the writer as a full disk, half-way through.
 */
static int save_on_a_full_disk(const char *directory)
{
    const struct rlimit limit = {.rlim_cur = 8192, .rlim_max = 8192};
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        return 9;
    }
    return save_fails(directory);
}

static void full_disk_leaves_nothing(void **state)
{
    const struct fixture *const fixture = *state;
    expect_in_child(save_on_a_full_disk, fixture->directory);
    assert_int_equal(count_files(fixture->directory, ".tmp"), 0);
    assert_int_equal(count_files(fixture->directory, ".clnorm"), 0);
}

static int save_where_writing_is_forbidden(const char *directory)
{
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) {
        return 9;
    }
    if (mkdir(directory, 0500) != 0) {
        return 8;
    }
    return save_fails(directory);
}

/* Permission bits do not bind root: the child becomes somebody else where it can. */
static void unwritable_directory_is_a_failure(void **state)
{
    const struct fixture *const fixture = *state;
    if (geteuid() == 0) {
        assert_int_equal(chown(fixture->root, 65534, 65534), 0);
    }
    expect_in_child(save_where_writing_is_forbidden, fixture->directory);
}

/* ---- Threads ---- */

struct worker {
    pthread_t thread;
    struct clnorm__store *store;
    unsigned self;
    int wrong;
    uint64_t hits;
};

static void *use_shared_store(void *argument)
{
    struct worker *const worker = argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        save_number(worker->store, i % 2 ? 0 : worker->self);
        for (unsigned number = 0; number <= THREADS; number++) {
            const int loaded = load_number(worker->store, number);
            worker->wrong += loaded < 0;
            worker->hits += loaded == 1;
        }
        worker->wrong += clnorm__store_counters(worker->store).failures != 0;
    }
    return NULL;
}

static void threads_share_a_store(void **state)
{
    const struct fixture *const fixture = *state;
    struct worker workers[THREADS] = {0};
    uint64_t hits = 0;
    struct clnorm__store *const store = open_store(fixture->directory, 0);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].store = store;
        workers[i].self = i + 1;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, use_shared_store, &workers[i]),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].wrong, 0);
        hits += workers[i].hits;
    }
    expect_counters(store, (struct clnorm__store_counters){.hits = hits});
    assert_true(hits >= THREADS * ROUNDS); /* each at least its own */
    clnorm__store_close(store);
    assert_int_equal(count_files(fixture->directory, ".clnorm"), THREADS + 1);
    assert_int_equal(count_files(fixture->directory, ".tmp"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(processes_share_an_empty_directory), STORE_TEST(processes_evict_each_other),
        STORE_TEST(killed_writers_leave_nothing_wrong), STORE_TEST(full_disk_leaves_nothing),
        STORE_TEST(unwritable_directory_is_a_failure),  STORE_TEST(threads_share_a_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
