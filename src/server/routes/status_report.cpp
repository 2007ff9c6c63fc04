#include "server/routes/status_report.h"

#include <fmt/format.h>

#include <iterator>
#include <optional>
#include <string_view>

#include "nlohmann/json.hpp"
#include "server/json_text.h"

namespace hypura {
namespace {

using Json = nlohmann::ordered_json;

const char* life_name(Broker::Life life) {
  switch (life) {
    case Broker::Life::loading: return "loading";
    case Broker::Life::ready: return "ready";
    case Broker::Life::failed: return "failed";
  }
  return "failed";
}

Json state_of(const StatusReport::Model& model) {
  const Json state = Json::parse(model.state, nullptr, false);
  return state.is_object() ? state : Json(nullptr);
}

// A metric of models: where its value lies in a model's state.
struct Metric {
  const char* name;
  const char* type;
  const char* help;
  const char* pointer;
};
constexpr Metric kMetrics[] = {
    {"hypura_budget_bytes", "gauge", "RAM budget of the model.", "/budget_bytes"},
    {"hypura_weight_bytes", "gauge", "Weights of the model's file.", "/weight_bytes"},
    {"hypura_rss_bytes", "gauge", "Resident memory of the model's process.", "/rss_bytes"},
    {"hypura_kv_bytes", "gauge", "KV cache.", "/kv_bytes"},
    {"hypura_bytes_read_total", "counter", "Bytes that the drive delivered.", "/reads/bytes"},
    {"hypura_reads_outstanding", "gauge", "Reads queued or in flight.", "/reads/in_flight"},
    {"hypura_stall_seconds_total", "counter", "Time that computing waited for the drive.",
     "/reads/stall_seconds"},
    {"hypura_drive_bytes_per_second", "gauge", "What the drive gave when it was profiled.",
     "/reads/roofline_bytes_per_second"},
    {"hypura_expert_uses_total", "counter", "Uses of expert slices.", "/experts/uses"},
    {"hypura_expert_hits_total", "counter", "Of these, found in RAM.", "/experts/hits"},
    {"hypura_gpu_copied_bytes_total", "counter", "Weights that were copied to the GPU.",
     "/gpu_copied_bytes"},
    {"hypura_prompt_tokens_total", "counter", "Prompt tokens computed.", "/tokens/prompt"},
    {"hypura_prompt_seconds_total", "counter", "Time in prompts.", "/tokens/prompt_seconds"},
    {"hypura_generated_tokens_total", "counter", "Tokens generated.", "/tokens/generated"},
    {"hypura_generated_seconds_total", "counter", "Time in generating.",
     "/tokens/generated_seconds"},
    {"hypura_predicted_tokens_per_second", "gauge", "Decoding speed that was predicted.",
     "/predicted_decode_tps"},
    {"hypura_busy_slots", "gauge", "Requests that compute.", "/slots/busy"},
    {"hypura_cache_bytes", "gauge", "Caches that follow free memory.", "/elastic/cache_bytes_now"},
};
// By tier: where weights have their home, and slots.
constexpr Metric kTiers[] = {
    {"gpu", "", "", "/gpu_bytes"},
    {"ram", "", "", "/pinned_bytes"},
    {"ram_slots", "", "", "/cached_bytes"},
    {"drive", "", "", "/streamed_bytes"},
};

std::string label(std::string_view text) {
  std::string quoted;
  for (const char c : text) {
    if (c == '\\' || c == '"') quoted += '\\';
    quoted += c == '\n' ? ' ' : c;
  }
  return quoted;
}

std::optional<std::string> number_at(const Json& state, const char* pointer) {
  const Json::json_pointer place(pointer);
  if (!state.contains(place)) return std::nullopt;
  const Json& value = state.at(place);
  return value.is_number() ? std::optional(value.dump()) : std::nullopt;
}

void head(std::string& text, std::string_view name, std::string_view type, std::string_view help) {
  fmt::format_to(std::back_inserter(text), "# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
}

}  // namespace

std::string status_json(const StatusReport& report) {
  Json models = Json::array();
  for (const StatusReport::Model& model : report.models) {
    const Broker::Facts& facts = model.facts;
    models.push_back({
        {"name", facts.name},
        {"status", life_name(facts.life)},
        {"error", facts.error.empty() ? Json(nullptr) : Json(facts.error)},
        {"loaded_seconds", facts.loaded_seconds},
        {"expires_seconds", facts.expires_seconds ? Json(*facts.expires_seconds) : Json(nullptr)},
        {"queued", facts.queued},
        {"active", facts.active},
        {"requests", facts.requests},
        {"state", state_of(model)},
    });
  }
  return json_text({{"schema", 1},
                    {"version", report.version},
                    {"uptime_seconds", report.uptime_seconds},
                    {"budget_bytes", report.budget_bytes},
                    {"leased_bytes", report.leased_bytes},
                    {"draining", report.draining},
                    {"models", models}});
}

std::string prometheus_text(const StatusReport& report) {
  std::string text;
  head(text, "hypura_uptime_seconds", "gauge", "Since the server began.");
  fmt::format_to(std::back_inserter(text), "hypura_uptime_seconds {}\n", report.uptime_seconds);
  head(text, "hypura_answers_total", "counter", "Answers by HTTP status code.");
  for (const auto& [code, count] : report.answers) {
    fmt::format_to(std::back_inserter(text), "hypura_answers_total{{code=\"{}\"}} {}\n", code,
                   count);
  }
  head(text, "hypura_queued_requests", "gauge", "Requests that wait for a place.");
  for (const StatusReport::Model& model : report.models) {
    fmt::format_to(std::back_inserter(text), "hypura_queued_requests{{model=\"{}\"}} {}\n",
                   label(model.facts.name), model.facts.queued);
  }
  head(text, "hypura_requests_total", "counter", "Requests that got a place.");
  for (const StatusReport::Model& model : report.models) {
    fmt::format_to(std::back_inserter(text), "hypura_requests_total{{model=\"{}\"}} {}\n",
                   label(model.facts.name), model.facts.requests);
  }
  std::vector<Json> states;
  for (const StatusReport::Model& model : report.models) states.push_back(state_of(model));
  head(text, "hypura_tier_bytes", "gauge", "Weights by their home, and slots of caches.");
  for (const Metric& tier : kTiers) {
    for (size_t i = 0; i < states.size(); ++i) {
      const auto value = number_at(states[i], tier.pointer);
      if (!value) continue;
      fmt::format_to(std::back_inserter(text),
                     "hypura_tier_bytes{{model=\"{}\",tier=\"{}\"}} {}\n",
                     label(report.models[i].facts.name), tier.name, *value);
    }
  }
  for (const Metric& metric : kMetrics) {
    head(text, metric.name, metric.type, metric.help);
    for (size_t i = 0; i < states.size(); ++i) {
      const auto value = number_at(states[i], metric.pointer);
      if (!value) continue;
      fmt::format_to(std::back_inserter(text), "{}{{model=\"{}\"}} {}\n", metric.name,
                     label(report.models[i].facts.name), *value);
    }
  }
  return text;
}

}  // namespace hypura
