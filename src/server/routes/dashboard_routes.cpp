#include "cpp-httplib/httplib.h"
#include "server/dashboard.h"
#include "server/routes/service.h"

namespace hypura {

void add_dashboard_routes(httplib::Server& server) {
  for (const Asset& asset : dashboard_assets()) {
    server.Get(std::string(asset.path),
               [&asset](const httplib::Request& request, httplib::Response& response) {
                 response.set_header("ETag", std::string(asset.etag));
                 response.set_header("Cache-Control", "no-cache");
                 response.set_header("Content-Security-Policy", std::string(kDashboardPolicy));
                 response.set_header("X-Content-Type-Options", "nosniff");
                 if (is_unchanged(asset, request.get_header_value("If-None-Match"))) {
                   response.status = 304;
                   return;
                 }
                 response.set_content(asset.bytes.data(), asset.bytes.size(),
                                      std::string(asset.content_type));
               });
  }
}

}  // namespace hypura
