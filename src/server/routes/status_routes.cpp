#include <chrono>

#include "base/clock.h"
#include "cpp-httplib/httplib.h"
#include "server/exchange.h"
#include "server/proxy.h"
#include "server/routes/service.h"

namespace hypura {
namespace {

// A model that computes answers between two graphs at the latest; one that hangs is left out.
constexpr double kStateSeconds = 2;

std::string state_of(const std::string& socket_path) {
  const double end = now_seconds() + kStateSeconds;
  const WholeAnswer answer =
      ask(socket_path, {.method = "GET", .path = "/hypura/state", .body = ""},
          [end] { return now_seconds() > end; });
  return answer.status == 200 ? answer.body : std::string();
}

// Ready: every model that was asked for is loaded, and requests are taken.
void tell_health(Service& service, httplib::Response& response) {
  if (service.broker.is_draining()) {
    return answer_error(response, Protocol::openai, 503, "the server is about to end");
  }
  for (const Broker::Facts& facts : service.broker.facts()) {
    if (facts.name != service.default_model) continue;
    if (facts.life == Broker::Life::loading) {
      return answer_error(response, Protocol::openai, 503, "Loading model");
    }
    if (facts.life == Broker::Life::failed) {
      return answer_error(response, Protocol::openai, 503, facts.error);
    }
  }
  response.set_content(R"({"status":"ok"})", "application/json");
}

}  // namespace

StatusReport report_of(Service& service) {
  StatusReport report{.version = service.version,
                      .uptime_seconds = now_seconds() - service.started_seconds,
                      .budget_bytes = service.broker.budget_bytes(),
                      .leased_bytes = service.broker.leased_bytes(),
                      .draining = service.broker.is_draining()};
  for (Broker::Facts& facts : service.broker.facts()) {
    std::string state = facts.socket_path.empty() ? std::string() : state_of(facts.socket_path);
    report.models.push_back({.facts = std::move(facts), .state = std::move(state)});
  }
  const std::lock_guard lock(service.mutex);
  report.answers = service.answers;
  return report;
}

void add_status_routes(httplib::Server& server, Service& service) {
  for (const char* path : {"/health", "/v1/health"}) {
    server.Get(path, [&service](const httplib::Request&, httplib::Response& response) {
      tell_health(service, response);
    });
  }
  server.Get("/hypura/status", [&service](const httplib::Request&, httplib::Response& response) {
    response.set_content(status_json(report_of(service)), "application/json");
  });
  server.Get("/metrics", [&service](const httplib::Request&, httplib::Response& response) {
    response.set_content(prometheus_text(report_of(service)),
                         "text/plain; version=0.0.4; charset=utf-8");
  });
}

}  // namespace hypura
