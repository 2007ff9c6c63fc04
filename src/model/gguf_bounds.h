#pragma once

#include <cstdint>

#include "base/status.h"
#include "base/units.h"
#include "model/model_file.h"

namespace hypura {

// Far above real files: DeepSeek-V3 has 1025 tensors, and a vocabulary of 262144 tokens with its
// merges takes some 16 MB. ggml's parser compares each name with all before it, so the maxima also
// bound its time.
inline constexpr uint64_t kTensorsPerFileMax = 8192;
inline constexpr uint64_t kKeysPerFileMax = 8192;
inline constexpr uint64_t kMetadataBytesMax = 128 * kMiB;

// Walks a GGUF header with a fixed buffer and checks that everything it claims to hold lies inside
// the file and below the maxima. ggml's parser allocates by those claims (32 bytes a string before
// it has read one), so it must only see headers that passed: then it takes at most 8 times the
// header's bytes and 16 MiB. Names, types, shapes and offsets are left to the parser and its
// caller.
Status check_gguf_bounds(const ModelFile& file);

}  // namespace hypura
