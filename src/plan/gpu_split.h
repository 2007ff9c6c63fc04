#pragma once

#include "model/model_index.h"
#include "plan/gpu_share.h"

namespace hypura {

// As choose_gpu_share(); where there are several GPUs (`input.each`), so much less that each layer
// can be on one of them. The parts follow the file: the first GPU has the first
// layers that lie on any, the last one the output. Each has about the same share of what it could,
// as llama.cpp's default split gives layers by free memory; but layers without their FFN, which the
// first ones are, count by their bytes. Pure.
GpuShare choose_split_share(const ModelIndex& index, GpuShareInput input);

}  // namespace hypura
