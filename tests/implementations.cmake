# The runtime, and the operations against the f64 reference: the device-dependent suite. Each program runs once on each
# OpenCL implementation, in the test LABEL.NAME: `ctest -L rusticl`. Where it is not set up, it is reported as skipped.
set(device_tests test_runtime test_cache test_quirks test_exact test_folds test_gradients test_nasty test_staged test_repeat)
set(operations moments merge normalise forward infer backward-sums input-gradient backward backward-frozen update)
foreach(program test_operations ${device_tests})
    add_executable(${program} ${program}.c)
    target_link_libraries(${program} PRIVATE PkgConfig::CMOCKA clnorm clnorm_verify Threads::Threads m)
endforeach()

# The effort is that of tests/support/cases.h. PoCL turns the barriers of a work-group into loops in three ways, of which
# the first is its own choice; the others run the operations under the walks of groups only. `machine` is whatever device
# the machine has, a GPU for one.
set(rows
    # label     implementation  effort     environment
    "pocl       pocl            full"
    "pocl-loops pocl            groups     POCL_WORK_GROUP_METHOD=loops"
    "pocl-repl  pocl            groups     POCL_WORK_GROUP_METHOD=repl"
    "oclgrind   oclgrind        small"
    "rusticl    rusticl         portable"
    "intel-cpu  intel-cpu       portable"
    "intel-fpga intel-fpga      portable"
    "machine    machine         full")
set(CLNORM_TEST_IMPLEMENTATIONS pocl pocl-loops pocl-repl oclgrind rusticl intel-cpu intel-fpga
    CACHE STRING "What the device-dependent tests run on: labels of tests/implementations.cmake")

foreach(row ${rows})
    separate_arguments(settings UNIX_COMMAND "${row}")
    list(POP_FRONT settings label implementation effort)
    if(NOT label IN_LIST CLNORM_TEST_IMPLEMENTATIONS)
        continue()
    endif()
    set(launcher ${CMAKE_CURRENT_SOURCE_DIR}/on_implementation.sh ${implementation})
    execute_process(COMMAND ${launcher} true RESULT_VARIABLE absent ERROR_QUIET)
    if(absent)
        message(STATUS "OpenCL implementation ${implementation} is not set up: tests of ${label} will be skipped")
    endif()
    if(label STREQUAL oclgrind)
        list(APPEND launcher ${CMAKE_CURRENT_SOURCE_DIR}/oclgrind_checks.sh)
    endif()
    set(names)
    foreach(operation ${operations})
        add_test(NAME ${label}.test_operations_${operation} COMMAND ${launcher} $<TARGET_FILE:test_operations> ${operation})
        list(APPEND names ${label}.test_operations_${operation})
    endforeach()
    foreach(program ${device_tests})
        if(NOT effort STREQUAL groups)
            add_test(NAME ${label}.${program} COMMAND ${launcher} $<TARGET_FILE:${program}>)
            list(APPEND names ${label}.${program})
        endif()
    endforeach()
    # Compiled programs are kept by label: what PoCL is told by its environment is in no key.
    list(APPEND settings CLNORM_TEST_EFFORT=${effort} CLNORM_TEST_CACHE=${CMAKE_BINARY_DIR}/cache/${label})
    set_tests_properties(${names} PROPERTIES LABELS ${label} SKIP_RETURN_CODE 77 ENVIRONMENT "${settings}")
    # The long ones first, so that none runs on alone at the end.
    set_tests_properties(${label}.test_operations_forward ${label}.test_operations_backward PROPERTIES COST 200)
endforeach()
