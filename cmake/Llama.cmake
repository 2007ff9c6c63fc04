# Imported targets for a llama.cpp that tools/bootstrap.sh built apart: static, position-independent.
# A target with the property HYPURA_IN_HOST links ggml's shared libraries instead: it will live in a
# program that brings them.
if(NOT EXISTS "${HYPURA_LLAMA_DIR}/include/llama.h" OR NOT EXISTS "${HYPURA_LLAMA_BUILD}/src/libllama.a")
  message(FATAL_ERROR "llama.cpp is missing: run `make build`, which fetches and builds it")
endif()

function(hypura_llama_library name archive)
  add_library(${name} STATIC IMPORTED)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION ${HYPURA_LLAMA_BUILD}/${archive})
endfunction()

find_package(Threads REQUIRED)
hypura_llama_library(ggml_base_static ggml/src/libggml-base.a)
hypura_llama_library(ggml_cpu_static ggml/src/libggml-cpu.a)
hypura_llama_library(ggml_static ggml/src/libggml.a)
target_link_libraries(ggml_base_static INTERFACE Threads::Threads m)
target_link_libraries(ggml_cpu_static INTERFACE ggml_base_static)
target_link_libraries(ggml_static INTERFACE ggml_cpu_static ggml_base_static ${CMAKE_DL_LIBS})

foreach(library base "")
  string(JOIN - file ggml ${library})
  string(JOIN _ name ggml ${library})
  add_library(${name}_shared SHARED IMPORTED)
  set_target_properties(${name}_shared PROPERTIES
    IMPORTED_LOCATION ${HYPURA_LLAMA_HOST}/bin/lib${file}.so)
  add_library(${name} INTERFACE)
  target_link_libraries(${name} INTERFACE
    $<IF:$<BOOL:$<TARGET_PROPERTY:HYPURA_IN_HOST>>,${name}_shared,${name}_static>)
  target_include_directories(${name} SYSTEM INTERFACE
    ${HYPURA_LLAMA_DIR}/ggml/include ${HYPURA_LLAMA_DIR}/ggml/src)
endforeach()

file(STRINGS ${HYPURA_LLAMA_DIR}/ggml/CMakeLists.txt version REGEX "^set\\(GGML_VERSION_(MAJOR|MINOR|PATCH) ")
string(REGEX REPLACE "[^0-9;]" "" version "${version}")
string(JOIN . HYPURA_GGML_VERSION ${version})

hypura_llama_library(llama src/libllama.a)
target_include_directories(llama SYSTEM INTERFACE
  ${HYPURA_LLAMA_DIR}/include ${HYPURA_LLAMA_DIR}/src)
target_link_libraries(llama INTERFACE ggml)

hypura_llama_library(llama_http vendor/cpp-httplib/libcpp-httplib.a)
hypura_llama_library(llama_common_base common/libllama-common-base.a)
hypura_llama_library(llama_common common/libllama-common.a)
target_include_directories(llama_common SYSTEM INTERFACE
  ${HYPURA_LLAMA_DIR}/common ${HYPURA_LLAMA_DIR}/vendor)
target_link_libraries(llama_common INTERFACE llama_common_base llama_http llama)
