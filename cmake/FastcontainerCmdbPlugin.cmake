# fastcontainer_add_cmdb_plugin(NAME etcd SOURCES a.cc b.cc [LIBRARIES target...] [PACKAGES libnghttp2...]
#                               [DEBIAN libnghttp2-dev...])
# A CMDB driver as a shared object of its own, lib/fastcontainer/libfastcontainer-cmdb-NAME.so, which OpenCmdb() loads for
# URLs of that scheme. Target fastcontainer_cmdb_NAME, and fastcontainer_cmdb_NAME_objects for unit tests of its parts.
# It links the shared libraries that the core does and never the core, whose state would then exist twice: what it uses
# of lib/ is in headers, or is named in SOURCES too. PACKAGES are pkg-config modules; where one is missing, the driver is
# not built, and a warning names the Debian packages.
function(fastcontainer_add_cmdb_plugin)
  cmake_parse_arguments(plugin "" "NAME" "SOURCES;LIBRARIES;PACKAGES;DEBIAN" ${ARGN})
  set(target fastcontainer_cmdb_${plugin_NAME})
  if(plugin_PACKAGES)
    pkg_check_modules(${target}_packages QUIET IMPORTED_TARGET ${plugin_PACKAGES})
    if(NOT ${target}_packages_FOUND)
      string(TOUPPER "FASTCONTAINER_${plugin_NAME}" option)
      string(JOIN " " modules ${plugin_PACKAGES})
      string(JOIN " " debian ${plugin_DEBIAN})
      message(WARNING "The CMDB driver \"${plugin_NAME}\" is not built: it needs ${modules} (Debian: ${debian}). "
                      "-D${option}=OFF says that it is not wanted.")
      return()
    endif()
    list(APPEND plugin_LIBRARIES PkgConfig::${target}_packages)
  endif()

  add_library(${target}_objects OBJECT ${plugin_SOURCES})
  set_target_properties(${target}_objects PROPERTIES CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_include_directories(${target}_objects PUBLIC "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${target}_objects PUBLIC absl::status absl::statusor absl::strings absl::any_invocable
    absl::span ${plugin_LIBRARIES} PRIVATE fastcontainer_build)

  add_library(${target} MODULE)
  target_link_libraries(${target} PRIVATE ${target}_objects fastcontainer_build)
  set_target_properties(${target} PROPERTIES PREFIX lib OUTPUT_NAME fastcontainer-cmdb-${plugin_NAME}
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib/fastcontainer")
  target_link_options(${target} PRIVATE LINKER:--as-needed LINKER:--exclude-libs,ALL)
  if(NOT FASTCONTAINER_SANITIZE)
    target_link_options(${target} PRIVATE LINKER:--no-undefined)
  endif()
  set_property(GLOBAL APPEND PROPERTY FASTCONTAINER_CMDB_PLUGINS ${target})
endfunction()
