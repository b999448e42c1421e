# libllama as the imported target `llama`: an installed one, else the pinned one of scripts/setup-llama.
#
# Besides the target it sets, for src/engine alone:
#   PENSTOCK_LLAMA_VERSION      what `penstock version` reports
#   PENSTOCK_LLAMA_BACKEND_DIR  where the CPU backends (libggml-cpu-*.so) lie; empty: built into ggml
#   PENSTOCK_LLAMA_VOCAB_DIR    vocabulary-only models from which synthetic ones take their tokenizer
#   PENSTOCK_LLAMA_JINJA        ON where libllama-common (full Jinja chat templates) is there too
#   PENSTOCK_LLAMA_OWN_KERNELS  ON where our kernels know the call that they take over (own_kernels.cc)
set(pinned ${CMAKE_SOURCE_DIR}/build/third_party/llama)
set(PENSTOCK_LLAMA_VOCAB_DIR ${pinned}/vocab CACHE PATH "Directory of ggml-vocab-*.gguf files")

find_package(llama CONFIG QUIET)
if(llama_FOUND)
  set(PENSTOCK_LLAMA_VERSION "${llama_VERSION} (installed)")
  set(PENSTOCK_LLAMA_BACKEND_DIR "")
  set(PENSTOCK_LLAMA_JINJA OFF)
  set(PENSTOCK_LLAMA_OWN_KERNELS OFF)
  message(STATUS "llama.cpp: installed, ${llama_DIR}")
elseif(EXISTS ${pinned}/installed.lock)
  file(STRINGS ${CMAKE_SOURCE_DIR}/scripts/llama.lock line REGEX "^llama\\.cpp ")
  string(REGEX REPLACE "^llama\\.cpp ([^ ]+) .*$" "\\1" PENSTOCK_LLAMA_VERSION "${line}")
  set(PENSTOCK_LLAMA_BACKEND_DIR ${pinned}/lib)
  set(PENSTOCK_LLAMA_JINJA ON)
  # Another release: compare llamafile_sgemm and how ggml_compute_params begins first.
  set(PENSTOCK_LLAMA_OWN_KERNELS OFF)
  if(PENSTOCK_LLAMA_VERSION STREQUAL "v0.5.0")
    set(PENSTOCK_LLAMA_OWN_KERNELS ON)
  endif()
  add_library(llama INTERFACE IMPORTED GLOBAL)
  foreach(name llama.${PENSTOCK_LLAMA_VERSION} ggml.${PENSTOCK_LLAMA_VERSION} ggml-base llama-common)
    if(NOT EXISTS ${pinned}/lib/lib${name}.so)
      message(FATAL_ERROR "${pinned}/lib/lib${name}.so is missing: remove ${pinned} and run "
                          "scripts/setup-llama again")
    endif()
    add_library(llama_pinned_${name} SHARED IMPORTED GLOBAL)
    set_target_properties(llama_pinned_${name} PROPERTIES
      IMPORTED_LOCATION ${pinned}/lib/lib${name}.so IMPORTED_SONAME lib${name}.so)
    target_link_libraries(llama INTERFACE llama_pinned_${name})
  endforeach()
  target_include_directories(llama SYSTEM INTERFACE ${pinned}/include)
  set(PENSTOCK_LLAMA_COMMON_INCLUDE ${pinned}/common)
  message(STATUS "llama.cpp: pinned ${PENSTOCK_LLAMA_VERSION}, ${pinned}")
else()
  message(FATAL_ERROR "llama.cpp is not there: run scripts/setup-llama (it fetches the pinned release), "
                      "or install llama.cpp where find_package(llama) finds it.")
endif()

# In the build tree CMake writes the libraries' own directory; an installed penstock looks beside itself.
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib")
