#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "nlohmann/json_fwd.hpp"
#include "server/broker.h"
#include "server/catalog.h"
#include "server/http/error_body.h"
#include "server/http/rules.h"
#include "server/model_facts.h"
#include "server/routes/status_report.h"
#include "store/model_store.h"
#include "store/pull.h"

namespace httplib {
class Server;
struct Request;
struct Response;
}  // namespace httplib

namespace hypura {

// What routes of every protocol share.
struct Service {
  Broker& broker;
  const Catalog& catalog;
  const ModelStore* store = nullptr;  // that clients may change; null: none
  PullOptions pull;                   // how to fetch models into it
  HttpRules rules;
  std::string version;
  std::string default_model;  // of requests that name none; empty: they must
  double started_seconds = 0;
  FactsCache facts = {};
  std::mutex mutex = {};
  std::map<int, uint64_t> answers = {};  // by HTTP status code; behind `mutex`
};

// The object that a body holds. Without one the answer is a 400 that says where it went wrong.
std::optional<nlohmann::ordered_json> json_body(const httplib::Request& request,
                                                httplib::Response& response, Protocol protocol);
// The model that a body names, or the default. Without one the answer is a 400.
std::optional<std::string> model_in(const nlohmann::ordered_json& body, const Service& service,
                                    httplib::Response& response, Protocol protocol);

// OpenAI's and Anthropic's protocols and llama.cpp's own, as its server in a model's process has
// them.
void add_model_routes(httplib::Server& server, Service& service);
// The dashboard, at /.
void add_dashboard_routes(httplib::Server& server);
// /health, /metrics and /hypura/status.
void add_status_routes(httplib::Server& server, Service& service);
// Who may ask and with how much, errors of no route in particular, and the count of answers.
void add_common_rules(httplib::Server& server, Service& service, uint64_t body_max,
                      std::function<void(const std::string& line)> log, bool log_json);

StatusReport report_of(Service& service);

}  // namespace hypura
