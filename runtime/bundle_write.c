/* Writing a bundle from plans. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "binary.h"
#include "plan.h"
#include "store_files.h"

/* A bundle in the making. */
struct draft {
    struct clnorm_context *context;
    struct clnorm__manifest manifest;
    struct source { /* of each image */
        cl_program program;
        void *binary; /* malloc'd */
        char *options;
    } * sources;
};

/* ---- Images: the binary of each cl_program, once ---- */

/* The options a program was built with, malloc'd. */
static enum clnorm_status read_options(struct clnorm_context *context, cl_program program,
                                       char **options)
{
    const cl_device_id device = context->device.device;
    size_t size = 0;
    cl_int code = clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_OPTIONS, 0, NULL, &size);
    *options = calloc(1, size + 1);
    if (code == CL_SUCCESS && !*options)
        code = CL_OUT_OF_HOST_MEMORY;
    if (code == CL_SUCCESS && size > 0)
        code =
            clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_OPTIONS, size, *options, NULL);
    return code == CL_SUCCESS ? CLNORM_OK
                              : clnorm__fail_call(context, code, "clGetProgramBuildInfo");
}

/* The binary: bytes of the bundle as they are, others as the driver gives them. */
static enum clnorm_status read_binary(struct clnorm_context *context,
                                      const struct clnorm__program *p, void **binary, size_t *size)
{
    if (p->origin != CLNORM__BUNDLED) {
        const char *call;
        const cl_int code = clnorm__binary_take(context, p->opencl, binary, size, &call);
        return code == CL_SUCCESS ? CLNORM_OK : clnorm__fail_call(context, code, call);
    }
    *size = context->bundle->manifest.images[p->image].bytes;
    *binary = malloc(*size);
    if (!*binary)
        return clnorm__fail(context, CLNORM_OUT_OF_MEMORY, "out of memory");
    memcpy(*binary, clnorm__bundle_image(context->bundle, p->image), *size);
    return CLNORM_OK;
}

/* The index of a program's image, which is added when it is new. */
static enum clnorm_status add_image(struct draft *draft, const struct clnorm__program *p,
                                    size_t *index)
{
    struct clnorm__manifest *const m = &draft->manifest;
    for (*index = 0; *index < m->image_count; ++*index)
        if (draft->sources[*index].program == p->opencl)
            return CLNORM_OK;
    struct clnorm__manifest_image *const image = &m->images[m->image_count];
    struct source *const source = &draft->sources[m->image_count++];
    source->program = p->opencl;
    enum clnorm_status status = read_options(draft->context, p->opencl, &source->options);
    image->options = source->options;
    if (status == CLNORM_OK)
        status = read_binary(draft->context, p, &source->binary, &image->bytes);
    if (status == CLNORM_OK)
        clnorm__digest_text(source->binary, image->bytes, image->digest);
    return status;
}

/* ---- Programs ---- */

static void list_kernels(const struct clnorm__program *p, char text[CLNORM__KERNELS_TEXT_SIZE])
{
    size_t used = 0;
    for (unsigned i = 0; i < CLNORM_STEP_COUNT; i++)
        if (p->source.kernels[i].arguments > 0)
            used += (size_t)snprintf(text + used, CLNORM__KERNELS_TEXT_SIZE - used, "%s%s",
                                     used > 0 ? " " : "", p->kernel[i]);
}

static enum clnorm_status add_program(struct draft *draft, const struct clnorm__program *p)
{
    struct clnorm__manifest *const m = &draft->manifest;
    size_t image;
    const enum clnorm_status status = add_image(draft, p, &image);
    if (status != CLNORM_OK)
        return status;
    struct clnorm__manifest_program *const program = &m->programs[m->program_count++];
    program->problem = p->problem;
    program->schedule = p->schedule;
    program->image = image;
    clnorm__digest_text(p->source.text, p->source.length, program->text);
    list_kernels(p, program->kernels);
    return CLNORM_OK;
}

/* Plans may share a program, which is then there once. */
static enum clnorm_status add_plans(struct draft *draft, struct clnorm_plan *const *plans,
                                    size_t count)
{
    enum clnorm_status status = CLNORM_OK;
    for (size_t i = 0; i < count && status == CLNORM_OK; i++) {
        size_t first = 0;
        while (plans[first]->program != plans[i]->program)
            first++;
        if (first == i)
            status = add_program(draft, plans[i]->program);
    }
    return status;
}

/* ---- The file ---- */

