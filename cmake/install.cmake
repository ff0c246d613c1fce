# What `cmake --install` leaves: headers, libraries, the command and its manual page, a CMake package, a pkg-config file.
include(CMakePackageConfigHelpers)

set_target_properties(clnorm_codegen PROPERTIES EXPORT_NAME codegen)
install(TARGETS clnorm clnorm_codegen EXPORT clnorm-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_SOURCE_DIR}/include/clnorm/clnorm.h ${PROJECT_SOURCE_DIR}/include/clnorm/codegen.h
    ${PROJECT_SOURCE_DIR}/include/clnorm/moments.h ${PROJECT_SOURCE_DIR}/include/clnorm/tensor.h
    ${PROJECT_SOURCE_DIR}/include/clnorm/group.h
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/clnorm)

if(TARGET clnorm_command)
    # The command finds the library wherever the tree is put.
    file(RELATIVE_PATH bin_to_lib ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
    set_target_properties(clnorm_command PROPERTIES INSTALL_RPATH "$ORIGIN/${bin_to_lib}")
    install(TARGETS clnorm_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
    install(FILES ${PROJECT_SOURCE_DIR}/tools/clnorm.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/clnorm)
install(EXPORT clnorm-targets NAMESPACE clnorm:: DESTINATION ${package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/clnorm-config.cmake.in
    ${PROJECT_BINARY_DIR}/clnorm-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/clnorm-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/clnorm-config.cmake ${PROJECT_BINARY_DIR}/clnorm-config-version.cmake
    DESTINATION ${package_dir})

# The component `mpi`.
if(TARGET clnorm_mpi)
    install(TARGETS clnorm_mpi EXPORT clnorm-mpi-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    install(FILES ${PROJECT_SOURCE_DIR}/include/clnorm/mpi.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/clnorm)
    install(EXPORT clnorm-mpi-targets NAMESPACE clnorm:: DESTINATION ${package_dir})
endif()

# Paths in the pkg-config file are relative to the file itself, so that the tree may be moved.
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pkgconfig_to_prefix ${CMAKE_INSTALL_PREFIX}/${pkgconfig_dir} ${CMAKE_INSTALL_PREFIX})
configure_file(${PROJECT_SOURCE_DIR}/cmake/clnorm.pc.in ${PROJECT_BINARY_DIR}/clnorm.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/clnorm.pc DESTINATION ${pkgconfig_dir})
