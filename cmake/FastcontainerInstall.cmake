# Installs the libraries with what finds them: find_package(fastcontainer) and pkg-config. Nothing in it names the
# place of installation, so that the tree may be moved. Component "libraries" of cmake --install.
include(CMakePackageConfigHelpers)

set(config_directory "${CMAKE_INSTALL_LIBDIR}/cmake/fastcontainer")
set_target_properties(fastcontainer_capi fastcontainer_probe PROPERTIES INSTALL_RPATH "")

get_property(cmdb_plugins GLOBAL PROPERTY FASTCONTAINER_CMDB_PLUGINS)
if(cmdb_plugins)
  set_target_properties(${cmdb_plugins} PROPERTIES INSTALL_RPATH "")
  install(TARGETS ${cmdb_plugins} LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}/fastcontainer" COMPONENT libraries)
endif()

# Two export sets: who wants the C ABI needs no Abseil to find it.
install(TARGETS fastcontainer_capi fastcontainer_probe EXPORT fastcontainerTargets
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT libraries)
install(TARGETS fastcontainer EXPORT fastcontainerCxxTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT libraries)
foreach(set fastcontainerTargets fastcontainerCxxTargets)
  install(EXPORT ${set} NAMESPACE fastcontainer:: DESTINATION "${config_directory}" COMPONENT libraries)
endforeach()
install(FILES "${PROJECT_SOURCE_DIR}/capi/include/fastcontainer.h"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT libraries)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/fastcontainer"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT libraries)

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/fastcontainerConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/fastcontainerConfig.cmake" INSTALL_DESTINATION "${config_directory}"
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/fastcontainerConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/fastcontainerConfig.cmake"
              "${PROJECT_BINARY_DIR}/fastcontainerConfigVersion.cmake"
  DESTINATION "${config_directory}" COMPONENT libraries)

cmake_path(SET pkgconfig_directory "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH prefix_from_pkgconfig "/${pkgconfig_directory}" "/")
string(REGEX REPLACE "/$" "" prefix_from_pkgconfig "${prefix_from_pkgconfig}")
foreach(name fastcontainer fastcontainer-probe)
  configure_file("${CMAKE_CURRENT_LIST_DIR}/${name}.pc.in" "${PROJECT_BINARY_DIR}/${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${name}.pc" DESTINATION "${pkgconfig_directory}" COMPONENT libraries)
endforeach()
