/*
 * clnorm_test_layer: an OpenCL layer that stands between a program and its drivers. It makes what
 * is installed look like another device, makes calls fail, and counts calls and references. For
 * tests; no product links it.
 *
 * The ICD loader (ocl-icd, Khronos) loads it for OPENCL_LAYERS=/full/path/libclnorm_test_layer.so,
 * set before a process first calls OpenCL. Then all devices of all platforms are disguised by these
 * variables, which are read anew at every call:
 *
 *     CLNORM_LAYER_NO_COMPILER=1      no compiler and no linker: clBuildProgram and clCompileProgram
 *                                     refuse programs made from source, but build from binaries
 *     CLNORM_LAYER_DEVICE_TYPE=accelerator    or cpu, gpu
 *     CLNORM_LAYER_DRIVER_VERSION=text        CL_DRIVER_VERSION
 *
 * A test that is also linked with it (the loader then finds the copy that is already there) has the
 * functions below. They may be called from any thread; a failure is for all threads.
 */
#ifndef CLNORM_LAYER_CONTROL_H
#define CLNORM_LAYER_CONTROL_H

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 120
#endif
#include <CL/cl.h>

#include "entry_points.h"

#define CLNORM_LAYER_PUBLIC __attribute__((visibility("default")))

/* CLNORM_LAYER_clFinish and the like. */
enum clnorm_layer_entry {
#define NUMBER(name, ...) CLNORM_LAYER_##name,
    CLNORM_LAYER_ENTRY_POINTS(NUMBER)
#undef NUMBER
        CLNORM_LAYER_ENTRY_COUNT
};

/* "clFinish" and the like. */
CLNORM_LAYER_PUBLIC const char *clnorm_layer_name(unsigned entry);

/* ---- Watching: calls are counted, and fail, from watch to unwatch only ---- */

CLNORM_LAYER_PUBLIC void clnorm_layer_watch(void);
CLNORM_LAYER_PUBLIC int clnorm_layer_unwatch(int result); /* returns result */

/* The value of an int or enum expression, watched: what is under test, and not the test's calls. */
#define CLNORM_LAYER_WATCHED(call) (clnorm_layer_watch(), clnorm_layer_unwatch((int)(call)))

/* ---- Failing ---- */

/*
 * From the `call`-th watched call of an entry point, counted from 1, it returns `code` without any
 * effect: that call only, or all from there on. Releases take effect all the same: an object that
 * cannot be released is nobody's leak but the driver's.
 */
struct clnorm_layer_failure {
    unsigned entry; /* CLNORM_LAYER_ENTRY_COUNT: calls of all entry points, counted together */
    unsigned call;
    int for_good;
    cl_int code;
    cl_context only; /* not NULL: calls on its objects only, of those that the failure is for, as
                        when one device of several is lost */
};

/* Counts calls from 0 again, and arms the failure; NULL: none. */
CLNORM_LAYER_PUBLIC void clnorm_layer_arm(const struct clnorm_layer_failure *failure);

/* Watched calls since then, and how many of them were made to fail; of all with ENTRY_COUNT. */
CLNORM_LAYER_PUBLIC unsigned clnorm_layer_calls(unsigned entry);
CLNORM_LAYER_PUBLIC unsigned clnorm_layer_failed(unsigned entry);

/* A device with room for so many buffers: clCreateBuffer fails when there are as many, watched or
 * not. 0: as many as one likes. */
CLNORM_LAYER_PUBLIC void clnorm_layer_limit_buffers(unsigned buffers);

/* ---- References: counted always, watched or not ---- */

enum clnorm_layer_object {
    CLNORM_LAYER_CONTEXT,
    CLNORM_LAYER_QUEUE,
    CLNORM_LAYER_MEMORY,
    CLNORM_LAYER_PROGRAM,
    CLNORM_LAYER_KERNEL,
    CLNORM_LAYER_EVENT,
    CLNORM_LAYER_OBJECT_COUNT
};

/* Objects made, plus references taken, minus references released, by the process through OpenCL. */
struct clnorm_layer_references {
    long count[CLNORM_LAYER_OBJECT_COUNT];
};
CLNORM_LAYER_PUBLIC struct clnorm_layer_references clnorm_layer_references(void);

/* "context" and the like. */
CLNORM_LAYER_PUBLIC const char *clnorm_layer_object_name(unsigned object);

#endif
