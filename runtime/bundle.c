#define _POSIX_C_SOURCE 200809L
#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "binary.h"
#include "report.h"
#include "store_files.h"

const struct clnorm__envelope_kind clnorm__bundle_kind = {
    .magic = {0x8e, 'C', 'L', 'N', 'B', '\r', '\n', 0x1a},
    .version = 1,
    .limit = UINT64_C(1) << 30, /* an FPGA's image takes up to some 100 MB */
};

/* ---- The bytes ---- */

/* What a fault in the envelope means to whoever holds the file. */
static enum clnorm_status refuse_fault(struct clnorm__report report, const char *name,
                                       enum clnorm__envelope_fault fault)
{
    switch (fault) {
    case CLNORM__ENVELOPE_SOUND: return CLNORM_OK;
    case CLNORM__ENVELOPE_FOREIGN:
        return clnorm__refuse(report, CLNORM_IO_FAILED, "%s is not a bundle of clnorm", name);
    case CLNORM__ENVELOPE_VERSION:
        return clnorm__refuse(
            report, CLNORM_UNSUPPORTED,
            "%s has another format of bundle than clnorm %s reads: make it again with "
            "this version",
            name, clnorm_version());
    case CLNORM__ENVELOPE_SIZE:
        return clnorm__refuse(report, CLNORM_IO_FAILED,
                              "%s is cut off, or something was added to it: copy or make it again",
                              name);
    default:
        return clnorm__refuse(
            report, CLNORM_IO_FAILED,
            "%s is damaged: its bytes do not have the digest they had when it was made. "
            "Copy or make it again",
            name);
    }
}

/* Nothing is allocated before the header has agreed with the size of the file. */
static enum clnorm_status read_open_file(int file, const char *name, void **bytes, size_t *size,
                                         struct clnorm__report report)
{
    struct stat facts;
    unsigned char header[CLNORM__ENVELOPE_HEADER_SIZE];
    if (fstat(file, &facts) != 0)
        return clnorm__refuse(report, CLNORM_IO_FAILED, "%s cannot be read: %s", name,
                              strerror(errno));
    if (!S_ISREG(facts.st_mode))
        return clnorm__refuse(report, CLNORM_IO_FAILED, "%s is not a file", name);
    const uint64_t all = (uint64_t)facts.st_size;
    if (!clnorm__read_all(file, header, all < sizeof header ? (size_t)all : sizeof header))
        return clnorm__refuse(report, CLNORM_IO_FAILED, "%s cannot be read", name);
    const enum clnorm__envelope_fault fault =
        clnorm__envelope_header_check(&clnorm__bundle_kind, header, all);
    if (fault != CLNORM__ENVELOPE_SOUND)
        return refuse_fault(report, name, fault);
    unsigned char *const read = malloc((size_t)all);
    if (!read)
        return clnorm__refuse(report, CLNORM_OUT_OF_MEMORY, "out of memory");
    memcpy(read, header, sizeof header);
    if (!clnorm__read_all(file, read + sizeof header, (size_t)all - sizeof header)) {
        free(read);
        return clnorm__refuse(report, CLNORM_IO_FAILED, "%s cannot be read", name);
    }
    *bytes = read;
    *size = (size_t)all;
    return CLNORM_OK;
}

static enum clnorm_status read_file(const char *path, void **bytes, size_t *size,
                                    struct clnorm__report report)
{
    /* O_NONBLOCK: opening a FIFO must not wait for its writer. */
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return clnorm__refuse(report, CLNORM_IO_FAILED, "%s cannot be read: %s", path,
                              strerror(errno));
    const enum clnorm_status status = read_open_file(file, path, bytes, size, report);
    (void)close(file);
    return status;
}

/* ---- Opening ---- */

/* Each image has the digest the manifest says. */
static int images_are_sound(const struct clnorm__bundle *bundle)
{
    char digest[CLNORM__DIGEST_TEXT_SIZE];
    for (size_t i = 0; i < bundle->manifest.image_count; i++) {
        clnorm__digest_text(clnorm__bundle_image(bundle, i), bundle->manifest.images[i].bytes,
                            digest);
        if (strcmp(digest, bundle->manifest.images[i].digest) != 0)
            return 0;
    }
    return 1;
}

static enum clnorm_status read_manifest(struct clnorm__bundle *bundle,
                                        const struct clnorm__envelope *parts,
                                        struct clnorm__report report)
{
    const char *wrong;
    const enum clnorm_status status = clnorm__manifest_parse(
        parts->head, parts->head_size, parts->body_size, &bundle->manifest, &wrong);
    if (status == CLNORM_OUT_OF_MEMORY)
        return clnorm__refuse(report, status, "out of memory");
    /* First of all, since another version's problems and schedules may read as damaged. */
    const char *const library = bundle->manifest.fact[CLNORM__KEY_LIBRARY];
    if (library && strcmp(library, clnorm_version()) != 0)
        return clnorm__refuse(report, CLNORM_UNSUPPORTED,
                              "%s was made by clnorm %s, and this is clnorm %s: make it again",
                              bundle->name, library, clnorm_version());
    if (status != CLNORM_OK)
        return clnorm__refuse(report, status, "%s has a manifest that cannot be used: %s",
                              bundle->name, wrong);
    return CLNORM_OK;
}

