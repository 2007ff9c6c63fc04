#pragma once

#include <gguf.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace hypura {

struct GgufDeleter {
  void operator()(gguf_context* context) const { gguf_free(context); }
};
using GgufContext = std::unique_ptr<gguf_context, GgufDeleter>;

// Writes one GGUF file: the header at once, then the tensors' bytes as they come, in the header's
// order. The file has its name only once finish() returned ok; until then it is PATH.part, which
// the destructor removes.
class GgufStream {
 public:
  static Result<std::unique_ptr<GgufStream>> create(std::string path, const gguf_context& header);
  ~GgufStream();
  GgufStream(const GgufStream&) = delete;
  GgufStream& operator=(const GgufStream&) = delete;

  Status append(std::span<const std::byte> bytes);
  // As append() of so many zeros, which take no room on the drive.
  Status skip(uint64_t bytes);
  // Pads to the alignment. Call after each tensor.
  Status end_tensor();
  // Flushes to the drive, so that a benchmark does not find our dirty pages.
  Status finish();

 private:
  GgufStream(std::string path, uint64_t alignment);
  Status open(const gguf_context& header);
  Status flush();
  Status error(const char* action) const;

  const std::string path_;
  const std::string part_;
  const uint64_t alignment_;
  int fd_ = -1;
  uint64_t written_ = 0;  // in tensors, with their padding
  std::vector<std::byte> buffer_;
};

}  // namespace hypura
