/*
 * libFuzzer: any bytes as a bundle's file, and any text as its manifest. What a manifest accepts
 * lies within the bytes there are, and writing it and reading that again gives the same.
 */
#include <stdlib.h>
#include <string.h>

#include "manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of the parser that did not hold. */
static void require(int condition)
{
    if (!condition)
        abort();
}

static void check_manifest(const struct clnorm__manifest *m, size_t body)
{
    size_t image = 0;
    require(m->image_count > 0 && m->program_count >= m->image_count);
    for (size_t i = 0; i < m->image_count; i++) {
        require(m->images[i].bytes > 0 && m->images[i].bytes <= body);
        body -= m->images[i].bytes;
    }
    require(body == 0);
    for (size_t i = 0; i < m->program_count; i++) {
        const struct clnorm__manifest_program *const p = &m->programs[i];
        require(p->image == image || p->image == ++image);
        require(clnorm_problem_check(&p->problem, NULL, 0) == CLNORM_OK);
        require(clnorm_schedule_check(&p->schedule, &p->problem, NULL, 0) == CLNORM_OK);
    }
    require(image + 1 == m->image_count);
}

static void try_manifest(const char *text, size_t size, size_t body)
{
    struct clnorm__manifest m, again;
    const char *wrong;
    if (clnorm__manifest_parse(text, size, body, &m, &wrong) == CLNORM_OK) {
        check_manifest(&m, body);
        char *const written = clnorm__manifest_format(&m);
        require(written && clnorm__manifest_parse(written, strlen(written), body, &again, &wrong) ==
                               CLNORM_OK);
        char *const twice = clnorm__manifest_format(&again);
        require(twice && strcmp(written, twice) == 0);
        free(twice);
        free(written);
        clnorm__manifest_free(&again);
    } else {
        require(wrong != NULL);
    }
    clnorm__manifest_free(&m);
}

/* A sound manifest of two programs in one image of 5 bytes, malloc'd. */
static char *sound_manifest(void)
{
    static const char *const problems[] = {"infer nchw f32 ?x64x? +relu", "moments nhwc f64 2x3x4"};
    const struct clnorm_target target = clnorm_target_default(CLNORM_KIND_GPU);
    struct clnorm__manifest_program programs[2];
    struct clnorm__manifest_image image = {.bytes = 5, .options = "-cl-std=CL1.2"};
    struct clnorm__manifest m = {
        .images = &image, .image_count = 1, .programs = programs, .program_count = 2};
    clnorm__digest_text("image", 5, image.digest);
    for (unsigned i = 0; i < CLNORM__KEY_FIELD_COUNT; i++)
        m.fact[i] = "a fact";
    for (unsigned i = 0; i < 2; i++) {
        programs[i] = (struct clnorm__manifest_program){.kernels = "reduce finish map_01234567"};
        require(clnorm_problem_parse(problems[i], &programs[i].problem, NULL, 0) == CLNORM_OK);
        clnorm_schedule_choose(&programs[i].problem, &target, 0, &programs[i].schedule);
        memcpy(programs[i].text, image.digest, sizeof image.digest);
    }
    return clnorm__manifest_format(&m);
}

/* The sound one with a byte changed for each three of the input: where, and to what. */
static void try_edited(const uint8_t *data, size_t size)
{
    char *const text = sound_manifest();
    require(text != NULL);
    const size_t length = strlen(text);
    for (size_t i = 0; i + 3 <= size; i += 3)
        text[(data[i] | (size_t)data[i + 1] << 8) % length] = (char)data[i + 2];
    try_manifest(text, length, 5);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct clnorm__envelope_kind kind = {
        .magic = "bundle", .version = 1, .limit = 1 << 20};
    struct clnorm__envelope parts;
    try_manifest((const char *)data, size, 5);
    try_edited(data, size);
    if (clnorm__envelope_parse(&kind, data, size, &parts) == CLNORM__ENVELOPE_SOUND)
        try_manifest(parts.head, parts.head_size, parts.body_size);
    return 0;
}