static enum clnorm_status check(struct clnorm__bundle *bundle, const void *bytes, size_t size,
                                struct clnorm__report report)
{
    struct clnorm__envelope parts;
    const enum clnorm__envelope_fault fault =
        clnorm__envelope_parse(&clnorm__bundle_kind, bytes, size, &parts);
    if (fault != CLNORM__ENVELOPE_SOUND)
        return refuse_fault(report, bundle->name, fault);
    const enum clnorm_status status = read_manifest(bundle, &parts, report);
    if (status != CLNORM_OK)
        return status;
    bundle->images = parts.body;
    if (!images_are_sound(bundle))
        return clnorm__refuse(report, CLNORM_IO_FAILED,
                              "%s is damaged: an image does not have its digest. Make it again",
                              bundle->name);
    bundle->programs = calloc(bundle->manifest.image_count, sizeof(cl_program));
    return bundle->programs ? CLNORM_OK
                            : clnorm__refuse(report, CLNORM_OUT_OF_MEMORY, "out of memory");
}

enum clnorm_status clnorm__bundle_open(const char *path, const void *bytes, size_t size,
                                       struct clnorm__bundle **bundle, char *message, size_t length)
{
    const struct clnorm__report report = {message, length};
    struct clnorm__bundle *const made = calloc(1, sizeof *made);
    char *const name = strdup(path ? path : "the bundle in memory");
    if (!made || !name) {
        free(made);
        free(name);
        return clnorm__refuse(report, CLNORM_OUT_OF_MEMORY, "out of memory");
    }
    pthread_mutex_init(&made->mutex, NULL);
    made->name = name;
    enum clnorm_status status = CLNORM_OK;
    if (path) {
        status = read_file(path, &made->storage, &size, report);
        bytes = made->storage;
    }
    if (status == CLNORM_OK)
        status = check(made, bytes, size, report);
    if (status == CLNORM_OK)
        *bundle = made;
    else
        clnorm__bundle_close(made);
    return status;
}

void clnorm__bundle_release(struct clnorm__bundle *bundle)
{
    for (size_t i = 0; bundle && i < bundle->manifest.image_count; i++)
        if (bundle->programs[i])
            clReleaseProgram(bundle->programs[i]);
}

void clnorm__bundle_close(struct clnorm__bundle *bundle)
{
    if (!bundle)
        return;
    free(bundle->programs);
    clnorm__manifest_free(&bundle->manifest);
    pthread_mutex_destroy(&bundle->mutex);
    free(bundle->storage);
    free(bundle->name);
    free(bundle);
}

enum clnorm_status clnorm__bundle_check_device(const struct clnorm__bundle *bundle,
                                               const char *const fact[CLNORM__KEY_FIELD_COUNT],
                                               char *message, size_t length)
{
    const struct clnorm__report report = {message, length};
    const char *const *const held = bundle->manifest.fact;
    for (unsigned i = 0; i < CLNORM__KEY_FIELD_COUNT; i++)
        if (held[i] && i != CLNORM__KEY_LIBRARY && !clnorm__fact_same(held[i], fact[i]))
            return clnorm__refuse(
                report, CLNORM_UNSUPPORTED,
                "%s was made for '%s' with driver '%s', and this is '%s' with driver "
                "'%s' (%s: '%s', here '%s'): make it again for this device",
                bundle->name, held[CLNORM__KEY_DEVICE_NAME], held[CLNORM__KEY_DRIVER_VERSION],
                fact[CLNORM__KEY_DEVICE_NAME], fact[CLNORM__KEY_DRIVER_VERSION],
                clnorm__fact_name((enum clnorm__key_field)i), held[i], fact[i]);
    return CLNORM_OK;
}

/* ---- Programs ---- */

/* 1 when the program has these channels, or takes them. */
static int takes_channels(const struct clnorm__manifest_program *program, int64_t channels)
{
    const struct clnorm_schedule *const schedule = &program->schedule;
    return program->problem.channels == channels ||
           (channels >= (int64_t)schedule->lanes && channels <= (int64_t)schedule->bound);
}

/* 1 when a program does what a plan for `asked` wants. */
static int serves(const struct clnorm__manifest_program *program,
                  const struct clnorm_problem *asked)
{
    const struct clnorm_problem *const held = &program->problem;
    return held->operation == asked->operation && held->layout == asked->layout &&
           held->dtype == asked->dtype && held->flags == asked->flags &&
           held->ghost == asked->ghost && takes_channels(program, asked->channels) &&
           (held->batch == asked->batch || held->batch == CLNORM_ANY) &&
           (held->spatial == asked->spatial || held->spatial == CLNORM_ANY);
}

