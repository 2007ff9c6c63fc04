# hypura_layer(NAME LINKS target... [PRECOMPILE header... | PRECOMPILED_BY layer]): the library of
# src/NAME and the tests that lie beside its code. What a layer may include is held in
# tools/check_includes.py. Wide headers are precompiled for quick rebuilds: a layer's own list, or that
# of another layer, base's if none is named.
function(hypura_layer name)
  cmake_parse_arguments(arg "" "PRECOMPILED_BY" "LINKS;PRECOMPILE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cpp)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")

  add_library(hypura_${name} STATIC ${sources})
  target_include_directories(hypura_${name} PUBLIC ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../src)
  target_link_libraries(hypura_${name} PUBLIC ${arg_LINKS} PRIVATE hypura_flags)
  set_target_properties(hypura_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  if(arg_PRECOMPILE)
    target_precompile_headers(hypura_${name} PRIVATE ${arg_PRECOMPILE})
  elseif(arg_PRECOMPILED_BY)
    target_precompile_headers(hypura_${name} REUSE_FROM hypura_${arg_PRECOMPILED_BY})
  else()
    target_precompile_headers(hypura_${name} REUSE_FROM hypura_base)
  endif()

  if(HYPURA_TESTS AND tests)
    add_executable(hypura_${name}_test ${tests})
    target_link_libraries(hypura_${name}_test PRIVATE hypura_${name} GTest::gtest_main hypura_flags)
    target_compile_options(hypura_${name}_test PRIVATE -O0)  # compiles in half of the time
    gtest_discover_tests(hypura_${name}_test TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST)
  endif()
endfunction()
