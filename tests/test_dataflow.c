/* The dataflow walk on a device with channels: its four kernels, each on a queue of its own, against
 * the f64 reference, and bit by bit against the pipeline walk. Skipped (77) where there are none. */
#include "compare.h"
#include "convert.h"
#include "reference.h"
#include "testing.h"

#include <stdlib.h>

enum { READER, MOMENTS, NORMALISER, WRITER, KERNELS };
static const char *const names[KERNELS] = {"reader", "moments", "normaliser", "writer"};

struct run {
    struct clnorm_context *context;
    struct clnorm_values *values;
    cl_mem memory[CLNORM_SLOT_COUNT], parts, constants;
    cl_kernel kernel[KERNELS];
    cl_uint next[KERNELS]; /* argument to be set */
    cl_command_queue queue[KERNELS];
};

static void check(cl_int code)
{
    assert_int_equal(code, CL_SUCCESS);
}

static cl_mem buffer(const struct run *run, size_t bytes)
{
    cl_int code;
    const cl_mem memory =
        clCreateBuffer(clnorm_context_opencl(run->context), CL_MEM_READ_WRITE, bytes, NULL, &code);
    check(code);
    return memory;
}

static size_t bytes_of(const struct clnorm_slot_values *slot)
{
    return slot->elements * clnorm_dtype_size(slot->dtype);
}

static void upload(struct run *run)
{
    for (int i = 0; i < CLNORM_SLOT_COUNT; i++) {
        const struct clnorm_slot_values *const slot = &run->values->slot[i];
        if (slot->use == CLNORM_UNUSED)
            continue;
        void *const bytes = malloc(bytes_of(slot));
        assert_non_null(bytes);
        for (size_t j = 0; j < slot->elements; j++)
            clnorm_convert_store(slot->dtype, bytes, j, slot->data[j]);
        run->memory[i] = buffer(run, bytes_of(slot));
        check(clEnqueueWriteBuffer(run->queue[0], run->memory[i], CL_TRUE, 0, bytes_of(slot), bytes,
                                   0, NULL, NULL));
        free(bytes);
    }
    const size_t plane = (size_t)run->values->problem.channels * sizeof(double);
    run->parts = buffer(run, 4 * plane);
    run->constants = buffer(run, 4 * plane);
}

static void download(struct run *run)
{
    for (int i = 0; i < CLNORM_SLOT_COUNT; i++) {
        struct clnorm_slot_values *const slot = &run->values->slot[i];
        if (slot->use != CLNORM_WRITTEN && slot->use != CLNORM_READ_WRITTEN)
            continue;
        void *const bytes = malloc(bytes_of(slot));
        assert_non_null(bytes);
        check(clEnqueueReadBuffer(run->queue[0], run->memory[i], CL_TRUE, 0, bytes_of(slot), bytes,
                                  0, NULL, NULL));
        for (size_t j = 0; j < slot->elements; j++)
            slot->data[j] = clnorm_convert_load(slot->dtype, bytes, j);
        free(bytes);
    }
}

/* ---- Arguments, in the order of the text ---- */

static void set(struct run *run, int kernel, size_t size, const void *value)
{
    check(clSetKernelArg(run->kernel[kernel], run->next[kernel]++, size, value));
}

static void set_memory(struct run *run, int kernel, cl_mem memory)
{
    const cl_ulong offset = 0;
    set(run, kernel, sizeof memory, &memory);
    set(run, kernel, sizeof offset, &offset);
}

static void set_slot(struct run *run, int kernel, enum clnorm_slot slot)
{
    if (run->memory[slot])
        set_memory(run, kernel, run->memory[slot]);
}

static void set_real(struct run *run, int kernel, double value)
{
    const cl_float single = (cl_float)value;
    const int wide = run->values->problem.dtype == CLNORM_F64;
    set(run, kernel, wide ? sizeof value : sizeof single, wide ? (const void *)&value : &single);
}

