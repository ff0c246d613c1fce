#include "quirk.h"

#include <string.h>

static const struct clnorm__quirk quirks[] = {
    /* A simulator, which says that it is a GPU. */
    {.name = "simulator", .platform = "Oclgrind", .last = 1},
    /* Its interpreter does not know all intrinsics that clang's optimizer makes. */
    {.name = "optimizer", .platform = "Oclgrind", .options = "-cl-opt-disable"},
    /* Compiles by way of SPIR-V, which has no word for __builtin_prefetch, and aborts the process; but
     * leaves __SPIR__ undefined, by which texts know. */
    {.name = "prefetch", .platform = "rusticl", .options = "-D__SPIR__"},
    /* Runs work-items in the lanes of vectors, as a GPU does. Groups are 2 to 10 times faster than the
     * vectors of one work-item, and compile in 0.1 s instead of up to 50 s. */
    {.name = "lanes",
     .platform = "rusticl",
     .device = "llvmpipe",
     .kind = CLNORM_KIND_GPU,
     .last = 1},
    /* Flushing spins until the user event is complete. */
    {.name = "flush", .platform = "Oclgrind", .synchronous = 1},
    /* Two threads that complete events its commands wait for lock each other up. */
    {.name = "notify",
     .platform = "Portable Computing Language",
     .device = "basic",
     .synchronous = 1},
    {.name = "callback", .platform = "Portable Computing Language", .mute = 1},
    {.name = "callback", .platform = "rusticl", .mute = 1},
};
enum { ROW_COUNT = sizeof quirks / sizeof *quirks };

static int begins(const char *text, const char *part)
{
    return !part || strncmp(text, part, strlen(part)) == 0;
}

const struct clnorm__quirk *clnorm__quirk_next(const struct clnorm_device *device,
                                               const struct clnorm__quirk *row)
{
    for (size_t i = row ? (size_t)(row - quirks) + 1 : 0; i < ROW_COUNT; i++)
        if (begins(device->platform_name, quirks[i].platform) &&
            begins(device->device_name, quirks[i].device))
            return &quirks[i];
    return NULL;
}
