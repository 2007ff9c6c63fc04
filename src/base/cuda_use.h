#pragma once

namespace hypura {

// Whether this process may load CUDA's backend. One that computes nothing, as a server's parent,
// leaves it alone: its libraries take 100 MB (docs/adr/0016-cuda-in-a-module.md).
bool may_use_cuda();

// From here on it may not. To be called before anything of llama.cpp's: that asks for all devices
// there are.
void use_no_cuda();

}  // namespace hypura