static void set_arguments(struct run *run)
{
    const cl_ulong rows = (cl_ulong)(run->values->batch * run->values->spatial);
    set_slot(run, READER, CLNORM_SLOT_X);
    set_slot(run, READER, CLNORM_SLOT_ADD);
    set_slot(run, MOMENTS, CLNORM_SLOT_MEAN);
    set_slot(run, MOMENTS, CLNORM_SLOT_INVSTD);
    set_slot(run, MOMENTS, CLNORM_SLOT_RUNNING_MEAN);
    set_slot(run, MOMENTS, CLNORM_SLOT_RUNNING_VAR);
    if (run->memory[CLNORM_SLOT_RUNNING_VAR])
        set_real(run, MOMENTS, run->values->momentum);
    set_slot(run, MOMENTS, CLNORM_SLOT_SCALE);
    set_slot(run, MOMENTS, CLNORM_SLOT_SHIFT);
    set_memory(run, MOMENTS, run->constants);
    set_real(run, MOMENTS, run->values->epsilon);
    set_memory(run, MOMENTS, run->parts);
    set_slot(run, WRITER, CLNORM_SLOT_Y);
    for (int i = 0; i < KERNELS; i++)
        set(run, i, sizeof rows, &rows);
}

/* ---- The run ---- */

static cl_program build(struct clnorm_context *context, const struct clnorm_problem *problem,
                        const struct clnorm_schedule *schedule)
{
    struct clnorm_source source;
    char message[256] = "";
    if (clnorm_source_emit(problem, schedule, &source, message, sizeof message) != CLNORM_OK)
        fail_msg("%s", message);
    const char *const text = source.text;
    const cl_device_id device = clnorm_context_device(context)->device;
    cl_int code;
    const cl_program program = clCreateProgramWithSource(clnorm_context_opencl(context), 1,
                                                         (const char *[]){text}, NULL, &code);
    check(code);
    check(clBuildProgram(program, 1, &device, "-cl-std=CL1.2", NULL, NULL));
    clnorm_source_free(&source);
    return program;
}

static void run_dataflow(struct clnorm_context *context, const struct clnorm_schedule *schedule,
                         struct clnorm_values *values)
{
    struct run run = {.context = context, .values = values};
    const cl_program program = build(context, &values->problem, schedule);
    const size_t one = 1;
    cl_int code;
    for (int i = 0; i < KERNELS; i++) {
        run.queue[i] = clCreateCommandQueue(clnorm_context_opencl(context),
                                            clnorm_context_device(context)->device, 0, &code);
        check(code);
        run.kernel[i] = clCreateKernel(program, names[i], &code);
        check(code);
    }
    upload(&run);
    set_arguments(&run);
    for (int i = 0; i < KERNELS; i++) {
        check(clEnqueueNDRangeKernel(run.queue[i], run.kernel[i], 1, NULL, &one, &one, 0, NULL,
                                     NULL));
        check(clFlush(run.queue[i]));
    }
    for (int i = 0; i < KERNELS; i++)
        check(clFinish(run.queue[i]));
    download(&run);
    for (int i = 0; i < CLNORM_SLOT_COUNT; i++)
        if (run.memory[i])
            clReleaseMemObject(run.memory[i]);
    clReleaseMemObject(run.parts);
    clReleaseMemObject(run.constants);
    for (int i = 0; i < KERNELS; i++) {
        clReleaseKernel(run.kernel[i]);
        clReleaseCommandQueue(run.queue[i]);
    }
    clReleaseProgram(program);
}

