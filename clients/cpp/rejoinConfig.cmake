# find_package(rejoin): the target rejoin::client, Rejoin's C++ client library.
include(CMakeFindDependencyMacro)
find_dependency(OpenSSL 3)
find_dependency(simdjson)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/rejoinTargets.cmake)
