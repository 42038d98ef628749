# One folder under src/ (or apps/) is one library. A module is name.h, name.cc, name_test.cc, name_fuzz.cc, name_bench.cc:
# the suffix says what a file is, so no list of files is kept anywhere.
#
# rejoin_module(NAME [DIR dir] [LAYER label] [TIMEOUT seconds] [LIBRARIES public...] [PRIVATE_LIBRARIES private...])
#   rejoin_NAME        library of the plain sources
#   NAME_test          GoogleTest program of the *_test.cc beside them, ctest names unit/NAME/Suite.Case, label unit
#   NAME_bench         Google Benchmark program of the *_bench.cc
function(rejoin_module name)
  cmake_parse_arguments(ARG "" "DIR;LAYER;TIMEOUT" "LIBRARIES;PRIVATE_LIBRARIES" ${ARGN})
  if(NOT ARG_DIR)
    set(ARG_DIR ${CMAKE_SOURCE_DIR}/src/${name})
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_LAYER)
    set(ARG_LAYER unit)
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${ARG_DIR}/*.cc)
  set(tests ${sources})
  set(benches ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")
  list(FILTER sources EXCLUDE REGEX "(_test|_fuzz|_bench)\\.cc$")

  if(sources)
    add_library(rejoin_${name} STATIC ${sources})
    set(scope PUBLIC)
    target_link_libraries(rejoin_${name} PRIVATE ${ARG_PRIVATE_LIBRARIES})
  else()
    add_library(rejoin_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(rejoin_${name} ${scope} ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
  target_link_libraries(rejoin_${name} ${scope} ${ARG_LIBRARIES})

  if(REJOIN_TESTS AND tests)
    add_executable(${name}_test ${tests})
    if(REJOIN_SANITIZE)  # a test runs once: optimising what has checks in each line takes longer than it saves
      set_source_files_properties(${tests} PROPERTIES COMPILE_OPTIONS -O0)
    endif()
    target_link_libraries(${name}_test PRIVATE rejoin_${name} ${ARG_PRIVATE_LIBRARIES} GTest::gtest_main)
    gtest_discover_tests(${name}_test TEST_PREFIX "${ARG_LAYER}/${name}/" DISCOVERY_TIMEOUT 60
                         PROPERTIES LABELS ${ARG_LAYER} TIMEOUT ${ARG_TIMEOUT})
  endif()
  if(REJOIN_BENCH AND benches)
    add_executable(${name}_bench ${benches})
    target_link_libraries(${name}_bench PRIVATE rejoin_${name} ${ARG_PRIVATE_LIBRARIES} benchmark::benchmark_main)
  endif()
endfunction()
