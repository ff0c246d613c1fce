/*
 * The text in TEXT as C: OpenCL's address spaces are all one, a work-group has one work-item.
 * BACKWARD, CHANNELS_FIRST, SERIAL and PIPELINE say what its kernels take.
 */
#include "addresses.h"

#include <math.h>

static struct host_run now;

#define kernel
#define global
#define local
#define reqd_work_group_size(x, y, z)
#define vec_type_hint(type)
#define min(a, b)  ((a) < (b) ? (a) : (b))
#define max(a, b)  ((a) > (b) ? (a) : (b))
#define barrier(f) ((void)0)
#define sqrt(x)    sqrtf(x)
#define ulong      uint64_t
#define uint       uint32_t

static size_t get_group_id(unsigned dimension)
{
    return now.group[dimension];
}

static size_t get_num_groups(unsigned dimension)
{
    return now.groups[dimension];
}

static size_t get_global_id(unsigned dimension)
{
    return now.group[dimension];
}

static size_t get_local_id(unsigned dimension)
{
    return 0 * dimension;
}

#include TEXT

#if PIPELINE && CHANNELS_FIRST
#define STEPS now.batch, now.spatial
#elif PIPELINE
#define STEPS now.spatial
#elif CHANNELS_FIRST
#define STEPS now.batch, now.spatial, now.batch_step, now.spatial_step
#else
#define STEPS now.spatial, now.spatial_step
#endif
#if SERIAL
#define EXTENTS STEPS, now.tile
#else
#define EXTENTS STEPS
#endif
#define AT(buffer) now.buffer, now.offset

void host_reduce(const struct host_run *run)
{
    now = *run;
#if BACKWARD
    reduce(AT(dy), AT(x), AT(mean), AT(invstd), EXTENTS, AT(parts));
#else
    reduce(AT(x), EXTENTS, AT(parts));
#endif
}

void host_finish(const struct host_run *run)
{
    now = *run;
#if BACKWARD
    const uint64_t first = now.offset + now.first_set * 2 * CHANNELS;
    finish(AT(mean), AT(invstd), now.count, AT(constants), now.parts, first, now.sets);
#else
    const uint64_t first = now.offset + now.first_set * 4 * CHANNELS;
    finish(AT(mean), AT(invstd), AT(constants), now.epsilon, now.parts, first, now.sets);
#endif
}

void host_map(const struct host_run *run)
{
    now = *run;
#if SERIAL
    /* It maps the parts from last to first: of the batch, or of the rows. */
    const unsigned dimension = CHANNELS_FIRST ? 1 : 2;
    now.group[dimension] = now.groups[dimension] - 1 - now.group[dimension];
#endif
#if BACKWARD
    map(AT(dy), AT(x), AT(out), EXTENTS, AT(constants));
#else
    map(AT(x), AT(out), EXTENTS, AT(constants));
#endif
}
