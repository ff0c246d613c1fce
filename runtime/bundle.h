/*
 * A bundle: programs made ahead of time, for devices without a compiler, in one file. An envelope
 * (envelope.h) with the manifest (manifest.h) as its head, and the device binaries, the images, one
 * after the other as its body. An image may hold the kernels of many programs.
 */
#ifndef CLNORM_RUNTIME_BUNDLE_H
#define CLNORM_RUNTIME_BUNDLE_H

#include <clnorm/clnorm.h>
#include <pthread.h>

#include "manifest.h"

struct clnorm__bundle {
    char *name;    /* the path, for messages */
    void *storage; /* what the file held; NULL for memory of the caller's */
    struct clnorm__manifest manifest;
    const unsigned char *images;
    pthread_mutex_t mutex;
    cl_program *programs; /* of each image, NULL while it has not been needed */
};

extern const struct clnorm__envelope_kind clnorm__bundle_kind;

/*
 * Opens a bundle in a file, or, with path NULL, in `size` bytes of memory that stay until it is
 * closed. All of it is checked; no device is asked. Errors, with a line in message[length]:
 * CLNORM_IO_FAILED (not to be read, or damaged), CLNORM_UNSUPPORTED (of another format or version
 * of clnorm), CLNORM_OUT_OF_MEMORY.
 */
enum clnorm_status clnorm__bundle_open(const char *path, const void *bytes, size_t size,
                                       struct clnorm__bundle **bundle, char *message,
                                       size_t length);

/* Releases the programs; then nothing but closing may follow. NULL: no-op. */
void clnorm__bundle_release(struct clnorm__bundle *bundle);

/* Frees what is not OpenCL's. NULL: no-op. */
void clnorm__bundle_close(struct clnorm__bundle *bundle);

/* CLNORM_UNSUPPORTED, with a line in message[length], when a fact of the device is another. */
enum clnorm_status clnorm__bundle_check_device(const struct clnorm__bundle *bundle,
                                               const char *const fact[CLNORM__KEY_FIELD_COUNT],
                                               char *message, size_t length);

/*
 * The program that serves a checked problem: one whose extents are the problem's or `?`, the more
 * of the former the better, and whose channels are the problem's or have a bound, the lower the
 * better. With a schedule: that of this very problem and schedule. NULL: none; a
 * NULL bundle has none.
 */
const struct clnorm__manifest_program *clnorm__bundle_find(const struct clnorm__bundle *bundle,
                                                           const struct clnorm_problem *problem,
                                                           const struct clnorm_schedule *schedule);

/* Where an image's binary is. */
const unsigned char *clnorm__bundle_image(const struct clnorm__bundle *bundle, size_t image);

/* The built program of an image of the context's bundle, loaded when it is needed first; retained
 * for the caller. */
enum clnorm_status clnorm__bundle_load(struct clnorm_context *context, size_t image,
                                       cl_program *program);

/* Fails with what there is to do when neither bundle nor compiler gives a program. */
enum clnorm_status clnorm__bundle_lacks(struct clnorm_context *context,
                                        const struct clnorm_problem *problem,
                                        const struct clnorm_schedule *schedule);

#endif
