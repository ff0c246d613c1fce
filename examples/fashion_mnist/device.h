/*
 * device.h: the application's own OpenCL: context, queue, kernels. clnorm and CLBlast are guests in it. An error ends the
 * program with one line on standard error: it is a program, not a library.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include <clnorm/clnorm.h>

#include <clblast_c.h>

/* The kernels of network.cl, in the order of their names in device.c. */
enum kernel { GATHER, ADD_BIAS, RELU_GRADIENT, ADD_ROWS, SOFTMAX, VARIANCE, KERNEL_COUNT };

struct device {
    char name[256];
    cl_context context;
    cl_command_queue queue; /* in-order; shared with CLBlast and clnorm */
    cl_program program;
    cl_kernel kernels[KERNEL_COUNT];
    struct clnorm_context *clnorm; /* made on `context` */
    struct ranks *ranks; /* those that share each batch; NULL: it is this process's alone */
};

/* selector: an index in `clnorm devices` or part of "platform device"; NULL: a GPU, or else the first device. */
struct device device_open(const char *selector);
void device_close(struct device *device);

cl_mem device_buffer(const struct device *device, size_t bytes, const void *contents);
void device_clear(const struct device *device, cl_mem memory, size_t floats);
cl_mem device_zeros(const struct device *device, size_t floats);
void device_write(const struct device *device, cl_mem memory, size_t bytes, const void *from);
void device_read(const struct device *device, cl_mem memory, size_t bytes, void *to);
void device_finish(const struct device *device);

struct argument {
    size_t size;
    const void *value;
};

/* Enqueues a kernel over columns x rows work-items with `count` arguments. */
void device_run(const struct device *device, enum kernel kernel, size_t columns, size_t rows,
                const struct argument *arguments, cl_uint count);

/* A plan for a problem in clnorm's grammar. */
struct clnorm_plan *device_plan(const struct device *device, const char *problem);

/* Enqueues a plan on the application's queue. */
void device_run_plan(const struct device *device, struct clnorm_plan *plan,
                     const struct clnorm_arguments *arguments);

/* malloc that ends the program when memory runs out. */
void *allocate(size_t bytes);

__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);
void require_cl(cl_int code, const char *what);

#endif
