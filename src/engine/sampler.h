#pragma once

#include <cstdint>

#include "base/status.h"
#include "common.h"
#include "llama.h"
#include "sampling.h"

namespace hypura {

// llama.cpp's sampler chain for these parameters. Errors: invalid_argument for a bad grammar.
Result<common_sampler_ptr> make_sampler(llama_model* model, common_params_sampling params);

// The most that sampling one token allocates for a while, in bytes.
uint64_t sampling_bytes(const llama_vocab* vocab, const common_params_sampling& params);

}  // namespace hypura
