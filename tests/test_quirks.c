/*
 * Faults of OpenCL implementations that clnorm works around, each in its smallest form. A fault that
 * shows up on an implementation it is not known of fails the test; one that is gone is reported, so
 * that its workaround can go.
 */
#define _POSIX_C_SOURCE 200809L
#include "testing.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct probe {
    struct clnorm_context *context;
    cl_command_queue queue;
    cl_kernel kernel; /* void k(global float *y), one work-item */
    cl_mem memory;    /* y: 64 numbers, 1, 2, 3, ... */
};

static int build(struct probe *const probe, const char *const text)
{
    cl_int code;
    const cl_program program = clCreateProgramWithSource(clnorm_context_opencl(probe->context), 1,
                                                         (const char *[]){text}, NULL, &code);
    if (clBuildProgram(program, 0, NULL, "-cl-std=CL1.2", NULL, NULL) != CL_SUCCESS)
        return 0;
    probe->kernel = clCreateKernel(program, "k", &code);
    return code == CL_SUCCESS &&
           clSetKernelArg(probe->kernel, 0, sizeof(cl_mem), &probe->memory) == CL_SUCCESS;
}

static int enqueue(const struct probe *const probe)
{
    return clEnqueueNDRangeKernel(probe->queue, probe->kernel, 1, NULL, (size_t[]){1},
                                  (size_t[]){1}, 0, NULL, NULL) == CL_SUCCESS;
}

static int read_back(const struct probe *const probe, float y[64])
{
    return clEnqueueReadBuffer(probe->queue, probe->memory, CL_TRUE, 0, 64 * sizeof *y, y, 0, NULL,
                               NULL) == CL_SUCCESS;
}

/* Runs the kernel and reads y. */
static int run(struct probe *const probe, const char *const text, float y[64])
{
    return build(probe, text) && enqueue(probe) && read_back(probe, y);
}

/* A struct passed by value is the caller's own: what the function does to it, the caller sees.
 * Kernels take structs as const, so that it makes no difference. */
static int structs_are_copied(struct probe *const probe)
{
    float y[64] = {0};
    return run(probe,
               "typedef struct { float a, b; } pair;\n"
               "float change(pair p) { p.a += 1; return p.a + p.b; }\n"
               "kernel void k(global float *y)\n"
               "{\n"
               "    pair p = {y[0], y[1]};\n"
               "    y[2] = change(p);\n"
               "    y[3] = p.a;\n"
               "}\n",
               y) &&
           y[2] == 4 && y[3] == 1;
}

/* The process aborts, and nothing in the text tells that the compiler goes by way of SPIR-V: hence
 * the build option of row "prefetch" in runtime/quirk.c. */
static int prefetches(struct probe *const probe)
{
    float y[64] = {0};
    return run(probe,
               "#if defined(__has_builtin) && !defined(__SPIR__)\n"
               "#if __has_builtin(__builtin_prefetch)\n"
               "#define FETCH(from) __builtin_prefetch((const void *)(size_t)(from))\n"
               "#endif\n"
               "#endif\n"
               "#ifndef FETCH\n"
               "#define FETCH(from)\n"
               "#endif\n"
               "kernel void k(global float *y)\n"
               "{\n"
               "    FETCH(y + 1);\n"
               "    y[0] = y[1];\n"
               "}\n",
               y) &&
           y[0] == 2;
}

/* `channel` is a keyword. Kernels have no variable of that name. */
static int takes_names(struct probe *const probe)
{
    float y[64] = {0};
    return run(probe, "kernel void k(global float *y) { uint channel = 1; y[0] = y[channel]; }\n",
               y) &&
           y[0] == 2;
}

/* The optimizer makes an intrinsic that the interpreter does not know: hence row "optimizer". */
static int runs_what_it_compiled(struct probe *const probe)
{
    float y[64] = {0};
    return run(probe,
               "void add(global float *restrict to, global const float *restrict from)\n"
               "{\n"
               "    *to += *from;\n"
               "}\n"
               "kernel void k(global float *y) { add(y, y + 1); }\n",
               y) &&
           y[0] == 3;
}

/* Two values written as half by a built-in function, stored through a pointer to a vector of their
 * bits, and read one by one: the reads find nothing written. Kernels store with vstore. */
