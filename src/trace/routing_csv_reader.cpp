#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>

#include "trace/routing_csv.h"

namespace hypura {
namespace {

// No model comes near; a larger number is damage, and would size tables.
constexpr uint32_t kLayersMax = 4096;
constexpr uint32_t kExpertsMax = 65536;
constexpr uint32_t kChoicesMax = 1024;
constexpr std::string_view kExpertCount = "n_expert=";

enum Column : size_t { kTurn, kPhase, kStep, kLayer, kSlot, kExpert, kColumns };
constexpr std::array<std::string_view, kColumns> kNames = {"turn",  "phase", "step",
                                                           "layer", "slot",  "expert"};

// The text up to `end`, which is dropped with it; all if there is none.
std::string_view take(std::string_view& text, char end) {
  const size_t at = text.find(end);
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return taken;
}

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

class Parser {
 public:
  Result<RoutingTrace> parse(std::string_view text) {
    // What follows the last line break was cut off while it was written.
    text = text.substr(0, text.rfind('\n') + 1);
    for (line_ = 1; !text.empty(); ++line_) {
      std::string_view line = take(text, '\n');
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.empty()) continue;
      const Status status = line.starts_with('#') ? read_comment(line)
                            : positions_.empty()  ? read_names(line)
                                                  : read_record(line);
      if (!status.ok()) return status;
    }
    if (trace_.tokens.empty()) return Status(StatusCode::failed, "a routing trace without records");
    return std::move(trace_);
  }

 private:
  Status refuse(const char* why) const {
    return Status(StatusCode::failed, fmt::format("line {} of the routing trace: {}", line_, why));
  }

  Status read_comment(std::string_view line) {
    const size_t at = line.find(kExpertCount);
    if (at == std::string_view::npos) return Status();
    line.remove_prefix(at + kExpertCount.size());
    const std::optional<uint32_t> experts = number(take(line, ' '));
    if (!experts || *experts > kExpertsMax) return refuse("no number of experts");
    trace_.experts = std::max(trace_.experts, *experts);
    return Status();
  }

  Status read_names(std::string_view line) {
    std::array<size_t, kColumns> positions;
    positions.fill(SIZE_MAX);
    for (size_t position = 0; !line.empty(); ++position) {
      const auto name = std::find(kNames.begin(), kNames.end(), take(line, ','));
      if (name != kNames.end()) positions[static_cast<size_t>(name - kNames.begin())] = position;
    }
    if (std::find(positions.begin(), positions.end(), SIZE_MAX) != positions.end()) {
      return refuse("the columns turn,phase,step,layer,slot,expert are not all named");
    }
    positions_.assign(positions.begin(), positions.end());
    return Status();
  }

  Status read_record(std::string_view line) {
    std::array<std::optional<uint32_t>, kColumns> fields;
    for (size_t position = 0; !line.empty(); ++position) {
      const std::string_view field = take(line, ',');
      for (size_t column = 0; column < kColumns; ++column) {
        if (positions_[column] == position) fields[column] = number(field);
      }
    }
    if (std::find(fields.begin(), fields.end(), std::nullopt) != fields.end()) {
      return refuse("a field is missing, or no number");
    }
    if (*fields[kPhase] > 1) return refuse("no such phase");
    if (*fields[kLayer] >= kLayersMax || *fields[kExpert] >= kExpertsMax) {
      return refuse("no such layer or expert");
    }
    trace_.layers = std::max(trace_.layers, *fields[kLayer] + 1);
    trace_.experts = std::max(trace_.experts, *fields[kExpert] + 1);

    std::vector<TokenRouting>& tokens = trace_.tokens;
    if (*fields[kSlot] == 0) {
      tokens.push_back({.turn = *fields[kTurn],
                        .phase = static_cast<TracePhase>(*fields[kPhase]),
                        .step = *fields[kStep],
                        .layer = *fields[kLayer],
                        .experts = {}});
    }
    if (tokens.empty() || tokens.back().layer != *fields[kLayer] ||
        tokens.back().step != *fields[kStep] || tokens.back().experts.size() != *fields[kSlot]) {
      return refuse("slots of a token and layer are not in order");
    }
    std::vector<uint32_t>& experts = tokens.back().experts;
    if (std::find(experts.begin(), experts.end(), *fields[kExpert]) != experts.end()) {
      return refuse("an expert is chosen twice");
    }
    if (experts.size() == kChoicesMax) return refuse("too many experts for a token");
    experts.push_back(*fields[kExpert]);
    return Status();
  }

  RoutingTrace trace_;
  std::vector<size_t> positions_;  // by column; empty before the line of names
  size_t line_ = 0;
};

}  // namespace

Result<RoutingTrace> parse_routing_csv(std::string_view text) { return Parser().parse(text); }

Result<RoutingTrace> read_routing_csv(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return Status(StatusCode::failed, fmt::format("cannot read the routing trace {}", path))
        .because(std::strerror(errno));
  }
  return parse_routing_csv(text.view());
}

}  // namespace hypura
