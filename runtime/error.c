#define _POSIX_C_SOURCE 200809L
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "report.h"

static const struct {
    cl_int code;
    const char *name;
} codes[] = {
    {CL_DEVICE_NOT_FOUND, "CL_DEVICE_NOT_FOUND"},
    {CL_DEVICE_NOT_AVAILABLE, "CL_DEVICE_NOT_AVAILABLE"},
    {CL_COMPILER_NOT_AVAILABLE, "CL_COMPILER_NOT_AVAILABLE"},
    {CL_MEM_OBJECT_ALLOCATION_FAILURE, "CL_MEM_OBJECT_ALLOCATION_FAILURE"},
    {CL_OUT_OF_RESOURCES, "CL_OUT_OF_RESOURCES"},
    {CL_OUT_OF_HOST_MEMORY, "CL_OUT_OF_HOST_MEMORY"},
    {CL_BUILD_PROGRAM_FAILURE, "CL_BUILD_PROGRAM_FAILURE"},
    {CL_MISALIGNED_SUB_BUFFER_OFFSET, "CL_MISALIGNED_SUB_BUFFER_OFFSET"},
    {CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST"},
    {CL_INVALID_VALUE, "CL_INVALID_VALUE"},
    {CL_INVALID_PLATFORM, "CL_INVALID_PLATFORM"},
    {CL_INVALID_DEVICE, "CL_INVALID_DEVICE"},
    {CL_INVALID_CONTEXT, "CL_INVALID_CONTEXT"},
    {CL_INVALID_QUEUE_PROPERTIES, "CL_INVALID_QUEUE_PROPERTIES"},
    {CL_INVALID_COMMAND_QUEUE, "CL_INVALID_COMMAND_QUEUE"},
    {CL_INVALID_MEM_OBJECT, "CL_INVALID_MEM_OBJECT"},
    {CL_INVALID_BINARY, "CL_INVALID_BINARY"},
    {CL_INVALID_BUILD_OPTIONS, "CL_INVALID_BUILD_OPTIONS"},
    {CL_INVALID_PROGRAM, "CL_INVALID_PROGRAM"},
    {CL_INVALID_PROGRAM_EXECUTABLE, "CL_INVALID_PROGRAM_EXECUTABLE"},
    {CL_INVALID_KERNEL_NAME, "CL_INVALID_KERNEL_NAME"},
    {CL_INVALID_KERNEL, "CL_INVALID_KERNEL"},
    {CL_INVALID_ARG_INDEX, "CL_INVALID_ARG_INDEX"},
    {CL_INVALID_ARG_VALUE, "CL_INVALID_ARG_VALUE"},
    {CL_INVALID_ARG_SIZE, "CL_INVALID_ARG_SIZE"},
    {CL_INVALID_KERNEL_ARGS, "CL_INVALID_KERNEL_ARGS"},
    {CL_INVALID_WORK_GROUP_SIZE, "CL_INVALID_WORK_GROUP_SIZE"},
    {CL_INVALID_WORK_ITEM_SIZE, "CL_INVALID_WORK_ITEM_SIZE"},
    {CL_INVALID_EVENT_WAIT_LIST, "CL_INVALID_EVENT_WAIT_LIST"},
    {CL_INVALID_EVENT, "CL_INVALID_EVENT"},
    {CL_INVALID_OPERATION, "CL_INVALID_OPERATION"},
    {CL_INVALID_BUFFER_SIZE, "CL_INVALID_BUFFER_SIZE"},
    {CL_INVALID_GLOBAL_WORK_SIZE, "CL_INVALID_GLOBAL_WORK_SIZE"},
};

const char *clnorm__code_name(cl_int code)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].code == code)
            return codes[i].name;
    return "an unknown code";
}

enum clnorm_status clnorm__status_of(cl_int code)
{
    switch (code) {
    case CL_SUCCESS: return CLNORM_OK;
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_OUT_OF_RESOURCES:
    case CL_OUT_OF_HOST_MEMORY:
    case CL_INVALID_BUFFER_SIZE: /* larger than the device allocates at once */
        return CLNORM_OUT_OF_MEMORY;
    case CL_COMPILER_NOT_AVAILABLE: return CLNORM_UNSUPPORTED;
    case CL_INVALID_EVENT:
    case CL_INVALID_EVENT_WAIT_LIST: return CLNORM_INVALID_ARGUMENT;
    default: return CLNORM_DEVICE_FAILED;
    }
}

static char *format_text(const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    char *const text = length < 0 ? NULL : malloc((size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

static void replace(char **error, char *text)
{
    free(*error);
    *error = text;
}

/* Where this thread's details go. Called with the lock. */
static char **place_of_error(struct clnorm_context *context)
{
    struct clnorm__attempt *attempt = context->attempts;
    while (attempt && !pthread_equal(attempt->thread, pthread_self()))
        attempt = attempt->next;
    return attempt ? &attempt->error : &context->error;
}

enum clnorm_status clnorm__refuse(struct clnorm__report report, enum clnorm_status status,
                                  const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (report.size > 0)
        vsnprintf(report.message, report.size, format, arguments);
    va_end(arguments);
    return status;
}

enum clnorm_status clnorm__fail(struct clnorm_context *context, enum clnorm_status status,
                                const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *const text = format_text(format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&context->error_mutex);
    replace(place_of_error(context), text);
    pthread_mutex_unlock(&context->error_mutex);
    return status;
}

void clnorm__attempt_open(struct clnorm_context *context, struct clnorm__attempt *attempt)
{
    *attempt = (struct clnorm__attempt){.thread = pthread_self()};
    pthread_mutex_lock(&context->error_mutex);
    attempt->next = context->attempts;
    context->attempts = attempt;
    pthread_mutex_unlock(&context->error_mutex);
}

void clnorm__attempt_close(struct clnorm_context *context, struct clnorm__attempt *attempt,
                           int failed)
{
    pthread_mutex_lock(&context->error_mutex);
    struct clnorm__attempt **at = &context->attempts;
    while (*at != attempt)
        at = &(*at)->next;
    *at = attempt->next;
    if (failed)
        replace(&context->error, attempt->error);
    else
        free(attempt->error);
    pthread_mutex_unlock(&context->error_mutex);
}

enum clnorm_status clnorm__fail_call(struct clnorm_context *context, cl_int code, const char *call)
{
    return clnorm__fail(context, clnorm__status_of(code), "%s failed with %s (%d) on %s", call,
                        clnorm__code_name(code), (int)code, context->device.device_name);
}

enum clnorm_status clnorm__check_process(struct clnorm_context *context)
{
    if (clnorm__process_is_own(&context->process))
        return CLNORM_OK;
    return clnorm__fail(context, CLNORM_UNSUPPORTED,
                        "this process was forked after the context was made, and OpenCL does not "
                        "survive fork: make a "
                        "context in the child, before any OpenCL call in the parent");
}

size_t clnorm__text_copy(const char *from, char *text, size_t size)
{
    const size_t length = strlen(from);
    if (size > 0) {
        const size_t copied = length < size ? length : size - 1;
        memcpy(text, from, copied);
        text[copied] = 0;
    }
    return length;
}

size_t clnorm_context_error(const struct clnorm_context *context, char *text, size_t size)
{
    struct clnorm_context *const c = (struct clnorm_context *)context;
    pthread_mutex_lock(&c->error_mutex);
    const size_t length = clnorm__text_copy(c->error ? c->error : "", text, size);
    pthread_mutex_unlock(&c->error_mutex);
    return length;
}
