#pragma once

#include <span>
#include <string_view>

namespace hypura {

// A file of the dashboard, whose bytes are part of the program (cmake/Embed.cmake), and live on.
struct Asset {
  std::string_view path;  // of its URL: "/" is the page, the rest lies in "/dashboard/"
  std::string_view content_type;
  std::string_view bytes;
  std::string_view etag;  // quoted, of the bytes
};

std::span<const Asset> dashboard_assets();
// nullptr: there is none at that path.
const Asset* find_dashboard_asset(std::string_view path);

// Content-Security-Policy of every asset: the page asks its own server and nobody else, and no text
// of a model can become a script or style of it.
inline constexpr std::string_view kDashboardPolicy =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

// Whether a request's header If-None-Match, empty where there is none, says that the client has the
// asset already: 304 without a body answers it.
bool is_unchanged(const Asset& asset, std::string_view if_none_match);

}  // namespace hypura
