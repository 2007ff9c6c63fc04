#pragma once

namespace hypura {

// Whether this process may ask for GPUs. One that computes nothing, as a server's parent, leaves
// their libraries alone, which take 100 MB (docs/adr/0016-cuda-in-a-module.md).
bool may_use_gpus();

// From here on it may not. To be called before anything of llama.cpp's: it asks for all devices
// there are.
void use_no_gpus();

}  // namespace hypura
