# hypura_layer(NAME LINKS target...): the library of src/NAME and the tests that lie beside its code.
# What a layer may include is held in tools/check_includes.py.
function(hypura_layer name)
  cmake_parse_arguments(arg "" "" "LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cpp)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")

  add_library(hypura_${name} STATIC ${sources})
  target_include_directories(hypura_${name} PUBLIC ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../src)
  target_link_libraries(hypura_${name} PUBLIC ${arg_LINKS} PRIVATE hypura_flags)
  set_target_properties(hypura_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)

  if(HYPURA_TESTS AND tests)
    add_executable(hypura_${name}_test ${tests})
    target_link_libraries(hypura_${name}_test PRIVATE hypura_${name} GTest::gtest_main hypura_flags)
    gtest_discover_tests(hypura_${name}_test TEST_PREFIX ${name}. DISCOVERY_MODE PRE_TEST)
  endif()
endfunction()
