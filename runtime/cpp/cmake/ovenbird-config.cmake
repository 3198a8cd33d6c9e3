# find_package(ovenbird): the target ovenbird::ovenbird.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/ovenbird-targets.cmake)
