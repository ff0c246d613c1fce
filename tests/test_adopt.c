/* Programs of the application's own: plans run the kernels of an image with others in it, and none
 * but those that were made for them. */
#define _XOPEN_SOURCE 700
#include "bundle_fixture.h"

#include <pthread.h>

static const char own_kernel[] =
    "kernel void map(global int *of) { of[get_global_id(0)] += 1; }\n"; /* as one of clnorm's */

static const char *const image_problems[] = {
    "forward nchw f32 ?x19x? +scale +shift",
    "backward nhwc f32 ?x7x? +scale",
    "infer nchw f32 ?x19x? +relu",
};
enum { IMAGE_COUNT = sizeof image_problems / sizeof *image_problems };

/* Builds text of the library's for the problems, with a kernel of ours in front. */
static cl_program build_image(struct clnorm_context *context, int build)
{
    const struct clnorm_device *const device = clnorm_context_device(context);
    struct clnorm_source sources[IMAGE_COUNT], image;
    for (size_t i = 0; i < IMAGE_COUNT; i++) {
        const struct clnorm_problem problem = problem_of(image_problems[i]);
        struct clnorm_schedule schedule;
        clnorm_schedule_choose(&problem, &device->target, 0, &schedule);
        assert_int_equal(clnorm_source_emit(&problem, &schedule, &sources[i], NULL, 0), CLNORM_OK);
    }
    assert_int_equal(clnorm_image_join(sources, IMAGE_COUNT, &image, NULL, 0), CLNORM_OK);
    cl_int code;
    const cl_program program = clCreateProgramWithSource(
        clnorm_context_opencl(context), 2, (const char *[]){own_kernel, image.text}, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    cl_device_fp_config single = 0;
    clGetDeviceInfo(device->device, CL_DEVICE_SINGLE_FP_CONFIG, sizeof single, &single, NULL);
    /* As the library does, so that bits may be compared. */
    const char *const flags = single & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT
                                  ? "-cl-std=CL1.2 -cl-fp32-correctly-rounded-divide-sqrt"
                                  : "-cl-std=CL1.2";
    if (build)
        assert_int_equal(clBuildProgram(program, 1, &device->device, flags, NULL, NULL),
                         CL_SUCCESS);
    for (size_t i = 0; i < IMAGE_COUNT; i++)
        clnorm_source_free(&sources[i]);
    clnorm_source_free(&image);
    return program;
}

/* Plans on a program of ours: y of infer is right, and the program outlives our reference. */
static void a_program_of_ones_own_runs(void **state)
{
    struct fixture *const f = *state;
    const cl_program program = build_image(f->source, 1);
    const struct clnorm_plan_options options = {.size = sizeof options, .program = program};
    struct clnorm_plan *const plan = plan_with(f->source, image_problems[2], &options);
    clReleaseProgram(program);
    float data[3][19] = {{0}};
    for (int c = 0; c < 19; c++) {
        data[0][c] = (float)(c - 9);
        data[2][c] = 4;
    }
    cl_int code;
    const cl_mem memory = clCreateBuffer(clnorm_context_opencl(f->source), CL_MEM_COPY_HOST_PTR,
                                         sizeof data, data, &code);
    assert_int_equal(code, CL_SUCCESS);
    const struct clnorm_arguments arguments = {
        .size = sizeof arguments,
        .batch = 1,
        .spatial = 1,
        .x = {memory, 0},
        .y = {memory, 0},
        .mean = {memory, sizeof data[0]},
        .var = {memory, 2 * sizeof data[0]},
        .epsilon = 1e-300,
    };
    const cl_command_queue queue = clnorm_context_queue(f->source);
    assert_int_equal(clnorm_plan_run(plan, queue, &arguments, 0, NULL, NULL), CLNORM_OK);
    assert_int_equal(
        clEnqueueReadBuffer(queue, memory, CL_TRUE, 0, sizeof data, data, 0, NULL, NULL),
        CL_SUCCESS);
    for (int c = 0; c < 19; c++)
        assert_true(data[0][c] == (c < 9 ? 0 : (float)(c - 9) / 2));
    assert_int_equal(clnorm_context_statistics(f->source).builds, 0);
    clReleaseMemObject(memory);
    clnorm_plan_release(plan);
}

/* Writes a bundle whose only binary has everything, as an FPGA loads it. */
static void write_image(struct fixture *f)
{
    const cl_program program = build_image(f->source, 1);
    const struct clnorm_plan_options options = {.size = sizeof options, .program = program};
    struct clnorm_plan *plans[IMAGE_COUNT];
    for (size_t i = 0; i < IMAGE_COUNT; i++)
        plans[i] = plan_with(f->source, image_problems[i], &options);
    assert_int_equal(clnorm_bundle_write(f->source, plans, IMAGE_COUNT, f->path), CLNORM_OK);
    expect_counts(f, IMAGE_COUNT, 1);
    for (size_t i = 0; i < IMAGE_COUNT; i++)
        clnorm_plan_release(plans[i]);
    clReleaseProgram(program);
}

static void one_image_serves_all_its_problems(void **state)
{
    struct fixture *const f = *state;
    write_image(f);
    struct clnorm_context *const bundled = open_bundle(f);
    for (size_t i = 0; i < IMAGE_COUNT; i++)
        expect_same_bits(f->source, bundled, image_problems[i], 5, 33);
    assert_int_equal(clnorm_context_statistics(bundled).bundle_hits, IMAGE_COUNT);
    clnorm_context_release(bundled);
}

struct thread {
    pthread_t id;
    struct clnorm_context *context;
    size_t first; /* problem */
    int failures;
};

static void *make_plans(void *user)
{
    struct thread *const thread = user;
    for (size_t i = 0; i < 5 * IMAGE_COUNT; i++) {
        const struct clnorm_problem problem =
            problem_of(image_problems[(thread->first + i) % IMAGE_COUNT]);
        struct clnorm_plan *plan = NULL;
        if (clnorm_plan_create(thread->context, &problem, NULL, &plan) != CLNORM_OK)
            thread->failures++;
        clnorm_plan_release(plan);
    }
    return NULL;
}

/* Each begins with another problem: all want the image at once, and one loads it. */
static void threads_share_an_image(void **state)
{
    struct fixture *const f = *state;
    write_image(f);
    struct clnorm_context *const context = open_bundle(f);
    struct thread threads[IMAGE_COUNT];
    for (size_t i = 0; i < IMAGE_COUNT; i++) {
        threads[i] = (struct thread){.context = context, .first = i};
        assert_int_equal(pthread_create(&threads[i].id, NULL, make_plans, &threads[i]), 0);
    }
    for (size_t i = 0; i < IMAGE_COUNT; i++) {
        pthread_join(threads[i].id, NULL);
        assert_int_equal(threads[i].failures, 0);
    }
    assert_int_equal(clnorm_context_statistics(context).bundle_hits, IMAGE_COUNT);
    clnorm_context_release(context);
}

static void programs_that_do_not_fit_are_refused(void **state)
{
    struct fixture *const f = *state;
    const char *const infer = image_problems[2];
    struct clnorm_plan_options options = {.size = sizeof options,
                                          .program = build_image(f->source, 0)};
    expect_refused(f->source, infer, &options, CLNORM_INVALID_ARGUMENT,
                   (const char *[]){"not built", "clBuildProgram", NULL});
    clReleaseProgram(options.program);

    options.program = build_image(f->source, 1);
    expect_refused(f->source, "infer nchw f32 ?x19x?", &options, CLNORM_INVALID_ARGUMENT,
                   (const char *[]){"the kernel 'map_", "'infer nchw f32 ?x19x?'",
                                    "is not in the program", "clnorm emit --image", NULL});
    struct clnorm_schedule schedule;
    const struct clnorm_problem problem = problem_of(infer);
    clnorm_schedule_choose(&problem, &clnorm_context_device(f->source)->target, 0, &schedule);
    schedule.block++;
    options.schedule = &schedule;
    expect_refused(f->source, infer, &options, CLNORM_INVALID_ARGUMENT,
                   (const char *[]){"is not in the program", NULL});
    options.schedule = NULL;

    const struct clnorm_context_options defaults = {.size = sizeof defaults, .cache_directory = ""};
    struct clnorm_context *const other = open_with(&defaults);
    expect_refused(other, infer, &options, CLNORM_INVALID_ARGUMENT,
                   (const char *[]){"another cl_context", NULL});
    clnorm_context_release(other);
    clReleaseProgram(options.program);
}

/* The name is right, but not the kernel. */
static void kernels_with_other_arguments_are_refused(void **state)
{
    struct fixture *const f = *state;
    const struct clnorm_device *const device = clnorm_context_device(f->source);
    const struct clnorm_problem problem = problem_of("infer nchw f32 ?x4x?");
    struct clnorm_schedule schedule;
    struct clnorm_source source;
    char name[CLNORM_KERNEL_NAME_SIZE], text[256];
    clnorm_schedule_choose(&problem, &device->target, 0, &schedule);
    assert_int_equal(clnorm_source_emit(&problem, &schedule, &source, NULL, 0), CLNORM_OK);
    clnorm_image_kernel(&source, CLNORM_STEP_MAP, name);
    clnorm_source_free(&source);
    snprintf(text, sizeof text, "kernel void %s(global int *of) { of[0] = 1; }\n", name);
    const cl_program program = clCreateProgramWithSource(clnorm_context_opencl(f->source), 1,
                                                         (const char *[]){text}, NULL, NULL);
    assert_int_equal(clBuildProgram(program, 1, &device->device, "", NULL, NULL), CL_SUCCESS);
    const struct clnorm_plan_options options = {.size = sizeof options, .program = program};
    expect_refused(f->source, "infer nchw f32 ?x4x?", &options, CLNORM_INVALID_ARGUMENT,
                   (const char *[]){name, "another number of arguments", NULL});
    clReleaseProgram(program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BUNDLE_TEST(a_program_of_ones_own_runs),
        BUNDLE_TEST(one_image_serves_all_its_problems),
        BUNDLE_TEST(threads_share_an_image),
        BUNDLE_TEST(programs_that_do_not_fit_are_refused),
        BUNDLE_TEST(kernels_with_other_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
