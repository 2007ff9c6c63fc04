#include "engine/statistics_path.h"

#include <fmt/format.h>

#include "base/hash.h"

namespace hypura {

std::string statistics_path(const std::string& folder, const ModelIndex& index,
                            std::string_view ending) {
  Fnv1a hash;
  for (const TensorInfo& tensor : index.tensors()) {
    hash.add_bytes(tensor.name);
    hash.add(tensor.offset);
    hash.add(tensor.bytes);
  }
  return fmt::format("{}/{:016x}.{}", folder, hash.value(), ending);
}

}  // namespace hypura
