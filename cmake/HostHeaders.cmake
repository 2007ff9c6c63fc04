# For another system than this machine's: fmt, CLI11, curl, libedit and nlohmann/json as headers alone,
# which are the same for all. They are linked into a folder of their own, away from this machine's libc.
set(host_headers ${CMAKE_BINARY_DIR}/host-headers)
file(MAKE_DIRECTORY ${host_headers})
foreach(header fmt/format.h CLI/CLI.hpp curl/curl.h nlohmann/json.hpp)
  get_filename_component(folder ${header} DIRECTORY)
  find_path(HYPURA_HOST_${folder} ${header} REQUIRED NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH
    PATHS /usr/include /usr/include/${CMAKE_HOST_SYSTEM_PROCESSOR}-linux-gnu /usr/local/include)
  file(CREATE_LINK ${HYPURA_HOST_${folder}}/${folder} ${host_headers}/${folder} SYMBOLIC)
endforeach()
find_file(HYPURA_HOST_histedit histedit.h REQUIRED NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH
  PATHS /usr/include)
file(CREATE_LINK ${HYPURA_HOST_histedit} ${host_headers}/histedit.h SYMBOLIC)

add_library(fmt::fmt INTERFACE IMPORTED)
target_compile_definitions(fmt::fmt INTERFACE FMT_HEADER_ONLY)
target_include_directories(fmt::fmt SYSTEM INTERFACE ${host_headers})
add_library(CLI11::CLI11 INTERFACE IMPORTED)
target_include_directories(CLI11::CLI11 SYSTEM INTERFACE ${host_headers})
set(CURL_INCLUDE_DIRS ${host_headers})
