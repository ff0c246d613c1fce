/* The file of a bundle: whatever is wrong with it is found before any of it is used, and said. */
#define _XOPEN_SOURCE 700
#include "store_fixture.h"

#include "bundle.h"
#include "context.h"

enum { MESSAGE_SIZE = 2048 };

/* ---- Bundles made by hand, for any device ---- */

static const char *const problem_text = "infer nchw f32 ?x8x?";
static const char image_bytes[] = "this stands for a device binary";

/* A manifest of one program in one image. */
struct draft {
    struct clnorm__manifest manifest;
    struct clnorm__manifest_image image;
    struct clnorm__manifest_program program;
};

static void draft_begin(struct draft *draft)
{
    const struct clnorm_target target = clnorm_target_default(CLNORM_KIND_CPU);
    struct clnorm_source source;
    *draft = (struct draft){.image = {.bytes = sizeof image_bytes, .options = "-cl-std=CL1.2"}};
    for (unsigned i = 0; i < CLNORM__KEY_FIELD_COUNT; i++)
        draft->manifest.fact[i] = clnorm__fact_name((enum clnorm__key_field)i) ? "a fact" : NULL;
    draft->manifest.fact[CLNORM__KEY_LIBRARY] = clnorm_version();
    clnorm__digest_text(image_bytes, sizeof image_bytes, draft->image.digest);
    struct clnorm__manifest_program *const p = &draft->program;
    assert_int_equal(clnorm_problem_parse(problem_text, &p->problem, NULL, 0), CLNORM_OK);
    clnorm_schedule_choose(&p->problem, &target, 0, &p->schedule);
    assert_int_equal(clnorm_source_emit(&p->problem, &p->schedule, &source, NULL, 0), CLNORM_OK);
    clnorm__digest_text(source.text, source.length, p->text);
    clnorm_source_free(&source);
    snprintf(p->kernels, sizeof p->kernels, "map");
    draft->manifest.images = &draft->image;
    draft->manifest.programs = &draft->program;
    draft->manifest.image_count = draft->manifest.program_count = 1;
}

static void *seal(const void *head, size_t head_size, size_t *size)
{
    const struct clnorm__envelope parts = {head, head_size, image_bytes, sizeof image_bytes};
    void *bytes = NULL;
    assert_true(clnorm__envelope_build(&clnorm__bundle_kind, &parts, &bytes, size));
    return bytes;
}

static void *draft_seal(const struct draft *draft, size_t *size)
{
    char *const text = clnorm__manifest_format(&draft->manifest);
    assert_non_null(text);
    void *const bytes = seal(text, strlen(text), size);
    free(text);
    return bytes;
}

/* Opening these bytes must fail in this way. */
static void expect_refused(const void *bytes, size_t size, enum clnorm_status status,
                           const char *says)
{
    char message[MESSAGE_SIZE] = "";
    struct clnorm__bundle *bundle = NULL;
    const enum clnorm_status found =
        clnorm__bundle_open(NULL, bytes, size, &bundle, message, sizeof message);
    if (found != status || bundle || !strstr(message, says))
        fail_msg("status %d, '%s'; wanted '%s'", (int)found, message, says);
}

/* ---- The bytes ---- */

static void a_sound_bundle_opens(void **state)
{
    (void)state;
    struct draft draft;
    size_t size;
    draft_begin(&draft);
    draft.manifest.fact[CLNORM__KEY_DEVICE_NAME] = "two\nlines"; /* as a driver might say */
    draft.manifest.fact[CLNORM__KEY_DEVICE_VENDOR] = "";
    void *const bytes = draft_seal(&draft, &size);
    struct clnorm__bundle *bundle = NULL;
    assert_int_equal(clnorm__bundle_open(NULL, bytes, size, &bundle, NULL, 0), CLNORM_OK);
    const struct clnorm__manifest *const m = &bundle->manifest;
    for (unsigned i = 0; i < CLNORM__KEY_FIELD_COUNT; i++)
        if (draft.manifest.fact[i])
            assert_true(clnorm__fact_same(m->fact[i], draft.manifest.fact[i]));
    assert_int_equal(m->image_count, 1);
    assert_string_equal(m->images[0].options, draft.image.options);
    assert_int_equal(m->program_count, 1);
    assert_string_equal(m->programs[0].kernels, "map");
    assert_memory_equal(clnorm__bundle_image(bundle, 0), image_bytes, sizeof image_bytes);
    assert_non_null(clnorm__bundle_find(bundle, &draft.program.problem, NULL));
    clnorm__bundle_close(bundle);
    free(bytes);
}

