# Helpers that give every folder the same shape: a library, one test program, benchmarks, fuzz targets.

# penstock_library(NAME SOURCES a.cc ... LINK penstock_base ...)
function(penstock_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC penstock_options ${arg_LINK})
endfunction()

# penstock_test(NAME SOURCES a_test.cc ... LINK penstock_io ...): one GoogleTest program a folder.
function(penstock_test name)
  if(PENSTOCK_FUZZ)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE penstock_options ${arg_LINK} GTest::gtest_main GTest::gmock)
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS unit)
endfunction()

# penstock_benchmark(NAME SOURCES a_benchmark.cc ... LINK ...): Google Benchmark, never run by CTest.
function(penstock_benchmark name)
  if(PENSTOCK_FUZZ)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} EXCLUDE_FROM_ALL ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE penstock_options ${arg_LINK} benchmark::benchmark_main)
endfunction()

# penstock_fuzz(NAME SOURCE a_fuzz.cc LINK ...): a libFuzzer target under the fuzz preset; it runs for
# PENSTOCK_FUZZ_SECONDS over tests/corpus/NAME, which the build creates when missing.
set(PENSTOCK_FUZZ_SECONDS 20 CACHE STRING "Seconds each fuzz target runs under ctest")
function(penstock_fuzz name)
  if(NOT PENSTOCK_FUZZ)
    return()
  endif()
  cmake_parse_arguments(arg "" "SOURCE" "LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCE})
  target_link_libraries(${name} PRIVATE penstock_options ${arg_LINK})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set(found ${CMAKE_BINARY_DIR}/corpus/${name})
  file(MAKE_DIRECTORY ${found})
  set(seeds ${CMAKE_SOURCE_DIR}/tests/corpus/${name})
  if(NOT EXISTS ${seeds})
    set(seeds "")
  endif()
  add_test(NAME ${name}
    COMMAND ${name} -max_total_time=${PENSTOCK_FUZZ_SECONDS} -rss_limit_mb=2048 -timeout=10 ${found} ${seeds})
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 600)
endfunction()
