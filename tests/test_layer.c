/* The layer itself, and the library on the device it plays: an accelerator without a compiler. */
#define _POSIX_C_SOURCE 200809L
#include "testing.h"

#include "compare.h"
#include "control.h"
#include "reference.h"

#include <stdlib.h>
#include <unistd.h>

static void set_disguise(const char *no_compiler, const char *type)
{
    setenv("CLNORM_LAYER_NO_COMPILER", no_compiler, 1);
    setenv("CLNORM_LAYER_DEVICE_TYPE", type, 1);
}

static int drop_disguise(void **state)
{
    (void)state;
    set_disguise("", "");
    clnorm_layer_arm(NULL);
    return 0;
}

static struct clnorm_context *open_context(const char *directory)
{
    const struct clnorm_context_options options = {.size = sizeof options,
                                                   .device_selector = getenv("CLNORM_TEST_DEVICE"),
                                                   .cache_directory = directory};
    struct clnorm_context *context;
    char message[256];
    if (clnorm_context_create(&options, &context, message, sizeof message) != CLNORM_OK)
        fail_msg("%s", message);
    return context;
}

/* ---- Disguise ---- */

static void test_devices_are_disguised(void **state)
{
    (void)state;
    struct clnorm_device *devices;
    size_t count;
    set_disguise("1", "accelerator");
    assert_int_equal(clnorm_devices_list(&devices, &count), CLNORM_OK);
    for (size_t i = 0; i < count; i++) {
        cl_uint found = 0;
        assert_int_equal(devices[i].compiler, 0);
        assert_int_equal(devices[i].target.kind, CLNORM_KIND_FPGA);
        assert_int_equal(
            clGetDeviceIDs(devices[i].platform, CL_DEVICE_TYPE_ACCELERATOR, 0, NULL, &found),
            CL_SUCCESS);
        assert_true(found > 0);
        assert_int_equal(clGetDeviceIDs(devices[i].platform, CL_DEVICE_TYPE_CPU, 0, NULL, &found),
                         CL_DEVICE_NOT_FOUND);
    }
    free(devices);
}

