/*
 * The manifest of a bundle: what is in it and whose it is, as lines of text in a fixed order, each
 * a word, a blank and a value.
 *
 *     library 0.1.0                       the version of clnorm, then the other facts of a cache
 *     platform ...                        key about the device (clnorm__fact_name)
 *     image 40960 9c1e...                 bytes and digest of a device binary
 *     options -cl-std=CL1.2 ...           what it was built with
 *     program infer nchw f32 ?x64x?       a problem it has kernels for; `?` is served for any
 *     schedule cpu: walk=serial ...       extent, a number for that one only
 *     text 3f2a...                        digest of the text the kernels were made from
 *     kernels map                         their names in the image, in the order of enum clnorm_step
 *
 * Programs follow their image, images each other in the order of their bytes in the bundle.
 */
#ifndef CLNORM_RUNTIME_MANIFEST_H
#define CLNORM_RUNTIME_MANIFEST_H

#include <clnorm/codegen.h>

#include "envelope.h"
#include "key.h"

/* Longest `kernels` value, zero included. */
#define CLNORM__KERNELS_TEXT_SIZE (CLNORM_STEP_COUNT * CLNORM_KERNEL_NAME_SIZE)

struct clnorm__manifest_image {
    size_t bytes;
    char digest[CLNORM__DIGEST_TEXT_SIZE];
    const char *options;
};

struct clnorm__manifest_program {
    struct clnorm_problem problem;
    struct clnorm_schedule schedule;
    size_t image; /* index */
    char text[CLNORM__DIGEST_TEXT_SIZE];
    char kernels[CLNORM__KERNELS_TEXT_SIZE];
};

struct clnorm__manifest {
    const char *fact[CLNORM__KEY_FIELD_COUNT]; /* NULL for those that are not about the device */
    struct clnorm__manifest_image *images;
    size_t image_count;
    struct clnorm__manifest_program *programs; /* by image */
    size_t program_count;
    char *storage; /* what the facts and options of a parsed one point into */
};

/* "driver" and the like: how a manifest calls a field of a key; NULL for those it has not. */
const char *clnorm__fact_name(enum clnorm__key_field field);

/* 1 when a fact from a manifest is this one; line ends count as blanks, which they became. */
int clnorm__fact_same(const char *held, const char *here);

/*
 * Reads `size` bytes of text, any bytes, whose images take `body` bytes in all. CLNORM_IO_FAILED
 * with a static sentence on what is wrong with it in *wrong, or CLNORM_OUT_OF_MEMORY; *manifest then
 * has the facts up to there, and no programs. Free it in either case.
 */
enum clnorm_status clnorm__manifest_parse(const char *text, size_t size, size_t body,
                                          struct clnorm__manifest *manifest, const char **wrong);

/* The text, malloc'd and zero-terminated; NULL: out of memory. Each image has a program. */
char *clnorm__manifest_format(const struct clnorm__manifest *manifest);

/* Frees what parsing allocated. An empty one is fine. */
void clnorm__manifest_free(struct clnorm__manifest *manifest);

#endif
