# Toolchain: macOS on Apple silicon, compiled elsewhere by the zig that tools/fetch_zig.sh fetched and
# names in HYPURA_ZIG. It brings libc++ and libSystem, and no framework of Apple's.
set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_PROCESSOR arm64)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES HYPURA_ZIG)

set(CMAKE_C_COMPILER ${HYPURA_ZIG}/bin/cc)
set(CMAKE_CXX_COMPILER ${HYPURA_ZIG}/bin/c++)
set(CMAKE_AR ${HYPURA_ZIG}/bin/ar CACHE FILEPATH "")
set(CMAKE_RANLIB ${HYPURA_ZIG}/bin/ranlib CACHE FILEPATH "")
# CMake insists on it, and calls it for what gets installed alone.
set(CMAKE_INSTALL_NAME_TOOL /bin/false CACHE FILEPATH "")
# zig guards against undefined behaviour where no sanitizer was asked for; its run-time is not there.
set(CMAKE_C_FLAGS_INIT "-target aarch64-macos -fno-sanitize=undefined")
set(CMAKE_CXX_FLAGS_INIT "-target aarch64-macos -fno-sanitize=undefined")

# Nothing of the machine that compiles fits.
set(CMAKE_FIND_ROOT_PATH ${HYPURA_ZIG})
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
