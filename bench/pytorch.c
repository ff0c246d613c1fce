/*
 * pytorch.c: PyTorch as a contestant, in a process of its own (pytorch_peer.py) that runs a block
 * when it is told to, times it and sleeps otherwise. Its data are of the same kind, and it checks
 * itself.
 */
#define _POSIX_C_SOURCE 200809L
#include "contestant.h"
#include "message.h"

#include <cJSON.h>

#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct bench_peer {
    pid_t process;
    FILE *to, *from;
    char *line;
    size_t capacity;
};

/* ---- The process ----------------------------------------------------------------------------- */

/* Writes a request, deletes it, and reads the reply; NULL when the process is gone. */
static cJSON *ask(struct bench_peer *const peer, cJSON *const request)
{
    char *const text = cJSON_PrintUnformatted(request);
    cJSON_Delete(request);
    const int sent = text && fprintf(peer->to, "%s\n", text) > 0 && fflush(peer->to) == 0;
    cJSON_free(text);
    if (!sent || getline(&peer->line, &peer->capacity, peer->from) <= 0)
        return NULL;
    return cJSON_Parse(peer->line);
}

static int spawn(struct bench_peer *const peer, const char *const python, int ends[4])
{
    char *const arguments[] = {(char *)(uintptr_t)python, (char *)(uintptr_t)PYTORCH_PEER, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[3], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    for (int i = 0; i < 4; i++)
        posix_spawn_file_actions_addclose(&actions, ends[i]);
    const int code = posix_spawnp(&peer->process, python, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0)
        peer->process = -1;
    return code == 0;
}

/* Two pipes: requests from ends[1] to ends[0], replies from ends[3] to ends[2]. */
static int start(struct bench_peer *const peer, const char *const python)
{
    int ends[4] = {-1, -1, -1, -1};
    if (pipe(ends) != 0 || pipe(ends + 2) != 0)
        return 0;
    const int spawned = spawn(peer, python, ends);
    close(ends[0]);
    close(ends[3]);
    peer->to = fdopen(ends[1], "w");
    peer->from = fdopen(ends[2], "r");
    return spawned && peer->to && peer->from;
}

void bench_pytorch_close(struct bench_peer *const peer)
{
    if (!peer)
        return;
    if (peer->to)
        fclose(peer->to); /* the end of its input is the end of its loop */
    if (peer->from)
        fclose(peer->from);
    if (peer->process > 0)
        waitpid(peer->process, NULL, 0);
    free(peer->line);
    free(peer);
}

struct bench_peer *bench_pytorch_open(const char *const python, const unsigned threads)
{
    struct bench_peer *const peer = calloc(1, sizeof *peer);
    cJSON *const request = cJSON_CreateObject();
    cJSON *reply = NULL;
    cJSON_AddNumberToObject(request, "threads", threads);
    bench_progress("starting PyTorch");
    if (peer && start(peer, python))
        reply = ask(peer, request);
    else
        cJSON_Delete(request);
    const int runs = cJSON_GetObjectItem(reply, "version") != NULL;
    cJSON_Delete(reply);
    if (runs)
        return peer;
    bench_note("PyTorch is left out: '%s' does not run it; 'pip install torch', or give --python "
               "one that has it (scripts/bench.sh does both)",
               python);
    bench_pytorch_close(peer);
    return NULL;
}

pid_t bench_pytorch_process(const struct bench_peer *const peer)
{
    return peer ? peer->process : 0;
}

/* ---- Contestants ----------------------------------------------------------------------------- */

static int run(struct bench_contestant *const self, const unsigned count, double *const seconds)
{
    cJSON *const request = cJSON_CreateObject();
    cJSON_AddStringToObject(request, "run", self->variant);
    cJSON_AddNumberToObject(request, "count", count);
    cJSON *const reply = ask(self->state, request);
    const cJSON *const times = cJSON_GetObjectItem(reply, "seconds");
    const int answered = cJSON_GetArraySize(times) == (int)count;
    for (unsigned i = 0; answered && i < count; i++)
        seconds[i] = cJSON_GetArrayItem(times, (int)i)->valuedouble;
    cJSON_Delete(reply);
    return answered ? BENCH_DONE
                    : bench_fail(BENCH_FAILED, "PyTorch stopped answering; --contestants without "
                                               "pytorch does without it");
}

/* All variants share the process's tensors: the last to go has them freed. */
static void release(struct bench_contestant *const self)
{
    cJSON *const request = cJSON_CreateObject();
    cJSON_AddBoolToObject(request, "free", 1);
    cJSON_Delete(ask(self->state, request));
}

static cJSON *request_for(const struct bench_case *const one)
{
    static const struct {
        uint32_t flag;
        const char *name;
    } flags[] = {{CLNORM_SCALE, "scale"}, {CLNORM_SHIFT, "shift"},     {CLNORM_ADD, "add"},
                 {CLNORM_RELU, "relu"},   {CLNORM_RUNNING, "running"}, {CLNORM_BIASED, "biased"}};
    cJSON *const request = cJSON_CreateObject();
    cJSON *const make = cJSON_AddObjectToObject(request, "make");
    cJSON_AddStringToObject(make, "operation", clnorm_operation_name(one->problem.operation));
    cJSON_AddStringToObject(make, "layout", clnorm_layout_name(one->problem.layout));
    cJSON_AddStringToObject(make, "dtype", clnorm_dtype_name(one->problem.dtype));
    cJSON *const dims = cJSON_AddArrayToObject(make, "dims");
    for (unsigned i = 0; i < one->rank; i++)
        cJSON_AddItemToArray(dims, cJSON_CreateNumber((double)one->dim[i]));
    cJSON *const names = cJSON_AddArrayToObject(make, "flags");
    for (size_t i = 0; i < ROWS(flags); i++)
        if (one->problem.flags & flags[i].flag)
            cJSON_AddItemToArray(names, cJSON_CreateString(flags[i].name));
    return request;
}

static void add_variant(struct bench *const bench, const struct bench_data *const data,
                        const char *const variant, const cJSON *const number,
                        struct bench_roster *const roster)
{
    const double error = cJSON_IsNumber(number) ? number->valuedouble : INFINITY;
    if (!(error <= bench_peer_tolerance(data->one->problem.dtype))) {
        bench_note("%s: PyTorch's %s call is left out, it is wrong: its error is %.3g",
                   data->one->text, variant, error);
        return;
    }
    struct bench_contestant *const it = bench_roster_add(roster, "pytorch", variant);
    if (!it)
        return;
    it->buffers = strcmp(variant, "fresh") == 0 ? "fresh" : "reused";
    it->threads = bench->threads;
    it->error = error;
    it->state = bench->pytorch;
    it->run = run;
    it->release = release;
}

int bench_make_pytorch(struct bench *const bench, const struct bench_data *const data,
                       struct bench_roster *const roster)
{
    if (!bench->pytorch)
        return BENCH_DONE;
    cJSON *const reply = ask(bench->pytorch, request_for(data->one));
    const cJSON *const variants = cJSON_GetObjectItem(reply, "variants");
    const cJSON *const refused = cJSON_GetObjectItem(reply, "refused");
    const cJSON *variant;
    if (!variants)
        bench_note("%s: PyTorch is left out: %s", data->one->text,
                   cJSON_IsString(refused) ? refused->valuestring : "it does not answer");
    cJSON_ArrayForEach(variant, variants)
        add_variant(bench, data, variant->string, variant, roster);
    cJSON_Delete(reply);
    return BENCH_DONE;
}
