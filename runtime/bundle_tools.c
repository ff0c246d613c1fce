/* The public view of a bundle, for tools. */
#include <string.h>

#include "bundle.h"

/* 1 when this library emits the very text a program was made from. */
static int is_current(const struct clnorm__manifest_program *program)
{
    struct clnorm_source source;
    char digest[CLNORM__DIGEST_TEXT_SIZE] = "";
    if (clnorm_source_emit(&program->problem, &program->schedule, &source, NULL, 0) == CLNORM_OK)
        clnorm__digest_text(source.text, source.length, digest);
    clnorm_source_free(&source);
    return strcmp(digest, program->text) == 0;
}

enum clnorm_status clnorm_bundle_visit(const char *path,
                                       int (*visit)(void *user,
                                                    const struct clnorm_bundle_entry *entry),
                                       void *user, char *message, size_t size)
{
    struct clnorm__bundle *bundle = NULL;
    if (!path || !visit)
        return CLNORM_INVALID_ARGUMENT;
    const enum clnorm_status status = clnorm__bundle_open(path, NULL, 0, &bundle, message, size);
    if (status != CLNORM_OK)
        return status;
    const struct clnorm__manifest *const m = &bundle->manifest;
    int ended = 0;
    for (size_t i = 0; i < m->program_count && !ended; i++) {
        const struct clnorm__manifest_program *const program = &m->programs[i];
        const struct clnorm_bundle_entry entry = {
            .library = m->fact[CLNORM__KEY_LIBRARY],
            .platform = m->fact[CLNORM__KEY_PLATFORM_NAME],
            .device = m->fact[CLNORM__KEY_DEVICE_NAME],
            .driver = m->fact[CLNORM__KEY_DRIVER_VERSION],
            .problem = &program->problem,
            .schedule = &program->schedule,
            .kernels = program->kernels,
            .image = program->image,
            .image_bytes = m->images[program->image].bytes,
            .image_digest = m->images[program->image].digest,
            .valid = is_current(program),
        };
        ended = visit(user, &entry) != 0;
    }
    clnorm__bundle_close(bundle);
    return CLNORM_OK;
}