/* Both walks in tiles of 16 channels. */
static void check_problem(struct clnorm_context *context, const char *text, int64_t batch,
                          int64_t spatial, enum clnorm_data data)
{
    const struct clnorm_target target = clnorm_target_default(CLNORM_KIND_FPGA);
    struct clnorm_values want = values_of(text, batch, spatial, 1, data, 5), plain, got;
    struct clnorm_schedule schedule;
    char detail[256] = "";
    clnorm_schedule_choose(&want.problem, &target, 0, &schedule);
    schedule.tile = 16;
    assert_int_equal(clnorm_values_copy(&plain, &want), CLNORM_OK);
    assert_int_equal(clnorm_values_copy(&got, &want), CLNORM_OK);
    clnorm_reference_run(&want);
    assert_true(execute(context, &schedule, &plain, NULL));
    schedule.walk = CLNORM_WALK_DATAFLOW;
    run_dataflow(context, &schedule, &got);
    if (clnorm_compare(&want, &got, detail, sizeof detail) > 1)
        fail_msg("%s, N=%lld S=%lld: %s", text, (long long)batch, (long long)spatial, detail);
    if (!clnorm_compare_same(&plain, &got, -1))
        fail_msg("%s, N=%lld S=%lld: other bits than the pipeline's", text, (long long)batch,
                 (long long)spatial);
    clnorm_values_free(&want);
    clnorm_values_free(&plain);
    clnorm_values_free(&got);
}

static void channels_join_the_kernels(void **state)
{
    static const char all[] = "forward nhwc f32 ?x40x? +scale +shift +add +relu +running";
    check_problem(*state, all, 3, 49, CLNORM_DATA_ORDINARY);
    check_problem(*state, all, 1, 1, CLNORM_DATA_ORDINARY);
    check_problem(*state, all, 1, 2, CLNORM_DATA_ORDINARY);
    check_problem(*state, all, 5, 300, CLNORM_DATA_OUTLIER);
    check_problem(*state, all, 2, 64, CLNORM_DATA_LARGE_MEAN);
    check_problem(*state, all, 2, 64, CLNORM_DATA_NAN);
    check_problem(*state, "forward nhwc f32 ?x8x?", 3, 131, CLNORM_DATA_ORDINARY);
    check_problem(*state, "forward nhwc bf16 ?x32x? +scale", 3, 131, CLNORM_DATA_ORDINARY);
    check_problem(*state, "forward nhwc f16 ?x16x? +relu", 3, 49, CLNORM_DATA_ORDINARY);
    check_problem(*state, "forward nhwc f64 ?x24x? +shift +running", 3, 49, CLNORM_DATA_ORDINARY);
    check_problem(*state, "forward nchw f32 ?x64x1 +scale +shift", 77, 1, CLNORM_DATA_ORDINARY);
}

/* Plans say that they cannot run it, and how to. */
static void plans_refuse_it(void **state)
{
    struct clnorm_problem problem;
    struct clnorm_schedule schedule;
    const struct clnorm_target target = clnorm_target_default(CLNORM_KIND_FPGA);
    assert_int_equal(clnorm_problem_parse("forward nhwc f32 ?x8x?", &problem, NULL, 0), CLNORM_OK);
    clnorm_schedule_choose(&problem, &target, 0, &schedule);
    schedule.walk = CLNORM_WALK_DATAFLOW;
    const struct clnorm_plan_options options = {.size = sizeof options, .schedule = &schedule};
    struct clnorm_plan *plan = NULL;
    char message[512] = "";
    assert_int_equal(clnorm_plan_create(*state, &problem, &options, &plan), CLNORM_UNSUPPORTED);
    clnorm_context_error(*state, message, sizeof message);
    assert_non_null(strstr(message, "launch them yourself"));
}

static int has_channels(void)
{
    void *state = NULL;
    char extensions[8192] = "";
    if (make_context(&state) != 0)
        return 0;
    clGetDeviceInfo(clnorm_context_device(state)->device, CL_DEVICE_EXTENSIONS,
                    sizeof extensions - 1, extensions, NULL);
    release_context(&state);
    return strstr(extensions, "cl_intel_channels") != NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_join_the_kernels),
        cmocka_unit_test(plans_refuse_it),
    };
    if (!has_channels()) {
        fprintf(stderr, "SKIPPED: the device has no cl_intel_channels\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, make_context, release_context);
}
