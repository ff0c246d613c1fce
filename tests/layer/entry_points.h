/*
 * The entry points the layer stands before, a row each, in lists by what they do to references. All
 * others pass by it: not counted, never failed. Nothing of images, samplers, SVM and sub-devices is
 * here.
 */
#ifndef CLNORM_LAYER_ENTRY_POINTS_H
#define CLNORM_LAYER_ENTRY_POINTS_H

/* ROW(name, type, object, step): takes one object, and adds `step` to its references. */
#define CLNORM_LAYER_REFERENCES(ROW)                                                               \
    ROW(clRetainContext, cl_context, CONTEXT, +1)                                                  \
    ROW(clReleaseContext, cl_context, CONTEXT, -1)                                                 \
    ROW(clRetainCommandQueue, cl_command_queue, QUEUE, +1)                                         \
    ROW(clReleaseCommandQueue, cl_command_queue, QUEUE, -1)                                        \
    ROW(clRetainMemObject, cl_mem, MEMORY, +1)                                                     \
    ROW(clReleaseMemObject, cl_mem, MEMORY, -1)                                                    \
    ROW(clRetainProgram, cl_program, PROGRAM, +1)                                                  \
    ROW(clReleaseProgram, cl_program, PROGRAM, -1)                                                 \
    ROW(clRetainKernel, cl_kernel, KERNEL, +1)                                                     \
    ROW(clReleaseKernel, cl_kernel, KERNEL, -1)                                                    \
    ROW(clRetainEvent, cl_event, EVENT, +1)                                                        \
    ROW(clReleaseEvent, cl_event, EVENT, -1)

/* ROW(name, type, object, parameters, arguments): returns an object; the code through `code`. */
#define CLNORM_LAYER_CREATORS(ROW)                                                                 \
    ROW(clCreateContext, cl_context, CONTEXT,                                                      \
        (const cl_context_properties *properties, cl_uint count, const cl_device_id *devices,      \
         void(CL_CALLBACK * notify)(const char *, const void *, size_t, void *), void *user,       \
         cl_int *code),                                                                            \
        (properties, count, devices, notify, user, code))                                          \
    ROW(clCreateContextFromType, cl_context, CONTEXT,                                              \
        (const cl_context_properties *properties, cl_device_type type,                             \
         void(CL_CALLBACK * notify)(const char *, const void *, size_t, void *), void *user,       \
         cl_int *code),                                                                            \
        (properties, type, notify, user, code))                                                    \
    ROW(clCreateCommandQueue, cl_command_queue, QUEUE,                                             \
        (cl_context context, cl_device_id device, cl_command_queue_properties properties,          \
         cl_int * code),                                                                           \
        (context, device, properties, code))                                                       \
    ROW(clCreateCommandQueueWithProperties, cl_command_queue, QUEUE,                               \
        (cl_context context, cl_device_id device, const cl_queue_properties *properties,           \
         cl_int *code),                                                                            \
        (context, device, properties, code))                                                       \
    ROW(clCreateBuffer, cl_mem, MEMORY,                                                            \
        (cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *code),           \
        (context, flags, size, host, code))                                                        \
    ROW(clCreateSubBuffer, cl_mem, MEMORY,                                                         \
        (cl_mem memory, cl_mem_flags flags, cl_buffer_create_type type, const void *region,        \
         cl_int *code),                                                                            \
        (memory, flags, type, region, code))                                                       \
    ROW(clCreateProgramWithSource, cl_program, PROGRAM,                                            \
        (cl_context context, cl_uint count, const char **strings, const size_t *lengths,           \
         cl_int *code),                                                                            \
        (context, count, strings, lengths, code))                                                  \
    ROW(clCreateProgramWithBinary, cl_program, PROGRAM,                                            \
        (cl_context context, cl_uint count, const cl_device_id *devices, const size_t *lengths,    \
         const unsigned char **binaries, cl_int *taken, cl_int *code),                             \
        (context, count, devices, lengths, binaries, taken, code))                                 \
    ROW(clLinkProgram, cl_program, PROGRAM,                                                        \
        (cl_context context, cl_uint count, const cl_device_id *devices, const char *options,      \
         cl_uint inputs, const cl_program *input, void(CL_CALLBACK * notify)(cl_program, void *),  \
         void *user, cl_int *code),                                                                \
        (context, count, devices, options, inputs, input, notify, user, code))                     \
    ROW(clCreateKernel, cl_kernel, KERNEL, (cl_program program, const char *name, cl_int *code),   \
        (program, name, code))                                                                     \
    ROW(clCreateUserEvent, cl_event, EVENT, (cl_context context, cl_int * code), (context, code))

