/*
 * Golden kernels: the files in tests/golden are what the generator emits, so that a change of
 * generated code is seen in review. `test_golden --write` writes them anew.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <clnorm/codegen.h>

static const struct golden {
    const char *file, *problem;
    enum clnorm_kind kind;
    enum { PLAIN, BOUNDED, DATAFLOW, SUBGROUP, COLLECTIVE } form;
} goldens[] = {
    {"forward_nchw_cpu", "forward nchw f32 ?x64x? +scale +shift", CLNORM_KIND_CPU, PLAIN},
    {"forward_nchw_gpu", "forward nchw f32 ?x64x? +scale +shift +running", CLNORM_KIND_GPU, PLAIN},
    {"forward_nchw_fpga", "forward nchw f32 ?x64x? +scale +shift", CLNORM_KIND_FPGA, PLAIN},
    {"forward_nhwc_cpu", "forward nhwc f16 ?x64x56x56 +scale +shift +add +relu +running",
     CLNORM_KIND_CPU, PLAIN},
    {"forward_nhwc_gpu", "forward nhwc f32 ?x64x?", CLNORM_KIND_GPU, PLAIN},
    {"forward_nhwc_fpga", "forward nhwc bf16 ?x20x? +scale +shift +running +biased",
     CLNORM_KIND_FPGA, PLAIN},
    {"forward_nhwc_dataflow", "forward nhwc f32 ?x64x? +scale +shift +relu", CLNORM_KIND_FPGA,
     DATAFLOW},
    {"infer_nchw_bounded", "infer nchw f16 ?x256x? +scale +shift", CLNORM_KIND_FPGA, BOUNDED},
    {"infer_nchw_cpu", "infer nchw f32 ?x64x? +scale +shift +relu", CLNORM_KIND_CPU, PLAIN},
    {"infer_nhwc_gpu", "infer nhwc bf16 ?x257x? +scale +shift", CLNORM_KIND_GPU, PLAIN},
    {"backward_nchw_cpu", "backward nchw f32 ?x64x? +scale +shift", CLNORM_KIND_CPU, PLAIN},
    {"backward_nchw_gpu", "backward nchw f16 ?x64x? +scale +shift +add +relu +adam",
     CLNORM_KIND_GPU, PLAIN},
    {"backward_nhwc_cpu", "backward nhwc f64 ?x17x? +scale +shift +sgd", CLNORM_KIND_CPU, PLAIN},
    {"forward_nchw_small_planes_cpu", "forward nchw f32 ?x64x2x2", CLNORM_KIND_CPU, PLAIN},
    {"backward_frozen_nhwc_gpu", "backward-frozen nhwc f32 ?x64x? +scale +shift", CLNORM_KIND_GPU,
     PLAIN},
    {"moments_nchw_fpga", "moments nchw f32 ?x64x?", CLNORM_KIND_FPGA, PLAIN},
    {"merge_cpu", "merge nchw f32 ?x64x?", CLNORM_KIND_CPU, PLAIN},
    {"normalise_nchw_gpu", "normalise nchw f32 ?x64x? +scale +shift", CLNORM_KIND_GPU, PLAIN},
    {"normalise_renorm_gpu", "normalise nchw f32 ?x64x? +scale +shift +running +renorm",
     CLNORM_KIND_GPU, PLAIN},
    {"input_gradient_renorm_gpu", "input-gradient nchw f32 ?x64x? +scale +shift +renorm",
     CLNORM_KIND_GPU, PLAIN},
    {"forward_ghost_nchw_gpu", "forward nchw f32 ?x64x? +running +ghost=32", CLNORM_KIND_GPU,
     PLAIN},
    {"backward_lengths_nchw_gpu", "backward nchw f32 ?x64x? +scale +lengths", CLNORM_KIND_GPU,
     PLAIN},
    {"infer_lengths_nhwc_cpu", "infer nhwc f32 ?x64x? +lengths", CLNORM_KIND_CPU, PLAIN},
    {"update_adam_gpu", "update nchw f32 ?x64x? +scale +shift +adam", CLNORM_KIND_GPU, PLAIN},
    {"moments_nchw_gpu_subgroup", "moments nchw f32 ?x64x?", CLNORM_KIND_GPU, SUBGROUP},
    {"backward_sums_nchw_gpu_collective", "backward-sums nchw f32 ?x64x?", CLNORM_KIND_GPU,
     COLLECTIVE},
};
enum { GOLDEN_COUNT = sizeof goldens / sizeof *goldens };

static struct clnorm_source emit(const struct golden *golden)
{
    char message[256];
    struct clnorm_problem problem;
    struct clnorm_schedule schedule;
    struct clnorm_source source;
    const struct clnorm_target target = clnorm_target_default(golden->kind);
    const int parsed =
        clnorm_problem_parse(golden->problem, &problem, message, sizeof message) == CLNORM_OK &&
        clnorm_schedule_choose(&problem, &target, 0, &schedule);
    if (parsed && golden->form == BOUNDED)
        schedule.bound = (uint32_t)problem.channels;
    if (parsed && golden->form == DATAFLOW)
        schedule.walk = CLNORM_WALK_DATAFLOW;
    if (parsed && golden->form == SUBGROUP)
        schedule.fold = CLNORM_FOLD_SUBGROUP;
    if (parsed && golden->form == COLLECTIVE)
        schedule.fold = CLNORM_FOLD_COLLECTIVE;
    if (!parsed ||
        clnorm_source_emit(&problem, &schedule, &source, message, sizeof message) != CLNORM_OK) {
        fprintf(stderr, "test_golden: %s: %s\n", golden->problem, message);
        exit(1);
    }
    return source;
}

static void path_of(const struct golden *golden, char *path, size_t size)
{
    snprintf(path, size, "%s/%s.cl", GOLDEN_DIRECTORY, golden->file);
}

static int write_all(void)
{
    for (unsigned i = 0; i < GOLDEN_COUNT; i++) {
        char path[4096];
        path_of(&goldens[i], path, sizeof path);
        struct clnorm_source source = emit(&goldens[i]);
        FILE *const file = fopen(path, "w");
        if (!file || fwrite(source.text, 1, source.length, file) != source.length ||
            fclose(file) != 0) {
            perror(path);
            return 1;
        }
        clnorm_source_free(&source);
    }
    return 0;
}

static void compare_with_file(const struct golden *golden)
{
    char path[4096];
    path_of(golden, path, sizeof path);
    struct clnorm_source source = emit(golden);
    FILE *const file = fopen(path, "r");
    if (!file)
        fail_msg("%s is missing: run `test_golden --write`", path);
    char *const text = calloc(1, source.length + 2);
    assert_non_null(text);
    const size_t length = fread(text, 1, source.length + 1, file);
    fclose(file);
    if (length != source.length || memcmp(text, source.text, length) != 0)
        fail_msg("%s differs from what is emitted now: look at the difference after `test_golden "
                 "--write`",
                 path);
    free(text);
    clnorm_source_free(&source);
}

static void test_files(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < GOLDEN_COUNT; i++)
        compare_with_file(&goldens[i]);
}

static void test_comma_locale(void **unused)
{
    (void)unused;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8", "de_DE"};
    unsigned i = 0;
    while (i < 4 && !setlocale(LC_ALL, names[i]))
        i++;
    if (i == 4)
        skip();
    char number[16];
    snprintf(number, sizeof number, "%.1f", 0.5);
    assert_string_equal(number, "0,5");
    test_files(NULL);
    setlocale(LC_ALL, "C");
}

/* Directives that text may have: values, and what only the OpenCL compiler can answer. */
static int may_stay(const char *line)
{
    static const char *const all[] = {"#define ",
                                      "#pragma ",
                                      "# ifdef __has_builtin\n",
                                      "# if defined(__has_builtin)",
                                      "# if __has_builtin(",
                                      "# if defined(INTELFPGA_CL) ||",
                                      "# if !defined(INTELFPGA_CL) &&",
                                      "# error ",
                                      "# elif defined(__xilinx__)\n",
                                      "# else\n",
                                      "# ifndef ",
                                      "# define ",
                                      "# endif\n"};
    unsigned i = 0;
    while (i < sizeof all / sizeof *all && strncmp(line, all[i], strlen(all[i])) != 0)
        i++;
    return i < sizeof all / sizeof *all;
}