static void every_flipped_byte_is_found(void **state)
{
    (void)state;
    struct draft draft;
    size_t size;
    draft_begin(&draft);
    unsigned char *const bytes = draft_seal(&draft, &size);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0x20;
        char message[MESSAGE_SIZE] = "";
        struct clnorm__bundle *bundle = NULL;
        const enum clnorm_status status =
            clnorm__bundle_open(NULL, bytes, size, &bundle, message, sizeof message);
        if (status == CLNORM_OK || bundle || !message[0])
            fail_msg("a change of byte %zu was not found", i);
        bytes[i] ^= 0x20;
    }
    bytes[0] ^= 1;
    expect_refused(bytes, size, CLNORM_IO_FAILED, "is not a bundle of clnorm");
    bytes[0] ^= 1;
    bytes[24] ^= 3; /* version of the format */
    expect_refused(bytes, size, CLNORM_UNSUPPORTED, "another format");
    bytes[24] ^= 3;
    bytes[size - 1] ^= 1;
    expect_refused(bytes, size, CLNORM_IO_FAILED, "is damaged");
    free(bytes);
}

static void every_truncation_is_found(void **state)
{
    (void)state;
    struct draft draft;
    size_t size;
    draft_begin(&draft);
    unsigned char *const bytes = draft_seal(&draft, &size);
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *const shorter = malloc(cut + 1); /* its own, so that reads beyond show */
        assert_non_null(shorter);
        memcpy(shorter, bytes, cut);
        expect_refused(shorter, cut, CLNORM_IO_FAILED,
                       cut < 8 ? "is not a bundle of clnorm" : "is cut off");
        free(shorter);
    }
    unsigned char *const longer = calloc(1, size + 1);
    assert_non_null(longer);
    memcpy(longer, bytes, size);
    expect_refused(longer, size + 1, CLNORM_IO_FAILED, "something was added");
    free(longer);
    free(bytes);
}

/* ---- The manifest ---- */

/* The manifest text with `from` replaced by `to`, sealed anew. */
static void expect_replacement_refused(const char *from, const char *to, enum clnorm_status status,
                                       const char *says)
{
    struct draft draft;
    size_t size;
    draft_begin(&draft);
    char *const text = clnorm__manifest_format(&draft.manifest), changed[4096];
    const char *const at = strstr(text, from);
    assert_non_null(at);
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    void *const bytes = seal(changed, strlen(changed), &size);
    expect_refused(bytes, size, status, says);
    free(bytes);
    free(text);
}

