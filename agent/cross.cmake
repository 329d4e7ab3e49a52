# The agent for the architecture that this machine is not of, so that servers of both kinds can be pulled from:
# the same sources once more, with a cross compiler, as bin/litepull-agent-ARCH beside the others.

if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  set(LITEPULL_OTHER_MACHINE aarch64)
  set(remedy "run deploy/install-packages.sh cross")
else()
  set(LITEPULL_OTHER_MACHINE x86_64)
  set(remedy "install g++-x86-64-linux-gnu, libzstd-dev:amd64 and libxxhash-dev:amd64")
endif()

find_program(LITEPULL_CROSS_CXX ${LITEPULL_OTHER_MACHINE}-linux-gnu-g++)
foreach(library zstd xxhash)
  find_file(LITEPULL_CROSS_${library} lib${library}.a PATHS /usr/lib/${LITEPULL_OTHER_MACHINE}-linux-gnu NO_DEFAULT_PATH)
endforeach()
if(NOT LITEPULL_CROSS_CXX OR NOT LITEPULL_CROSS_zstd OR NOT LITEPULL_CROSS_xxhash)
  if(LITEPULL_CROSS_AGENT STREQUAL "ON")
    message(FATAL_ERROR "There is no cross compiler, zstd and xxHash for ${LITEPULL_OTHER_MACHINE}; ${remedy}")
  endif()
  message(STATUS "No agent for ${LITEPULL_OTHER_MACHINE}; to build one: ${remedy}")
  unset(LITEPULL_OTHER_MACHINE)
  return()
endif()

include(ExternalProject)
ExternalProject_Add(litepull-agent-${LITEPULL_OTHER_MACHINE}
  SOURCE_DIR "${PROJECT_SOURCE_DIR}"
  BINARY_DIR "${PROJECT_BINARY_DIR}/agent-${LITEPULL_OTHER_MACHINE}"
  PREFIX "${PROJECT_BINARY_DIR}/agent-${LITEPULL_OTHER_MACHINE}/stamps"
  CMAKE_ARGS --toolchain "${PROJECT_SOURCE_DIR}/deploy/toolchains/${LITEPULL_OTHER_MACHINE}.cmake"
    -DCMAKE_BUILD_TYPE=${CMAKE_BUILD_TYPE} -DLITEPULL_WERROR=${LITEPULL_WERROR} -DLITEPULL_AGENT_ONLY=ON
  BUILD_COMMAND "${CMAKE_COMMAND}" --build <BINARY_DIR> --target litepull-agent
  BUILD_ALWAYS ON
  INSTALL_COMMAND "${CMAKE_COMMAND}" -E copy_if_different <BINARY_DIR>/bin/litepull-agent
    "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/litepull-agent-${LITEPULL_OTHER_MACHINE}")
