# Imported targets for a llama.cpp that tools/bootstrap.sh built apart: static, position-independent.
if(NOT EXISTS "${HYPURA_LLAMA_DIR}/include/llama.h" OR NOT EXISTS "${HYPURA_LLAMA_BUILD}/src/libllama.a")
  message(FATAL_ERROR "llama.cpp is missing: run `make build`, which fetches and builds it")
endif()

function(hypura_llama_library name archive)
  add_library(${name} STATIC IMPORTED)
  set_target_properties(${name} PROPERTIES IMPORTED_LOCATION ${HYPURA_LLAMA_BUILD}/${archive})
endfunction()

find_package(Threads REQUIRED)
hypura_llama_library(ggml_base ggml/src/libggml-base.a)
target_include_directories(ggml_base SYSTEM INTERFACE
  ${HYPURA_LLAMA_DIR}/ggml/include ${HYPURA_LLAMA_DIR}/ggml/src)
target_link_libraries(ggml_base INTERFACE Threads::Threads m)

hypura_llama_library(ggml_cpu ggml/src/libggml-cpu.a)
target_link_libraries(ggml_cpu INTERFACE ggml_base)

hypura_llama_library(ggml ggml/src/libggml.a)
target_link_libraries(ggml INTERFACE ggml_cpu ggml_base ${CMAKE_DL_LIBS})

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
