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

# The backend that ggml's registry names where llama.cpp was built for a GPU, with the libraries
# that its own CMake files link to it.
if(HYPURA_GPU STREQUAL "cuda")
  # As llama.cpp's build found them: FindCUDAToolkit of CMake 3.25 fails in a project that requires
  # 3.25 where nvToolsExt is missing, as in CUDA 13.
  set(libraries CUDA_cudart_LIBRARY CUDA_cublas_LIBRARY CUDA_cuda_driver_LIBRARY)
  load_cache(${HYPURA_LLAMA_BUILD} READ_WITH_PREFIX ggml_ ${libraries})
  # A module beside the program, which loads it when it asks for devices and has what is ggml's in it:
  # src/backend/gpu/cuda_module.cc.
  set(CMAKE_BUILD_RPATH "$ORIGIN" ${CMAKE_BINARY_DIR}/src/cli)
  file(CONFIGURE OUTPUT cuda_module.cpp CONTENT "")
  add_library(hypura_cuda MODULE ${CMAKE_BINARY_DIR}/cuda_module.cpp)
  set_target_properties(hypura_cuda PROPERTIES
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/src/cli OUTPUT_NAME hypura-cuda)
  target_link_libraries(hypura_cuda PRIVATE -Wl,--whole-archive
    ${HYPURA_LLAMA_BUILD}/ggml/src/ggml-cuda/libggml-cuda.a -Wl,--no-whole-archive)
  target_link_options(hypura_cuda PRIVATE -Wl,-Bsymbolic)
  foreach(library ${libraries})
    if(NOT EXISTS "${ggml_${library}}")
      message(FATAL_ERROR "${library} is missing in ${HYPURA_LLAMA_BUILD}/CMakeCache.txt")
    endif()
    target_link_libraries(hypura_cuda PRIVATE ${ggml_${library}})
  endforeach()
  add_library(ggml_gpu_static STATIC src/backend/gpu/cuda_module.cc)
  target_compile_definitions(ggml_gpu_static PRIVATE
    HYPURA_CUDA_MODULE="$<TARGET_FILE_NAME:hypura_cuda>")
  target_include_directories(ggml_gpu_static SYSTEM PRIVATE ${HYPURA_LLAMA_DIR}/ggml/include)
  target_link_libraries(ggml_gpu_static PRIVATE hypura_base hypura_flags)
  target_link_options(ggml_gpu_static INTERFACE "LINKER:--export-dynamic-symbol=ggml_*")
  add_dependencies(ggml_gpu_static hypura_cuda)
elseif(HYPURA_GPU STREQUAL "vulkan")
  find_package(Vulkan REQUIRED)
  hypura_llama_library(ggml_gpu_static ggml/src/ggml-vulkan/libggml-vulkan.a)
  target_link_libraries(ggml_gpu_static INTERFACE ggml_base_static $<LINK_ONLY:Vulkan::Vulkan>)
endif()
if(TARGET ggml_gpu_static)
  target_link_libraries(ggml_static INTERFACE ggml_gpu_static)
endif()

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
target_include_directories(llama_http SYSTEM INTERFACE ${HYPURA_LLAMA_DIR}/vendor)

hypura_llama_library(llama_mtmd tools/mtmd/libmtmd.a)
target_include_directories(llama_mtmd SYSTEM INTERFACE ${HYPURA_LLAMA_DIR}/tools/mtmd)
target_link_libraries(llama_mtmd INTERFACE llama)
hypura_llama_library(llama_vendor_hash vendor/hash/libvendor-hash.a)
target_include_directories(llama_vendor_hash SYSTEM INTERFACE ${HYPURA_LLAMA_DIR}/vendor)
hypura_llama_library(llama_server tools/server/libserver-context.a)
target_include_directories(llama_server SYSTEM INTERFACE
  ${HYPURA_LLAMA_DIR}/tools/server)
target_link_libraries(llama_server INTERFACE llama_common llama_mtmd llama_vendor_hash)