/* Opens the folder of a path that has no links; *name is what follows it. */
static int open_folder(char *path, const char **name)
{
    char *const slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    if (!slash)
        return open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (slash == path)
        return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *slash = 0;
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int write_file(const char *path, const void *bytes, size_t size)
{
    /* A link stays one: what it points to is replaced. */
    char *real = realpath(path, NULL);
    if (!real && errno == ENOENT)
        real = strdup(path);
    if (!real)
        return 0;
    const char *name;
    const int folder = open_folder(real, &name);
    const int written = folder >= 0 && clnorm__file_write(folder, name, 0666, bytes, size);
    const int error = errno;
    if (folder >= 0)
        (void)close(folder);
    free(real);
    errno = error;
    return written;
}

/* The images one after the other. */
static void *join_images(const struct draft *draft, size_t *size)
{
    const struct clnorm__manifest *const m = &draft->manifest;
    *size = 0;
    for (size_t i = 0; i < m->image_count; i++)
        *size += m->images[i].bytes;
    unsigned char *const all = malloc(*size), *at = all;
    for (size_t i = 0; i < m->image_count && all; i++) {
        memcpy(at, draft->sources[i].binary, m->images[i].bytes);
        at += m->images[i].bytes;
    }
    return all;
}

static enum clnorm_status write_draft(const struct draft *draft, const char *path)
{
    struct clnorm_context *const context = draft->context;
    char *const manifest = clnorm__manifest_format(&draft->manifest);
    struct clnorm__envelope parts = {.head = manifest,
                                     .head_size = manifest ? strlen(manifest) : 0};
    void *const images = join_images(draft, &parts.body_size);
    void *bytes = NULL;
    size_t size = 0;
    enum clnorm_status status = CLNORM_OK;
    parts.body = images;
    if (!manifest || !images)
        status = clnorm__fail(context, CLNORM_OUT_OF_MEMORY, "out of memory");
    else if (parts.body_size >
             clnorm__bundle_kind.limit - CLNORM__ENVELOPE_HEADER_SIZE - parts.head_size)
        status = clnorm__fail(context, CLNORM_UNSUPPORTED,
                              "the programs take more than the GiB that a bundle may have: write "
                              "several");
    else if (!clnorm__envelope_build(&clnorm__bundle_kind, &parts, &bytes, &size))
        status = clnorm__fail(context, CLNORM_OUT_OF_MEMORY, "out of memory");
    else if (!write_file(path, bytes, size))
        status = clnorm__fail(context, CLNORM_IO_FAILED, "%s cannot be written: %s", path,
                              strerror(errno));
    free(bytes);
    free(images);
    free(manifest);
    return status;
}

/* ---- The public function ---- */

static enum clnorm_status check_call(struct clnorm_context *context,
                                     struct clnorm_plan *const *plans, size_t count,
                                     const char *path)
{
    const enum clnorm_status status = clnorm__check_process(context);
    if (status != CLNORM_OK)
        return status;
    if (!path || !*path)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT, "no path given for the bundle");
    if (!plans || count == 0)
        return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                            "no plans given: a bundle has at least one program");
    for (size_t i = 0; i < count; i++)
        if (!plans[i] || plans[i]->context != context)
            return clnorm__fail(context, CLNORM_INVALID_ARGUMENT,
                                "plan %zu is NULL or of another context", i);
    return CLNORM_OK;
}

static void free_draft(struct draft *draft)
{
    for (size_t i = 0; draft->sources && i < draft->manifest.image_count; i++) {
        free(draft->sources[i].binary);
        free(draft->sources[i].options);
    }
    free(draft->sources);
    clnorm__manifest_free(&draft->manifest);
}

enum clnorm_status clnorm_bundle_write(struct clnorm_context *context,
                                       struct clnorm_plan *const *plans, size_t count,
                                       const char *path)
{
    if (!context)
        return CLNORM_INVALID_ARGUMENT;
    enum clnorm_status status = check_call(context, plans, count, path);
    if (status != CLNORM_OK)
        return status;
    struct draft draft = {.context = context, .sources = calloc(count, sizeof *draft.sources)};
    clnorm__context_facts(context, draft.manifest.fact);
    draft.manifest.images = calloc(count, sizeof *draft.manifest.images);
    draft.manifest.programs = calloc(count, sizeof *draft.manifest.programs);
    if (draft.sources && draft.manifest.images && draft.manifest.programs)
        status = add_plans(&draft, plans, count);
    else
        status = clnorm__fail(context, CLNORM_OUT_OF_MEMORY, "out of memory");
    if (status == CLNORM_OK)
        status = write_draft(&draft, path);
    free_draft(&draft);
    return status;
}
