#pragma once

namespace hypura::cli {

// llama.cpp and ggml end the process where they meet what they did not foresee in a model, or where
// a GPU fails. Nothing can be resumed then, but from here on the user still gets one message and an
// exit code: 4 of a model, 1 of a GPU.
void explain_aborts();

}  // namespace hypura::cli
