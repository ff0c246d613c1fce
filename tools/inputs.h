/* Files a command reads, named by an option; "-" is standard input. Functions that return int print
 * fail's line, which names the option, and return the exit status. */
#ifndef CLNORM_TOOLS_INPUTS_H
#define CLNORM_TOOLS_INPUTS_H

#include "npy.h"

#include <clnorm/moments.h>

/* A descriptor to read from; close it with input_close. */
int input_open(const char *option, const char *path, int *file);
void input_close(const char *path, int file);

/* fail's line for what npy_read and its neighbours say. */
int input_fail(const char *option, const char *path, const char *message);

/* Reads a whole array. */
int input_read(const char *option, const char *path, struct npy_array *array);

/*
 * What running `operation` on an array of this header takes: its problem, whose extents are open so
 * that one program serves every batch, and the extents.
 */
struct input_shape {
    struct clnorm_problem problem;
    uint64_t batch, spatial;
};
int input_shape(const char *option, const char *path, const struct npy_header *header,
                enum clnorm_operation operation, uint32_t flags, enum clnorm_layout layout,
                struct input_shape *shape);

/*
 * Saved statistics: an array of f8 with three rows, count, mean and m2, and a column for each
 * channel. On success *moments is the caller's to free.
 */
int statistics_read(const char *option, const char *path, struct clnorm_moments *moments);

/* The array that keeps moments. Returns false when out of memory. */
bool statistics_array(const struct clnorm_moments *moments, struct npy_array *array);

#endif
