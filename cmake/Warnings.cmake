# Warnings and sanitizers for our own code; llama.cpp's is built apart, with its own flags.
add_library(hypura_flags INTERFACE)
target_compile_options(hypura_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -g1 -Wold-style-cast -Wcast-qual -Wimplicit-fallthrough -Werror
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety -Wno-missing-field-initializers>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-missing-field-initializers>)

if(HYPURA_SANITIZE)
  add_compile_options(-fsanitize=${HYPURA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${HYPURA_SANITIZE})
endif()
