/* Images: several texts in one, each as it is alone, with names of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "variants.h"

static struct clnorm_source emit(const char *text, enum clnorm_kind kind)
{
    const struct clnorm_target target = clnorm_target_default(kind);
    struct clnorm_problem problem;
    struct clnorm_schedule schedule;
    struct clnorm_source source;
    assert_int_equal(clnorm_problem_parse(text, &problem, NULL, 0), CLNORM_OK);
    clnorm_schedule_choose(&problem, &target, 0, &schedule);
    assert_int_equal(clnorm_source_emit(&problem, &schedule, &source, NULL, 0), CLNORM_OK);
    return source;
}

static size_t count(const char *text, const char *part)
{
    size_t found = 0;
    for (; (text = strstr(text, part)); text++)
        found++;
    return found;
}

/* A tag is of this very text: problem, schedule and version are in it. */
static void names_tell_texts_apart(void **state)
{
    (void)state;
    static const struct {
        const char *problem;
        enum clnorm_kind kind;
    } rows[] = {
        {"infer nchw f32 ?x64x?", CLNORM_KIND_CPU},
        {"infer nchw f32 ?x64x?", CLNORM_KIND_FPGA},
        {"infer nchw f32 8x64x?", CLNORM_KIND_CPU}, /* the same kernels, but not for all batches */
        {"infer nhwc f32 ?x64x?", CLNORM_KIND_CPU},
        {"infer nchw f32 ?x64x? +relu", CLNORM_KIND_CPU},
    };
    enum { COUNT = sizeof rows / sizeof *rows };
    char names[COUNT][CLNORM_KERNEL_NAME_SIZE];
    for (size_t i = 0; i < COUNT; i++) {
        struct clnorm_source source = emit(rows[i].problem, rows[i].kind);
        clnorm_image_kernel(&source, CLNORM_STEP_MAP, names[i]);
        assert_int_equal(strlen(names[i]), strlen("map_01234567"));
        assert_int_equal(strncmp(names[i], "map_", 4), 0);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(names[i], names[j]);
        clnorm_source_free(&source);
    }
}

static void texts_stand_in_the_image_unchanged(void **state)
{
    (void)state;
    struct clnorm_source sources[2] = {emit("forward nchw f32 ?x64x? +scale", CLNORM_KIND_GPU),
                                       emit("backward nhwc f16 ?x64x? +relu", CLNORM_KIND_CPU)};
    struct clnorm_source image, alone, again;
    assert_int_equal(clnorm_image_join(sources, 2, &image, NULL, 0), CLNORM_OK);
    assert_int_equal(clnorm_image_join(sources, 2, &again, NULL, 0), CLNORM_OK);
    assert_int_equal(image.length, strlen(image.text));
    assert_string_equal(image.text, again.text);
    for (int i = 0; i < 2; i++) {
        char line[64], name[CLNORM_KERNEL_NAME_SIZE];
        assert_int_equal(count(image.text, sources[i].text), 1);
        clnorm_image_kernel(&sources[i], CLNORM_STEP_REDUCE, name);
        snprintf(line, sizeof line, "#define reduce %s\n", name);
        assert_int_equal(count(image.text, line), 1);
        assert_int_equal(count(image.text, name), 2); /* and in the comment */
    }
    /* What is said of one text does not depend on the others. */
    assert_int_equal(clnorm_image_join(&sources[1], 1, &alone, NULL, 0), CLNORM_OK);
    assert_int_equal(count(image.text, alone.text), 1);
    clnorm_source_free(&alone);
    clnorm_source_free(&again);
    clnorm_source_free(&image);
    clnorm_source_free(&sources[0]);
    clnorm_source_free(&sources[1]);
}

/* Every macro that is defined in a section is undefined at its end. */
static int leaves_no_macros(void *user, const struct variant *variant)
{
    struct clnorm_source source, image;
    unsigned *const visited = user;
    assert_int_equal(clnorm_source_emit(&variant->problem, &variant->schedule, &source, NULL, 0),
                     CLNORM_OK);
    assert_int_equal(clnorm_image_join(&source, 1, &image, NULL, 0), CLNORM_OK);
    for (const char *line = image.text; *line; line += strcspn(line, "\n") + 1) {
        char name[64], undef[80];
        if (sscanf(line, "#define %60[A-Za-z0-9_]", name) == 1 ||
            sscanf(line, "# define %60[A-Za-z0-9_]", name) == 1) {
            snprintf(undef, sizeof undef, "\n#undef %s\n", name);
            assert_int_equal(count(image.text, undef), 1);
        }
    }
    clnorm_source_free(&image);
    clnorm_source_free(&source);
    ++*visited;
    return 0;
}

static void images_leave_no_macros(void **state)
{
    (void)state;
    unsigned visited = 0;
    assert_int_equal(visit_variants(leaves_no_macros, &visited), 0);
    assert_true(visited > 100);
}

static void wrong_sources_are_refused(void **state)
{
    (void)state;
    struct clnorm_source sources[3] = {emit("infer nchw f32 ?x64x?", CLNORM_KIND_CPU),
                                       emit("infer nhwc f32 ?x64x?", CLNORM_KIND_CPU),
                                       emit("infer nchw f32 ?x64x?", CLNORM_KIND_CPU)};
    struct clnorm_source image;
    const struct clnorm_source empty = {0};
    char message[256] = "";
    assert_int_equal(clnorm_image_join(sources, 3, &image, message, sizeof message),
                     CLNORM_INVALID_ARGUMENT);
    assert_non_null(strstr(message, "the same"));
    assert_null(image.text);
    assert_int_equal(clnorm_image_join(sources, 0, &image, message, sizeof message),
                     CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_image_join(NULL, 1, &image, message, sizeof message),
                     CLNORM_INVALID_ARGUMENT);
    assert_int_equal(clnorm_image_join(&empty, 1, &image, message, sizeof message),
                     CLNORM_INVALID_ARGUMENT);
    assert_non_null(strstr(message, "source 0 is empty"));
    assert_int_equal(clnorm_image_join(sources, 2, NULL, message, sizeof message),
                     CLNORM_INVALID_ARGUMENT);
    for (int i = 0; i < 3; i++)
        clnorm_source_free(&sources[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_tell_texts_apart),
        cmocka_unit_test(texts_stand_in_the_image_unchanged),
        cmocka_unit_test(images_leave_no_macros),
        cmocka_unit_test(wrong_sources_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
