// Any bytes as a saved header: the reader must answer; what it accepts names files inside one
// folder, no larger than they say, and comes back byte by byte.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "model/header_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hypura;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Result<ModelHeader> header = parse_header(bytes, "fuzz");
  if (!header.ok()) return 0;
  HYPURA_CHECK(!header->shards.empty());
  for (const ModelHeader::ShardHeader& shard : header->shards) {
    HYPURA_CHECK(!shard.name.empty());
    HYPURA_CHECK(shard.name.find('/') == std::string::npos);
    HYPURA_CHECK(shard.bytes.size() <= shard.file_bytes);
  }
  HYPURA_CHECK(to_bytes(*header) == bytes);
  return 0;
}
