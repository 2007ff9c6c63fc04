#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "base/check.h"
#include "trace/routing_csv.h"

namespace hypura {

Result<std::unique_ptr<RoutingCsvWriter>> RoutingCsvWriter::create(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "we");
  if (file == nullptr) {
    return Status(StatusCode::failed, fmt::format("cannot write the trace {}", path))
        .because(std::strerror(errno));
  }
  return std::unique_ptr<RoutingCsvWriter>(new RoutingCsvWriter(path, file));
}

Status RoutingCsvWriter::write_header(const TraceHeader& header) {
  std::string model = header.model;
  std::replace_if(
      model.begin(), model.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  Status status = write(
      fmt::format("# route_trace v1\n"
                  "# model={} arch={} n_layer={} n_expert={} n_expert_used={}\n"
                  "turn,phase,step,layer,slot,expert,weight,residency,expert_bytes\n",
                  model, header.architecture, header.layers, header.experts, header.experts_used));
  // A full device is found before the model computes.
  return status.ok() ? flush() : status;
}

void RoutingCsvWriter::begin_turn(uint64_t prompt_tokens) {
  ++turn_;
  prompt_tokens_ = prompt_tokens;
  first_step_ = 0;
  batch_tokens_ = 0;
}

Status RoutingCsvWriter::on_routing(const LayerRouting& routing) {
  HYPURA_CHECK(turn_ >= 0);
  HYPURA_CHECK(routing.choices > 0);
  const uint64_t tokens = routing.experts.size() / routing.choices;
  if (batch_tokens_ > 0 && routing.layer <= last_layer_) {
    if (Status status = flush(); !status.ok()) return status;
    first_step_ += batch_tokens_;
    batch_tokens_ = 0;
  }
  batch_tokens_ = std::max(batch_tokens_, tokens);
  last_layer_ = routing.layer;

  fmt::memory_buffer line;
  for (uint64_t token = 0; token < tokens; ++token) {
    const uint64_t step = first_step_ + batch_tokens_ - tokens + token;
    const TracePhase phase = step < prompt_tokens_ ? TracePhase::prompt : TracePhase::decode;
    line.clear();
    for (uint32_t slot = 0; slot < routing.choices; ++slot) {
      fmt::format_to(std::back_inserter(line), "{},{},{},{},{},{},,,\n", turn_,
                     static_cast<int>(phase), step, routing.layer, slot,
                     routing.experts[token * routing.choices + slot]);
    }
    if (Status status = write({line.data(), line.size()}); !status.ok()) return status;
  }
  return Status();
}

Status RoutingCsvWriter::finish() {
  if (Status status = flush(); !status.ok()) return status;
  return std::fclose(file_.release()) == 0 ? Status() : failure();
}

Status RoutingCsvWriter::write(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size() ? Status()
                                                                              : failure();
}

Status RoutingCsvWriter::flush() { return std::fflush(file_.get()) == 0 ? Status() : failure(); }

Status RoutingCsvWriter::failure() const {
  return Status(StatusCode::failed, fmt::format("cannot write the trace {}", path_))
      .because(std::strerror(errno));
}

}  // namespace hypura