static int bits_of_halves_are_stored(struct probe *const probe)
{
    float y[64] = {0};
    return run(probe,
               "ushort2 bits_of(float2 value)\n"
               "{\n"
               "    ushort2 bits;\n"
               "    vstore_half2(value, 0, (half *)&bits);\n"
               "    return bits;\n"
               "}\n"
               "void store(float2 value, global ushort *to, int count)\n"
               "{\n"
               "    ushort one[2];\n"
               "    *(ushort2 __attribute__((aligned(2))) *)one = bits_of(value);\n"
               "    for (int i = 0; i < count; i++)\n"
               "        to[i] = one[i];\n"
               "}\n"
               "kernel void k(global float *y)\n"
               "{\n"
               "    store((float2)(y[0], y[1]), (global ushort *)y, (int)y[1]);\n"
               "    y[1] = vload_half(1, (global half *)y);\n"
               "}\n",
               y) &&
           y[1] == 2;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* clFinish after clFlush returns while the kernel still runs: the read behind it takes the time. The
 * runtime and the command wait for events. */
static int finish_waits(struct probe *const probe)
{
    float y[64];
    if (!build(probe, "kernel void k(global float *y)\n"
                      "{\n"
                      "    float s = y[0];\n"
                      "    for (uint i = 0; i < 500000; i++)\n"
                      "        s = s * 0.5f + y[i % 64];\n"
                      "    y[0] = s;\n"
                      "}\n"))
        return 0;
    int waits = 0;
    for (int i = 0; i < 5 && !waits;
         i++) { /* a busy machine may hold up a read that finds all done */
        const double start = now();
        if (!enqueue(probe) || clFlush(probe->queue) != CL_SUCCESS ||
            clFinish(probe->queue) != CL_SUCCESS)
            return 0;
        const double finished = now();
        if (!read_back(probe, y))
            return 0;
        waits = now() - finished < finished - start;
    }
    return waits;
}

/* clFlush does all the work, and so waits for an event that its caller is yet to set: tests that do
 * so are skipped. */
static int flush_returns(struct probe *const probe)
{
    cl_int code;
    const cl_event gate = clCreateUserEvent(clnorm_context_opencl(probe->context), &code);
    if (code != CL_SUCCESS || !build(probe, "kernel void k(global float *y) { y[0] = 2; }\n"))
        return 0;
    alarm(3); /* ends the process */
    return clEnqueueNDRangeKernel(probe->queue, probe->kernel, 1, NULL, (size_t[]){1},
                                  (size_t[]){1}, 1, &gate, NULL) == CL_SUCCESS &&
           clFlush(probe->queue) == CL_SUCCESS &&
           clSetUserEventStatus(gate, CL_COMPLETE) == CL_SUCCESS &&
           clFinish(probe->queue) == CL_SUCCESS;
}

static void CL_CALLBACK note_status(cl_event event, cl_int status, void *user)
{
    (void)event;
    *(volatile cl_int *)user = status;
}

/* The callback for the end of a command is also called when the command fails, with a code. */
static int callbacks_tell_of_failures(struct probe *const probe)
{
    static volatile cl_int told = 1;
    cl_int code;
    cl_event last;
    const cl_event gate = clCreateUserEvent(clnorm_context_opencl(probe->context), &code);
    if (code != CL_SUCCESS || !build(probe, "kernel void k(global float *y) { y[0] = 2; }\n"))
        return 0;
    alarm(3); /* ends the process */
    if (clEnqueueNDRangeKernel(probe->queue, probe->kernel, 1, NULL, (size_t[]){1}, (size_t[]){1},
                               1, &gate, &last) != CL_SUCCESS ||
        clSetEventCallback(last, CL_COMPLETE, note_status, (void *)&told) != CL_SUCCESS ||
        clSetUserEventStatus(gate, CL_DEVICE_NOT_AVAILABLE) != CL_SUCCESS ||
        clFlush(probe->queue) != CL_SUCCESS)
        return 0;
    for (int i = 0; i < 100 && told > 0; i++)
        nanosleep(&(const struct timespec){.tv_nsec = 5000000}, NULL);
    return told < 0;
}

static const struct fault {
    const char *name; /* what should hold */
    int (*is_right)(struct probe *probe);
    const char *platform; /* the begin of its name */
    const char *also;     /* of another's, or NULL */
} faults[] = {
    {"a struct passed by value is a copy", structs_are_copied, "rusticl", NULL},
    {"__builtin_prefetch compiles", prefetches, "rusticl", NULL},
    {"a variable may be called channel", takes_names, "Intel(R) FPGA", NULL},
    {"optimized kernels run", runs_what_it_compiled, "Oclgrind", NULL},
    {"bits of halves are stored", bits_of_halves_are_stored, "Intel(R)", NULL},
    {"clFinish waits", finish_waits, "rusticl", NULL},
    {"clFlush does not", flush_returns, "Oclgrind", NULL},
    {"callbacks tell of failures", callbacks_tell_of_failures, "Portable Computing Language",
     "rusticl"},
};

enum { FAULT_COUNT = sizeof faults / sizeof *faults };

/* In a process of its own, since some faults end the process. */
static int is_right_in_child(const struct fault *const fault)
{
    const pid_t child = fork();
    if (child == 0) {
        char message[256];
        float y[64];
        for (int i = 0; i < 64; i++)
            y[i] = (float)(i + 1);
        struct probe probe = {.context = clnorm_verify_context(message, sizeof message)};
        if (!probe.context)
            _exit(1);
        probe.queue = clnorm_context_queue(probe.context);
        probe.memory = clCreateBuffer(clnorm_context_opencl(probe.context), CL_MEM_COPY_HOST_PTR,
                                      sizeof y, y, NULL);
        _exit(fault->is_right(&probe) ? 0 : 1);
    }
    int status = -1;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void faults_are_known(void **state)
{
    int right[FAULT_COUNT];
    (void)state;
    for (size_t i = 0; i < FAULT_COUNT; i++)
        right[i] = is_right_in_child(&faults[i]);
    void *context = NULL; /* after the forks: OpenCL does not survive them */
    assert_int_equal(make_context(&context), 0);
    const char *const platform = clnorm_context_device(context)->platform_name;
    int unknown = 0;
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        const char *const also = faults[i].also ? faults[i].also : faults[i].platform;
        const int known = strncmp(platform, faults[i].platform, strlen(faults[i].platform)) == 0 ||
                          strncmp(platform, also, strlen(also)) == 0;
        unknown += !known && !right[i];
        print_message("%s: '%s' %s%s\n", platform, faults[i].name, right[i] ? "holds" : "fails",
                      !known     ? ""
                      : right[i] ? ": the workaround can go"
                                 : ", as is known");
    }
    release_context(&context);
    assert_int_equal(unknown, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(faults_are_known)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
