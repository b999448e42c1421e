# Compiler, standard, warnings and sanitizers for every target of ours.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  message(FATAL_ERROR
    "gcc ${CMAKE_CXX_COMPILER_VERSION} miscompiles temporaries inside co_await. "
    "Use clang 19: cmake --preset release, or -DCMAKE_CXX_COMPILER=clang++-19.")
endif()

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

option(PENSTOCK_WERROR "Warnings are errors (developer presets)" OFF)
option(PENSTOCK_FUZZ "Build the libFuzzer targets" OFF)
set(PENSTOCK_SANITIZE "" CACHE STRING "Value for -fsanitize=, empty for none")

add_library(penstock_options INTERFACE)
target_include_directories(penstock_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(penstock_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wimplicit-fallthrough -Wno-gnu-statement-expression
  -Wno-missing-designated-field-initializers
  $<$<BOOL:${PENSTOCK_WERROR}>:-Werror>)
if(PENSTOCK_SANITIZE)
  add_compile_options(-fsanitize=${PENSTOCK_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g)
  add_link_options(-fsanitize=${PENSTOCK_SANITIZE})
endif()
if(PENSTOCK_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
find_program(PENSTOCK_LLD ld.lld-19)
if(PENSTOCK_LLD)
  add_link_options(-fuse-ld=${PENSTOCK_LLD})
endif()
find_program(PENSTOCK_CCACHE ccache)
if(PENSTOCK_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${PENSTOCK_CCACHE})
endif()