static void manifests_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *says;
    } rows[] = {
        {"driver a fact\n", "", "a fact about the device is missing"},
        {"driver a fact\n", "driver\n", "a fact about the device is missing"},
        {"image 32 ", "image 31 ", "does not account for all bytes"},
        {"image 32 ", "image 33 ", "lines of an image are damaged"},
        {"image 32 ", "image 0 ", "lines of an image are damaged"},
        {"image 32 ", "image -1 ", "lines of an image are damaged"},
        {"image 32 ", "image 18446744073709551648 ", "lines of an image are damaged"},
        {"image 32 ", "image ", "lines of an image are damaged"},
        {"options -cl", "option -cl", "lines of an image are damaged"},
        {"program infer", "program infers", "lines of a program are damaged"},
        {"program infer", "programs infer", "an image has no programs"},
        {"schedule cpu: ", "schedule cpu: walk=serial ", "lines of a program are damaged"},
        {"group=1 ", "group=2 ", "lines of a program are damaged"},
        {"text ", "text 0", "lines of a program are damaged"},
        {"kernels map", "kernels map map map map map", "lines of a program are damaged"},
        {"kernels map", "kernels map ", "lines of a program are damaged"},
        {"kernels map", "kernels ", "lines of a program are damaged"},
        {"kernels map", "kernels a-b", "lines of a program are damaged"},
        {"kernels map", "kernels a2345678901234567890123456789012",
         "lines of a program are damaged"},
        {"kernels map\n", "kernels map\nmore\n", "a line is out of place"},
        {"kernels map\n", "kernels map", "it is not lines of text"},
        {"kernels map\n", "kernels map\n\n", "a line is out of place"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_replacement_refused(rows[i].from, rows[i].to, CLNORM_IO_FAILED, rows[i].says);
    size_t size;
    void *const bytes = seal("", 0, &size);
    expect_refused(bytes, size, CLNORM_IO_FAILED, "it is not lines of text");
    free(bytes);
}

/* Also when the rest is what only that version can read. */
static void other_versions_are_told(void **state)
{
    (void)state;
    char own[64];
    snprintf(own, sizeof own, "library %s", clnorm_version());
    expect_replacement_refused(own, "library 99.0", CLNORM_UNSUPPORTED,
                               "was made by clnorm 99.0, and this is clnorm");
    struct draft draft;
    size_t size;
    draft_begin(&draft);
    draft.manifest.fact[CLNORM__KEY_LIBRARY] = "99.0";
    char *const text = clnorm__manifest_format(&draft.manifest);
    memcpy(strstr(text, "program infer"), "program dance", 13);
    void *const bytes = seal(text, strlen(text), &size);
    expect_refused(bytes, size, CLNORM_UNSUPPORTED, "was made by clnorm 99.0");
    free(bytes);
    free(text);
}

static void images_have_their_digest(void **state)
{
    (void)state;
    struct draft draft;
    size_t size;
    draft_begin(&draft);
    draft.image.digest[0] = draft.image.digest[0] == '0' ? '1' : '0';
    void *const bytes = draft_seal(&draft, &size);
    expect_refused(bytes, size, CLNORM_IO_FAILED, "an image does not have its digest");
    free(bytes);
}

/* ---- Files ---- */

static void expect_path_refused(const char *path, const char *says)
{
    char message[MESSAGE_SIZE] = "";
    struct clnorm__bundle *bundle = NULL;
    assert_int_equal(clnorm__bundle_open(path, NULL, 0, &bundle, message, sizeof message),
                     CLNORM_IO_FAILED);
    assert_null(bundle);
    if (!strstr(message, says) || !strstr(message, path))
        fail_msg("'%s' and the path are not in: %s", says, message);
}

static void paths_that_are_no_bundles_are_refused(void **state)
{
    const struct fixture *const fixture = *state;
    char path[PATH_SIZE];
    expect_path_refused(fixture->root, "is not a file");
    path_of(path, fixture->root, "none");
    expect_path_refused(path, "No such file");
    path_of(path, fixture->root, "fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_path_refused(path, "is not a file");
    path_of(path, fixture->root, "empty");
    write_bytes(path, "", 0);
    expect_path_refused(path, "is not a bundle");
    path_of(path, fixture->root, "text");
    write_bytes(path, "any text that is longer than a header of 48 bytes is", 52);
    expect_path_refused(path, "is not a bundle");
}

/* A sparse file of more than a bundle may have: nothing near its size is allocated. */
static void huge_files_are_refused_unread(void **state)
{
    const struct fixture *const fixture = *state;
    struct draft draft;
    size_t size;
    char path[PATH_SIZE];
    draft_begin(&draft);
    void *const bytes = draft_seal(&draft, &size);
    path_of(path, fixture->root, "huge");
    /* The header agrees with that size. */
    const uint64_t all = UINT64_C(5) << 30, body = all - (size - sizeof image_bytes);
    for (unsigned i = 0; i < 8; i++)
        ((unsigned char *)bytes)[40 + i] = (unsigned char)(body >> (8 * i));
    write_bytes(path, bytes, size);
    assert_int_equal(truncate(path, (off_t)all), 0);
    expect_path_refused(path, "cut off, or something was added");
    free(bytes);
}

/* ---- With this machine's device ---- */

/* A draft whose facts are those of the device. */
static struct clnorm_context *begin_for_device(struct draft *draft)
{
    struct clnorm_context *context;
    const struct clnorm_context_options options = {.size = sizeof options,
                                                   .device_selector = getenv("CLNORM_TEST_DEVICE"),
                                                   .cache_directory = ""};
    draft_begin(draft);
    assert_int_equal(clnorm_context_create(&options, &context, NULL, 0), CLNORM_OK);
    const char *fact[CLNORM__KEY_FIELD_COUNT];
    clnorm__context_facts(context, fact);
    for (unsigned i = 0; i < CLNORM__KEY_FIELD_COUNT; i++)
        if (clnorm__fact_name((enum clnorm__key_field)i))
            draft->manifest.fact[i] = fact[i];
    return context;
}

static enum clnorm_status open_draft(const struct draft *draft, struct clnorm_context **context,
                                     void **bytes, char message[MESSAGE_SIZE])
{
    struct clnorm_context_options options = {.size = sizeof options,
                                             .device_selector = getenv("CLNORM_TEST_DEVICE"),
                                             .cache_directory = "",
                                             .bundle_only = 1};
    *bytes = draft_seal(draft, &options.bundle_size);
    options.bundle_bytes = *bytes;
    message[0] = 0;
    return clnorm_context_create(&options, context, message, MESSAGE_SIZE);
}

static void bundles_of_other_devices_are_told(void **state)
{
    (void)state;
    struct draft draft;
    struct clnorm_context *const device = begin_for_device(&draft), *context;
    for (unsigned i = 0; i < CLNORM__KEY_FIELD_COUNT; i++) {
        char message[MESSAGE_SIZE];
        void *bytes;
        const char *const own = draft.manifest.fact[i];
        if (!own || i == CLNORM__KEY_LIBRARY)
            continue;
        draft.manifest.fact[i] = "something else";
        assert_int_equal(open_draft(&draft, &context, &bytes, message), CLNORM_UNSUPPORTED);
        assert_null(context);
        if (!strstr(message, "'something else'") || !strstr(message, own) ||
            !strstr(message, clnorm__fact_name((enum clnorm__key_field)i)))
            fail_msg("%s", message);
        draft.manifest.fact[i] = own;
        free(bytes);
    }
    clnorm_context_release(device);
}

/* The plan of the draft's program must fail in this way. */
static void expect_plan_refused(const struct draft *draft, enum clnorm_status status,
                                const char *says)
{
    char message[MESSAGE_SIZE];
    void *bytes;
    struct clnorm_context *context;
    struct clnorm_plan *plan = NULL;
    if (open_draft(draft, &context, &bytes, message) != CLNORM_OK)
        fail_msg("%s", message);
    assert_int_equal(clnorm_plan_create(context, &draft->program.problem, NULL, &plan), status);
    assert_null(plan);
    clnorm_context_error(context, message, sizeof message);
    if (!strstr(message, says))
        fail_msg("'%s' is not in: %s", says, message);
    clnorm_context_release(context);
    free(bytes);
}

static void what_the_driver_refuses_is_told(void **state)
{
    (void)state;
    struct draft draft;
    struct clnorm_context *const device = begin_for_device(&draft);
    expect_plan_refused(&draft, CLNORM_DEVICE_FAILED, "refuses image 0 of the bundle in memory");
    clnorm_context_release(device);
}

static void programs_of_another_text_are_told(void **state)
{
    (void)state;
    struct draft draft;
    struct clnorm_context *const device = begin_for_device(&draft);
    snprintf(draft.program.kernels, sizeof draft.program.kernels, "finish map");
    expect_plan_refused(&draft, CLNORM_UNSUPPORTED, "made from another text");
    snprintf(draft.program.kernels, sizeof draft.program.kernels, "map");
    draft.program.text[0] = draft.program.text[0] == '0' ? '1' : '0';
    expect_plan_refused(&draft, CLNORM_UNSUPPORTED, "made from another text");
    clnorm_context_release(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_bundle_opens),
        cmocka_unit_test(every_flipped_byte_is_found),
        cmocka_unit_test(every_truncation_is_found),
        cmocka_unit_test(manifests_that_make_no_sense_are_refused),
        cmocka_unit_test(other_versions_are_told),
        cmocka_unit_test(images_have_their_digest),
        STORE_TEST(paths_that_are_no_bundles_are_refused),
        STORE_TEST(huge_files_are_refused_unread),
        cmocka_unit_test(bundles_of_other_devices_are_told),
        cmocka_unit_test(what_the_driver_refuses_is_told),
        cmocka_unit_test(programs_of_another_text_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
