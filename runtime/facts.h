/*
 * Facts of a device: its properties, read one after another. The first query that fails ends it:
 * code and call say which, and whatever is asked for after that is 0 or "". So is, without being a
 * failure, what the device does not know (CL_INVALID_VALUE): the property of another version.
 */
#ifndef CLNORM_RUNTIME_FACTS_H
#define CLNORM_RUNTIME_FACTS_H

#include <clnorm/clnorm.h>

struct clnorm__facts {
    cl_platform_id platform;
    cl_device_id device;
    cl_int code;      /* CL_SUCCESS, or of the query that failed */
    const char *call; /* its name */
};

/* A property of exactly `size` bytes. */
void clnorm__facts_read(struct clnorm__facts *facts, cl_device_info what, void *value, size_t size);
cl_uint clnorm__facts_uint(struct clnorm__facts *facts, cl_device_info what);
cl_ulong clnorm__facts_ulong(struct clnorm__facts *facts, cl_device_info what);

/* A string property, cut to size. */
void clnorm__facts_text(struct clnorm__facts *facts, cl_device_info what, char *text, size_t size);
void clnorm__facts_platform_text(struct clnorm__facts *facts, cl_platform_info what, char *text,
                                 size_t size);

/* 1 when the device has the extension. */
int clnorm__facts_extension(struct clnorm__facts *facts, const char *name);

/* The version of a text as CL_DEVICE_VERSION is, "OpenCL 3.0 ...", as 300; 0 when it is not one. */
unsigned clnorm__facts_version(const char *text);

#endif