/* No floating-point literal, no line over 100 columns but in the header comment, ASCII only, no
 * directive left but those that may stay. */
static void check_form(const char *text)
{
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        const size_t length = strcspn(line, "\n");
        const int comment = strncmp(line, "//", 2) == 0;
        assert_true(comment || length <= 100);
        for (size_t i = 0; i < length; i++)
            assert_true(line[i] >= ' ' && line[i] <= '~');
        for (size_t i = 1; i + 1 < length && !comment; i++)
            assert_false(line[i] == '.' && line[i - 1] >= '0' && line[i - 1] <= '9');
        if (line[0] == '#')
            assert_true(may_stay(line));
    }
}

static void test_form(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < GOLDEN_COUNT; i++) {
        struct clnorm_source source = emit(&goldens[i]);
        assert_int_equal(strlen(source.text), source.length);
        check_form(source.text);
        clnorm_source_free(&source);
    }
}

/* The kernels that a page shows are those of a golden file. */
static void check_page(const char *name, const char *file)
{
    static char page[65536], path[4096];
    static const char opening[] = "```opencl\n", closing[] = "```\n";
    snprintf(path, sizeof path, "%s/%s", PAGES, name);
    FILE *const stream = fopen(path, "r");
    assert_non_null(stream);
    const size_t length = fread(page, 1, sizeof page - 1, stream);
    assert_in_range(length, 1, sizeof page - 2);
    page[length] = 0;
    fclose(stream);
    unsigned shown = 0, i = 0;
    while (strcmp(goldens[i].file, file) != 0)
        i++;
    struct clnorm_source source = emit(&goldens[i]);
    for (char *at = page; (at = strstr(at, opening)) != NULL; shown++) {
        char *const end = strstr(at += strlen(opening), closing);
        assert_non_null(end);
        *end = 0;
        if (!strstr(source.text, at))
            fail_msg("%s shows what is not emitted now:\n%s", name, at);
        at = end + 1;
    }
    assert_true(shown > 0);
    clnorm_source_free(&source);
}

static void test_pages(void **unused)
{
    (void)unused;
    check_page("fpga.md", "forward_nhwc_fpga");
    check_page("gpu.md", "moments_nchw_gpu_subgroup");
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "--write") == 0)
        return write_all();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_comma_locale),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
