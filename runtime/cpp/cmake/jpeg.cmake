# Builds libjpeg-turbo from OVENBIRD_JPEG_SOURCE as a static library; the target JPEG::JPEG, as find_package names it.
include(ExternalProject)
set(JPEG_FOLDER ${CMAKE_CURRENT_BINARY_DIR}/libjpeg-turbo)
# By what this project is built with: a compiler for another machine, another C library.
# -O2 instead of its -O3, and no tables for exceptions: 55 KB less, and the time goes into vector code, which is assembly.
set(JPEG_OPTIONS -DENABLE_SHARED=OFF -DWITH_TURBOJPEG=OFF -DWITH_ARITH_ENC=OFF -DCMAKE_BUILD_TYPE=Release
  "-DCMAKE_C_FLAGS_RELEASE=-O2 -DNDEBUG" -DCMAKE_POSITION_INDEPENDENT_CODE=ON
  "-DCMAKE_C_FLAGS=-ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -fno-unwind-tables")
foreach(name CMAKE_C_COMPILER CMAKE_AR CMAKE_RANLIB CMAKE_SYSTEM_NAME CMAKE_SYSTEM_PROCESSOR CMAKE_TOOLCHAIN_FILE CMAKE_MAKE_PROGRAM)
  if(${name} AND (CMAKE_CROSSCOMPILING OR NOT name MATCHES SYSTEM))
    list(APPEND JPEG_OPTIONS -D${name}=${${name}})
  endif()
endforeach()
ExternalProject_Add(libjpeg-turbo
  SOURCE_DIR ${OVENBIRD_JPEG_SOURCE}
  BINARY_DIR ${JPEG_FOLDER}
  CMAKE_ARGS ${JPEG_OPTIONS}
  BUILD_COMMAND ${CMAKE_COMMAND} --build <BINARY_DIR> --target jpeg-static
  INSTALL_COMMAND ""
  BUILD_BYPRODUCTS ${JPEG_FOLDER}/libjpeg.a)
file(MAKE_DIRECTORY ${JPEG_FOLDER}) # an include folder must exist before it is filled
add_library(JPEG::JPEG STATIC IMPORTED GLOBAL)
set_target_properties(JPEG::JPEG PROPERTIES IMPORTED_LOCATION ${JPEG_FOLDER}/libjpeg.a
  INTERFACE_INCLUDE_DIRECTORIES "${OVENBIRD_JPEG_SOURCE};${JPEG_FOLDER}")
add_dependencies(JPEG::JPEG libjpeg-turbo)
