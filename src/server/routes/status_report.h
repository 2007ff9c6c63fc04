#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "server/broker.h"

namespace hypura {

// How a server stands: what /hypura/status and /metrics are made of.
struct StatusReport {
  std::string version;
  double uptime_seconds = 0;
  uint64_t budget_bytes = 0;
  uint64_t leased_bytes = 0;
  bool draining = false;
  struct Model {
    Broker::Facts facts;
    std::string state;  // JSON of /hypura/state; empty: not known
  };
  std::vector<Model> models;
  std::map<int, uint64_t> answers;  // by HTTP status code
};

// The object of GET /hypura/status, "schema": 1.
std::string status_json(const StatusReport& report);
// The same for Prometheus (text format 0.0.4).
std::string prometheus_text(const StatusReport& report);

}  // namespace hypura
