#include "engine/statistics_path.h"

#include <fmt/format.h>

#include "plan/plan_file.h"

namespace hypura {

std::string statistics_path(const std::string& folder, const ModelIndex& index,
                            std::string_view ending) {
  return fmt::format("{}/{}.{}", folder, metadata_hash(index), ending);
}

}  // namespace hypura
