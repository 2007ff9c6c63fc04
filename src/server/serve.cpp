#include "server/serve.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "cpp-httplib/httplib.h"
#include "server/http/door.h"
#include "server/ollama/routes.h"
#include "server/routes/service.h"

namespace hypura {
namespace {

constexpr std::chrono::milliseconds kLookEvery{50};
// Threads beside those of requests that wait or compute: for status, lists and pages.
constexpr size_t kOtherRequests = 128;

// For the sockets of models: only this user may enter. Short, as an address of a socket has to be.
class SocketFolder {
 public:
  SocketFolder() {
    std::error_code error;
    std::string path =
        (std::filesystem::temp_directory_path(error) / "hypura-XXXXXX").string();
    if (!error && ::mkdtemp(path.data()) != nullptr) path_ = path;
  }
  ~SocketFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string url_of(const HttpRules& rules, int port) {
  const bool numbers = rules.host.find(':') != std::string::npos;
  return fmt::format("http://{}:{}", numbers ? fmt::format("[{}]", rules.host) : rules.host, port);
}

// Loads the default model, behind nobody.
Status preload(Broker& broker, const std::string& model, const std::atomic<bool>* stop) {
  Refusal refusal;
  const auto stopped = [stop] { return stop != nullptr && stop->load(); };
  const auto place = broker.take_place(model, {}, stopped, refusal);
  if (place != nullptr) return Status();
  return stopped() ? Status(StatusCode::interrupted, "") : refusal.status;
}

void wait_until_stopped(const std::atomic<bool>* stop) {
  while (stop == nullptr || !stop->load()) std::this_thread::sleep_for(kLookEvery);
}

}  // namespace

Status serve(ServeOptions options, const Catalog& catalog) {
  const SocketFolder sockets;
  if (sockets.path().empty()) {
    return Status(StatusCode::failed, "cannot make a folder for sockets of models")
        .suggest("room in the folder for temporary files, or another TMPDIR");
  }
  options.broker.socket_folder = sockets.path();
  const size_t requests_max = options.broker.models_max * options.broker.parallel +
                              2 * options.broker.queue_max + kOtherRequests;
  Broker broker(std::move(options.broker), catalog);
  Service service{.broker = broker,
                  .catalog = catalog,
                  .store = options.store,
                  .pull = options.pull,
                  .rules = options.rules,
                  .version = options.version,
                  .default_model = options.default_model,
                  .started_seconds = now_seconds()};
  Door door({.host = options.rules.host, .port = options.port, .requests_max = requests_max});
  httplib::Server& routes = door.routes();
  add_common_rules(routes, service, options.body_max, options.log, options.log_json);
  add_dashboard_routes(routes);
  add_model_routes(routes, service);
  ollama::add_routes(routes, service);
  add_status_routes(routes, service);
  if (Status status = door.open(); !status.ok()) return status;
  if (!options.default_model.empty()) {
    if (Status status = preload(broker, options.default_model, options.stop); !status.ok()) {
      return status;
    }
  }
  if (options.on_ready) {
    options.on_ready(url_of(options.rules, door.port()), status_json(report_of(service)));
  }
  wait_until_stopped(options.stop);

  door.close();
  broker.drain();
  const double end = now_seconds() + options.drain_seconds;
  while (!broker.is_idle() && now_seconds() < end) std::this_thread::sleep_for(kLookEvery);
  return Status();
}

}  // namespace hypura
