#pragma once

namespace hypura {

// Bytes of weights of a ggml type that the CPU's kernels multiply with one token in a second, on
// `threads` threads. Takes 20 ms and 16 MiB of memory meanwhile; 0 where it cannot be measured.
double compute_speed(int ggml_type, int threads);

}  // namespace hypura
