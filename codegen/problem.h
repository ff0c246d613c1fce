/* Facts about a problem that both the generator and the launch planner follow. */
#ifndef CLNORM_CODEGEN_PROBLEM_H
#define CLNORM_CODEGEN_PROBLEM_H

#include <clnorm/codegen.h>

/* What an operation is made of. */
struct clnorm__traits {
    const char *name;
    const char *file;      /* top kernel file */
    uint32_t flags;        /* accepted */
    unsigned takes_parts;  /* the caller gives sets of sums to merge */
    unsigned reduces;      /* has a reduction over the tensor */
    unsigned finishes;     /* has a per-channel step */
    unsigned maps;         /* writes a tensor */
    unsigned planes;       /* parameters per channel of one set of sums */
    unsigned tensors_read; /* by the reduction */
};

/* The traits of a valid problem; frozen backward reduces only for the sums its flags ask for. */
struct clnorm__traits clnorm__problem_traits(const struct clnorm_problem *problem);

/* 1 when the walk is over channels first: nchw, and both layouts of a single channel. Of S known to
 * be 1 both layouts are the same, and it is channels last. */
int clnorm__channels_first(const struct clnorm_problem *problem);

/* 1 when both extents are known. */
int clnorm__extents_known(const struct clnorm_problem *problem);

/* Writes a message like snprintf when size is not 0, and returns CLNORM_INVALID_ARGUMENT. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
enum clnorm_status
clnorm__invalid(char *message, size_t size, const char *format, ...);

#endif
