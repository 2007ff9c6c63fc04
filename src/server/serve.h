#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "server/broker.h"
#include "server/catalog.h"
#include "server/http/rules.h"
#include "store/model_store.h"
#include "store/pull.h"

namespace hypura {

struct ServeOptions {
  BrokerOptions broker;  // without its folder for sockets
  HttpRules rules;
  int port = 8080;
  uint64_t body_max = uint64_t{64} << 20;  // beyond: 413
  std::string default_model;               // loaded at once; empty: none
  std::string version;
  const ModelStore* store = nullptr;       // that clients may pull into; outlives the server
  PullOptions pull;
  double drain_seconds = 30;  // for requests under way, once it is told to stop
  bool log_json = false;
  std::function<void(const std::string& line)> log;  // a line for each request
  // The server listens at this address, and its model has been loaded; how it stands, as
  // /hypura/status has it.
  std::function<void(const std::string& url, const std::string& status_json)> on_ready;
  const std::atomic<bool>* stop = nullptr;
};

// Answers requests until it is told to stop; then finishes those under way. Errors: failed, if the
// address is not to be had; those of loading the default model.
Status serve(ServeOptions options, const Catalog& catalog);

}  // namespace hypura