/* How many extents of a program that serves are the problem's own. */
static int closeness(const struct clnorm_problem *held, const struct clnorm_problem *asked)
{
    return (held->batch == asked->batch) + (held->spatial == asked->spatial);
}

/* Of two programs that serve, the one without a bound, or with the lower, then the closer. */
static int is_better(const struct clnorm__manifest_program *a,
                     const struct clnorm__manifest_program *b, const struct clnorm_problem *asked)
{
    if (a->schedule.bound != b->schedule.bound)
        return a->schedule.bound < b->schedule.bound;
    return closeness(&a->problem, asked) > closeness(&b->problem, asked);
}

const struct clnorm__manifest_program *clnorm__bundle_find(const struct clnorm__bundle *bundle,
                                                           const struct clnorm_problem *problem,
                                                           const struct clnorm_schedule *schedule)
{
    const struct clnorm__manifest_program *best = NULL;
    for (size_t i = 0; bundle && i < bundle->manifest.program_count; i++) {
        const struct clnorm__manifest_program *const p = &bundle->manifest.programs[i];
        if (!serves(p, problem) || (best && !is_better(p, best, problem)))
            continue;
        if (!schedule ||
            (closeness(&p->problem, problem) == 2 && clnorm_schedule_same(&p->schedule, schedule)))
            best = p;
    }
    return best;
}

const unsigned char *clnorm__bundle_image(const struct clnorm__bundle *bundle, size_t image)
{
    const unsigned char *at = bundle->images;
    for (size_t i = 0; i < image; i++)
        at += bundle->manifest.images[i].bytes;
    return at;
}

/*
 * The lock is held while the driver loads: an FPGA is reconfigured by that, and must not be twice.
 */
enum clnorm_status clnorm__bundle_load(struct clnorm_context *context, size_t image,
                                       cl_program *program)
{
    struct clnorm__bundle *const bundle = context->bundle;
    const struct clnorm__manifest_image *const held = &bundle->manifest.images[image];
    cl_int code = CL_SUCCESS;
    const char *call = NULL;
    pthread_mutex_lock(&bundle->mutex);
    if (!bundle->programs[image])
        code = clnorm__binary_load(context, clnorm__bundle_image(bundle, image), held->bytes,
                                   held->options, &bundle->programs[image], &call);
    if (code == CL_SUCCESS) {
        call = "clRetainProgram";
        code = clRetainProgram(bundle->programs[image]);
    }
    if (code == CL_SUCCESS)
        *program = bundle->programs[image];
    pthread_mutex_unlock(&bundle->mutex);
    if (code == CL_SUCCESS)
        return CLNORM_OK;
    if (clnorm__status_of(code) == CLNORM_OUT_OF_MEMORY)
        return clnorm__fail_call(context, code, call);
    return clnorm__fail(
        context, CLNORM_DEVICE_FAILED,
        "the driver of %s refuses image %zu of %s: %s failed with %s (%d); make the "
        "bundle again for this driver",
        context->device.device_name, image, bundle->name, call, clnorm__code_name(code), (int)code);
}

enum clnorm_status clnorm__bundle_lacks(struct clnorm_context *context,
                                        const struct clnorm_problem *problem,
                                        const struct clnorm_schedule *schedule)
{
    const struct clnorm__bundle *const bundle = context->bundle;
    const char *const device = context->device.device_name;
    /* A kind was asked for: the program must be made for it, too. */
    const char *const kind = context->tuning ? NULL : clnorm_kind_name(context->device.target.kind);
    const char *const target = kind ? " --target " : "";
    char asked[CLNORM_PROBLEM_TEXT_SIZE], numbers[CLNORM_SCHEDULE_TEXT_SIZE] = "";
    clnorm_problem_format(problem, asked);
    if (!bundle)
        return clnorm__fail(context, CLNORM_UNSUPPORTED,
                            "%s has no compiler, and the context no bundle. Where it has one, do: "
                            "clnorm compile '%s' -o BUNDLE --device '%s'%s%s",
                            device, asked, device, target, kind ? kind : "");
    if (schedule && clnorm__bundle_find(bundle, problem, NULL)) {
        clnorm_schedule_format(schedule, numbers);
        return clnorm__fail(context, CLNORM_UNSUPPORTED,
                            "%s has programs for '%s', but none under the schedule asked for, '%s'",
                            bundle->name, asked, numbers);
    }
    return clnorm__fail(context, CLNORM_UNSUPPORTED,
                        "%s has no program for '%s'. Where %s has a compiler, this adds it: "
                        "clnorm compile '%s' --add -o '%s' --device '%s'%s%s",
                        bundle->name, asked, device, asked,
                        bundle->storage ? bundle->name : "BUNDLE", device, target,
                        kind ? kind : "");
}
