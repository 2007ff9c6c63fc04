#include "server/dashboard.h"

#include <algorithm>

namespace hypura {

const Asset* find_dashboard_asset(std::string_view path) {
  const std::span<const Asset> assets = dashboard_assets();
  const auto found = std::ranges::find(assets, path, &Asset::path);
  return found == assets.end() ? nullptr : &*found;
}

// A list may name several, each perhaps weak (W/"..."). No tag is a part of another one: all are
// quoted.
bool is_unchanged(const Asset& asset, std::string_view if_none_match) {
  return if_none_match == "*" || if_none_match.find(asset.etag) != std::string_view::npos;
}

}  // namespace hypura
