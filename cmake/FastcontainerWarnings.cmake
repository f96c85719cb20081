# One interface target carries the warnings, the sanitizers and the include paths of the tree itself.
add_library(fastcontainer_build INTERFACE)
target_compile_options(fastcontainer_build INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
if(FASTCONTAINER_SANITIZE)
  target_compile_options(fastcontainer_build INTERFACE
    -fsanitize=${FASTCONTAINER_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(fastcontainer_build INTERFACE -fsanitize=${FASTCONTAINER_SANITIZE})
endif()