static cl_program program_from_source(cl_context context)
{
    const char *text = "kernel void nothing(global int *p) { *p = 1; }\n";
    cl_int code;
    const cl_program program = clCreateProgramWithSource(context, 1, &text, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    return program;
}

/* The binary of a program with one device, as a program of its own. */
static cl_program program_from_binary(cl_context context, cl_device_id device, cl_program built)
{
    size_t size;
    cl_int code;
    assert_int_equal(clGetProgramInfo(built, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL),
                     CL_SUCCESS);
    unsigned char *binary = malloc(size);
    assert_non_null(binary);
    assert_int_equal(clGetProgramInfo(built, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL),
                     CL_SUCCESS);
    const unsigned char *const bytes = binary;
    const cl_program program = clCreateProgramWithBinary(
        context, 1, &device, &size, (const unsigned char *[]){bytes}, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    free(binary);
    return program;
}

static void test_only_binaries_are_built(void **state)
{
    (void)state;
    struct clnorm_context *const context = open_context("");
    const cl_context opencl = clnorm_context_opencl(context);
    const cl_device_id device = clnorm_context_device(context)->device;
    const cl_program source = program_from_source(opencl);
    set_disguise("1", "");
    assert_int_equal(clBuildProgram(source, 1, &device, NULL, NULL, NULL),
                     CL_COMPILER_NOT_AVAILABLE);
    set_disguise("", "");
    assert_int_equal(clBuildProgram(source, 1, &device, NULL, NULL, NULL), CL_SUCCESS);
    set_disguise("1", "");
    const cl_program binary = program_from_binary(opencl, device, source);
    assert_int_equal(clBuildProgram(binary, 1, &device, NULL, NULL, NULL), CL_SUCCESS);
    clReleaseProgram(binary);
    clReleaseProgram(source);
    clnorm_context_release(context);
}

/* Without a compiler plans are refused, but those whose programs the cache has. */
static void test_plans_without_a_compiler(void **state)
{
    (void)state;
    char directory[] = "/tmp/clnorm-layer-XXXXXX", detail[256];
    struct clnorm_values observed =
        values_of("forward nchw f32 ?x3x? +relu", 2, 5, 1, CLNORM_DATA_ORDINARY, 72);
    struct clnorm_values expected, refused;
    struct clnorm_plan *plan = NULL;
    assert_non_null(mkdtemp(directory));
    assert_int_equal(clnorm_values_copy(&expected, &observed), CLNORM_OK);
    assert_int_equal(clnorm_values_copy(&refused, &observed), CLNORM_OK);
    clnorm_reference_run(&expected);
    set_disguise("", "accelerator");
    struct clnorm_context *context = open_context(directory);
    assert_int_equal(clnorm_plan_create(context, &observed.problem, NULL, &plan), CLNORM_OK);
    clnorm_plan_release(plan);
    clnorm_context_release(context);

    set_disguise("1", "accelerator");
    context = open_context(directory);
    assert_true(execute(context, NULL, &observed, NULL));
    assert_int_equal(clnorm_context_statistics(context).disk_hits, 1);
    assert_true(clnorm_compare(&expected, &observed, detail, sizeof detail) <= 1);
    refused.problem.flags = CLNORM_RUNNING;
    assert_int_equal(clnorm_plan_create(context, &refused.problem, NULL, &plan),
                     CLNORM_UNSUPPORTED);
    clnorm_context_error(context, detail, sizeof detail);
    assert_non_null(strstr(detail, "has no compiler"));
    clnorm_context_release(context);
    assert_int_equal(clnorm_cache_clear(directory, NULL), CLNORM_OK);
    assert_int_equal(rmdir(directory), 0);
    clnorm_values_free(&refused);
    clnorm_values_free(&expected);
    clnorm_values_free(&observed);
}

/* ---- Failures and references ---- */

static cl_int retain(cl_context context)
{
    const cl_int code = clRetainContext(context);
    if (code == CL_SUCCESS)
        clReleaseContext(context);
    return code;
}

static void test_calls_fail(void **state)
{
    (void)state;
    struct clnorm_context *const context = open_context("");
    const cl_context opencl = clnorm_context_opencl(context);
    struct clnorm_layer_failure failure = {
        .entry = CLNORM_LAYER_clRetainContext, .call = 2, .code = CL_OUT_OF_RESOURCES};
    for (failure.for_good = 0; failure.for_good < 2; failure.for_good++) {
        clnorm_layer_arm(&failure);
        assert_int_equal(retain(opencl), CL_SUCCESS); /* nobody watches */
        assert_int_equal(CLNORM_LAYER_WATCHED(retain(opencl)), CL_SUCCESS);
        assert_int_equal(CLNORM_LAYER_WATCHED(retain(opencl)), CL_OUT_OF_RESOURCES);
        assert_int_equal(CLNORM_LAYER_WATCHED(retain(opencl)),
                         failure.for_good ? CL_OUT_OF_RESOURCES : CL_SUCCESS);
        assert_int_equal(clnorm_layer_calls(CLNORM_LAYER_clRetainContext), 3);
        assert_int_equal(clnorm_layer_failed(CLNORM_LAYER_clRetainContext), 1 + failure.for_good);
        assert_int_equal(clnorm_layer_calls(CLNORM_LAYER_clReleaseContext), 2 - failure.for_good);
    }
    failure.entry = CLNORM_LAYER_ENTRY_COUNT;
    clnorm_layer_arm(&failure);
    assert_int_equal(CLNORM_LAYER_WATCHED(retain(opencl)), CL_SUCCESS); /* but not its release */
    assert_int_equal(clnorm_layer_failed(CLNORM_LAYER_clReleaseContext), 1);
    clnorm_layer_arm(NULL);
    assert_int_equal(CLNORM_LAYER_WATCHED(retain(opencl)), CL_SUCCESS);
    clnorm_context_release(context);
}

static void test_references_are_counted(void **state)
{
    (void)state;
    const struct clnorm_layer_references before = clnorm_layer_references();
    struct clnorm_context *const context = open_context("");
    const cl_command_queue queue = clnorm_context_queue(context);
    const int byte = 0;
    cl_int code;
    cl_event event;
    const cl_mem memory =
        clCreateBuffer(clnorm_context_opencl(context), CL_MEM_READ_WRITE, 64, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    assert_int_equal(clEnqueueFillBuffer(queue, memory, &byte, 1, 0, 64, 0, NULL, &event),
                     CL_SUCCESS);
    assert_int_equal(clRetainEvent(event), CL_SUCCESS);
    assert_int_equal(clFinish(queue), CL_SUCCESS);
    const struct clnorm_layer_references now = clnorm_layer_references();
    assert_int_equal(now.count[CLNORM_LAYER_MEMORY] - before.count[CLNORM_LAYER_MEMORY], 1);
    assert_int_equal(now.count[CLNORM_LAYER_EVENT] - before.count[CLNORM_LAYER_EVENT], 2);
    assert_true(now.count[CLNORM_LAYER_QUEUE] > before.count[CLNORM_LAYER_QUEUE]);
    clReleaseEvent(event);
    clReleaseEvent(event);
    clReleaseMemObject(memory);
    clnorm_context_release(context);
    const struct clnorm_layer_references after = clnorm_layer_references();
    assert_memory_equal(&before, &after, sizeof before);
}

int main(void)
{
    setenv("OPENCL_LAYERS", LAYER, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_devices_are_disguised, drop_disguise),
        cmocka_unit_test_teardown(test_only_binaries_are_built, drop_disguise),
        cmocka_unit_test_teardown(test_plans_without_a_compiler, drop_disguise),
        cmocka_unit_test_teardown(test_calls_fail, drop_disguise),
        cmocka_unit_test(test_references_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