/* ROW(name, parameters, arguments): enqueues a command; its event, when wanted, through `event`. */
#define CLNORM_LAYER_COMMANDS(ROW)                                                                 \
    ROW(clEnqueueReadBuffer,                                                                       \
        (cl_command_queue queue, cl_mem memory, cl_bool blocking, size_t offset, size_t size,      \
         void *host, cl_uint waits, const cl_event *wait, cl_event *event),                        \
        (queue, memory, blocking, offset, size, host, waits, wait, event))                         \
    ROW(clEnqueueWriteBuffer,                                                                      \
        (cl_command_queue queue, cl_mem memory, cl_bool blocking, size_t offset, size_t size,      \
         const void *host, cl_uint waits, const cl_event *wait, cl_event *event),                  \
        (queue, memory, blocking, offset, size, host, waits, wait, event))                         \
    ROW(clEnqueueCopyBuffer,                                                                       \
        (cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset, size_t to_offset,     \
         size_t size, cl_uint waits, const cl_event *wait, cl_event *event),                       \
        (queue, from, to, from_offset, to_offset, size, waits, wait, event))                       \
    ROW(clEnqueueFillBuffer,                                                                       \
        (cl_command_queue queue, cl_mem memory, const void *pattern, size_t pattern_size,          \
         size_t offset, size_t size, cl_uint waits, const cl_event *wait, cl_event *event),        \
        (queue, memory, pattern, pattern_size, offset, size, waits, wait, event))                  \
    ROW(clEnqueueUnmapMemObject,                                                                   \
        (cl_command_queue queue, cl_mem memory, void *mapped, cl_uint waits, const cl_event *wait, \
         cl_event *event),                                                                         \
        (queue, memory, mapped, waits, wait, event))                                               \
    ROW(clEnqueueMigrateMemObjects,                                                                \
        (cl_command_queue queue, cl_uint count, const cl_mem *memory,                              \
         cl_mem_migration_flags flags, cl_uint waits, const cl_event *wait, cl_event *event),      \
        (queue, count, memory, flags, waits, wait, event))                                         \
    ROW(clEnqueueNDRangeKernel,                                                                    \
        (cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *first,        \
         const size_t *global, const size_t *local, cl_uint waits, const cl_event *wait,           \
         cl_event *event),                                                                         \
        (queue, kernel, dimensions, first, global, local, waits, wait, event))                     \
    ROW(clEnqueueMarkerWithWaitList,                                                               \
        (cl_command_queue queue, cl_uint waits, const cl_event *wait, cl_event *event),            \
        (queue, waits, wait, event))                                                               \
    ROW(clEnqueueBarrierWithWaitList,                                                              \
        (cl_command_queue queue, cl_uint waits, const cl_event *wait, cl_event *event),            \
        (queue, waits, wait, event))

