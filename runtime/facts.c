#include "facts.h"

#include <stdio.h>
#include <string.h>

/* Longest string property, zero included: extensions of GPUs take some thousand characters. */
enum { TEXT_SIZE = 16384 };

/* Keeps the first failure. 1 when the query has given something. */
static int note(struct clnorm__facts *facts, cl_int code, const char *call)
{
    if (code != CL_SUCCESS && code != CL_INVALID_VALUE) {
        facts->code = code;
        facts->call = call;
    }
    return code == CL_SUCCESS;
}

static int query(struct clnorm__facts *facts, cl_device_info what, void *value, size_t size)
{
    return facts->code == CL_SUCCESS &&
           note(facts, clGetDeviceInfo(facts->device, what, size, value, NULL), "clGetDeviceInfo");
}

static void copy_cut(const char *from, char *text, size_t size)
{
    const size_t length = strlen(from), kept = length < size ? length : size - 1;
    memcpy(text, from, kept);
    text[kept] = 0;
}

void clnorm__facts_read(struct clnorm__facts *facts, cl_device_info what, void *value, size_t size)
{
    if (!query(facts, what, value, size))
        memset(value, 0, size);
}

cl_uint clnorm__facts_uint(struct clnorm__facts *facts, cl_device_info what)
{
    cl_uint value;
    clnorm__facts_read(facts, what, &value, sizeof value);
    return value;
}

cl_ulong clnorm__facts_ulong(struct clnorm__facts *facts, cl_device_info what)
{
    cl_ulong value;
    clnorm__facts_read(facts, what, &value, sizeof value);
    return value;
}

void clnorm__facts_text(struct clnorm__facts *facts, cl_device_info what, char *text, size_t size)
{
    char all[TEXT_SIZE] = "";
    copy_cut(query(facts, what, all, sizeof all - 1) ? all : "", text, size);
}

int clnorm__facts_extension(struct clnorm__facts *facts, const char *name)
{
    char all[TEXT_SIZE];
    if (!query(facts, CL_DEVICE_EXTENSIONS, all, sizeof all))
        return 0;
    const size_t length = strlen(name);
    const char *at = all;
    while ((at = strstr(at, name)) &&
           ((at > all && at[-1] != ' ') || (at[length] != ' ' && at[length] != 0)))
        at += length;
    return at != NULL;
}

unsigned clnorm__facts_version(const char *text)
{
    unsigned major, minor;
    return sscanf(text, "OpenCL %3u.%1u", &major, &minor) == 2 ? 100 * major + 10 * minor : 0;
}

void clnorm__facts_platform_text(struct clnorm__facts *facts, cl_platform_info what, char *text,
                                 size_t size)
{
    char all[TEXT_SIZE] = "";
    const int got = facts->code == CL_SUCCESS &&
                    note(facts, clGetPlatformInfo(facts->platform, what, sizeof all - 1, all, NULL),
                         "clGetPlatformInfo");
    copy_cut(got ? all : "", text, size);
}
