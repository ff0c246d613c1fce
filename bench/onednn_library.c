#define _POSIX_C_SOURCE 200809L
#include "onednn_library.h"

#include "message.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
#define ROW(function) {"dnnl_" #function, offsetof(struct onednn, function)},
    ONEDNN_FUNCTIONS(ROW)
#undef ROW
};

static int find_functions(struct onednn *const onednn, const char *const path)
{
    for (size_t i = 0; i < ROWS(functions); i++) {
        void *const function = dlsym(onednn->library, functions[i].name);
        if (!function) {
            bench_note("%s is left out: it has no %s; give oneDNN 3", path, functions[i].name);
            return 0;
        }
        /* as POSIX has it for functions */
        memcpy((char *)onednn + functions[i].offset, &function, sizeof function);
    }
    return 1;
}

static const char *threads_of(const unsigned runtime)
{
    return runtime == DNNL_RUNTIME_OMP    ? "OpenMP"
           : runtime == DNNL_RUNTIME_TBB  ? "TBB"
           : runtime == DNNL_RUNTIME_SYCL ? "SYCL"
           : runtime == DNNL_RUNTIME_SEQ  ? "one thread"
                                          : "threads";
}

int onednn_load(struct onednn *const onednn, const char *const path)
{
    *onednn = (struct onednn){.library = dlopen(path, RTLD_NOW | RTLD_LOCAL)};
    if (!onednn->library) {
        bench_note("oneDNN is left out: %s; scripts/bench.sh installs it", dlerror());
        return 0;
    }
    int fine = find_functions(onednn, path);
    if (fine) {
        const dnnl_version_t *const version = onednn->version();
        snprintf(onednn->name, sizeof onednn->name, "%d.%d.%d %s", version->major, version->minor,
                 version->patch, threads_of(version->cpu_runtime));
        fine = onednn->engine_create(&onednn->engine, dnnl_cpu, 0) == dnnl_success &&
               onednn->stream_create(&onednn->stream, onednn->engine, dnnl_stream_default_flags) ==
                   dnnl_success;
        if (!fine)
            bench_note("oneDNN %s is left out: it has no CPU engine here; built with SYCL it needs "
                       "an OpenCL driver of Intel's",
                       onednn->name);
    }
    if (!fine)
        onednn_unload(onednn);
    return fine;
}

void onednn_unload(struct onednn *const onednn)
{
    if (onednn->stream)
        onednn->stream_destroy(onednn->stream);
    if (onednn->engine)
        onednn->engine_destroy(onednn->engine);
    /* The library stays: its threads still sleep in its code. */
    *onednn = (struct onednn){.library = NULL};
}