/* ROW(name, parameters, arguments): leaves references as they are. */
#define CLNORM_LAYER_CALLS(ROW)                                                                    \
    ROW(clGetPlatformIDs, (cl_uint room, cl_platform_id * ids, cl_uint * count),                   \
        (room, ids, count))                                                                        \
    ROW(clGetPlatformInfo,                                                                         \
        (cl_platform_id id, cl_platform_info what, size_t room, void *value, size_t *size),        \
        (id, what, room, value, size))                                                             \
    ROW(clGetDeviceIDs,                                                                            \
        (cl_platform_id platform, cl_device_type type, cl_uint room, cl_device_id * ids,           \
         cl_uint * count),                                                                         \
        (platform, type, room, ids, count))                                                        \
    ROW(clGetDeviceInfo,                                                                           \
        (cl_device_id id, cl_device_info what, size_t room, void *value, size_t *size),            \
        (id, what, room, value, size))                                                             \
    ROW(clGetContextInfo,                                                                          \
        (cl_context id, cl_context_info what, size_t room, void *value, size_t *size),             \
        (id, what, room, value, size))                                                             \
    ROW(clGetCommandQueueInfo,                                                                     \
        (cl_command_queue id, cl_command_queue_info what, size_t room, void *value, size_t *size), \
        (id, what, room, value, size))                                                             \
    ROW(clGetMemObjectInfo, (cl_mem id, cl_mem_info what, size_t room, void *value, size_t *size), \
        (id, what, room, value, size))                                                             \
    ROW(clGetProgramInfo,                                                                          \
        (cl_program id, cl_program_info what, size_t room, void *value, size_t *size),             \
        (id, what, room, value, size))                                                             \
    ROW(clGetProgramBuildInfo,                                                                     \
        (cl_program id, cl_device_id device, cl_program_build_info what, size_t room, void *value, \
         size_t *size),                                                                            \
        (id, device, what, room, value, size))                                                     \
    ROW(clGetKernelInfo,                                                                           \
        (cl_kernel id, cl_kernel_info what, size_t room, void *value, size_t *size),               \
        (id, what, room, value, size))                                                             \
    ROW(clGetKernelArgInfo,                                                                        \
        (cl_kernel id, cl_uint index, cl_kernel_arg_info what, size_t room, void *value,           \
         size_t *size),                                                                            \
        (id, index, what, room, value, size))                                                      \
    ROW(clGetKernelWorkGroupInfo,                                                                  \
        (cl_kernel id, cl_device_id device, cl_kernel_work_group_info what, size_t room,           \
         void *value, size_t *size),                                                               \
        (id, device, what, room, value, size))                                                     \
    ROW(clGetEventInfo, (cl_event id, cl_event_info what, size_t room, void *value, size_t *size), \
        (id, what, room, value, size))                                                             \
    ROW(clGetEventProfilingInfo,                                                                   \
        (cl_event id, cl_profiling_info what, size_t room, void *value, size_t *size),             \
        (id, what, room, value, size))                                                             \
    ROW(clBuildProgram,                                                                            \
        (cl_program program, cl_uint count, const cl_device_id *devices, const char *options,      \
         void(CL_CALLBACK * notify)(cl_program, void *), void *user),                              \
        (program, count, devices, options, notify, user))                                          \
    ROW(clCompileProgram,                                                                          \
        (cl_program program, cl_uint count, const cl_device_id *devices, const char *options,      \
         cl_uint headers, const cl_program *header, const char **names,                            \
         void(CL_CALLBACK * notify)(cl_program, void *), void *user),                              \
        (program, count, devices, options, headers, header, names, notify, user))                  \
    ROW(clSetKernelArg, (cl_kernel kernel, cl_uint index, size_t size, const void *value),         \
        (kernel, index, size, value))                                                              \
    ROW(clSetUserEventStatus, (cl_event event, cl_int status), (event, status))                    \
    ROW(clSetEventCallback,                                                                        \
        (cl_event event, cl_int type, void(CL_CALLBACK * notify)(cl_event, cl_int, void *),        \
         void *user),                                                                              \
        (event, type, notify, user))                                                               \
    ROW(clFlush, (cl_command_queue queue), (queue))                                                \
    ROW(clFinish, (cl_command_queue queue), (queue))

/* All of them, as ROW(name, ...); clEnqueueMapBuffer returns neither code nor object, and
 * clWaitForEvents takes objects in a list. */
#define CLNORM_LAYER_ENTRY_POINTS(ROW)                                                             \
    CLNORM_LAYER_REFERENCES(ROW)                                                                   \
    CLNORM_LAYER_CREATORS(ROW)                                                                     \
    CLNORM_LAYER_COMMANDS(ROW)                                                                     \
    CLNORM_LAYER_CALLS(ROW)                                                                        \
    ROW(clEnqueueMapBuffer, void *)                                                                \
    ROW(clWaitForEvents, cl_int)

#endif
