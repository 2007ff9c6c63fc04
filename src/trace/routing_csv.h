#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "trace/routing_recorder.h"

namespace hypura {

// A routing trace is a CSV file: comment lines that begin with '#', a line of column names, and a
// line for each expert that a token was routed to. Columns are
//   turn,phase,step,layer,slot,expert,weight,residency,expert_bytes
// phase 0 is the prompt, 1 is decoding; step counts the tokens of a turn; slot is the rank of the
// choice. Others may be empty: ours leaves the last three so.

// What a trace says of its model; a comment line.
struct TraceHeader {
  std::string model;
  std::string architecture;
  uint32_t layers = 0;
  uint32_t experts = 0;
  uint32_t experts_used = 0;
};

enum class TracePhase : uint8_t { prompt = 0, decode = 1 };

// Writes a trace as it is recorded, batch by batch: what a crash leaves ends with a whole batch, or
// within a line that readers drop. Takes one buffer of memory.
class RoutingCsvWriter final : public RoutingRecorder {
 public:
  // Replaces what `path` holds. Errors: failed, with the path.
  static Result<std::unique_ptr<RoutingCsvWriter>> create(const std::string& path);

  Status write_header(const TraceHeader& header);
  // The next token is the first of a turn whose first `prompt_tokens` are its prompt.
  void begin_turn(uint64_t prompt_tokens);
  Status on_routing(const LayerRouting& routing) override;
  // Nothing is recorded any more. An error means that the file is not whole.
  Status finish();

 private:
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  RoutingCsvWriter(std::string path, std::FILE* file) : path_(std::move(path)), file_(file) {}
  Status write(std::string_view text);
  Status flush();
  Status failure() const;

  std::string path_;
  std::unique_ptr<std::FILE, CloseFile> file_;
  int64_t turn_ = -1;
  uint64_t prompt_tokens_ = 0;
  uint64_t first_step_ = 0;    // of the batch
  uint64_t batch_tokens_ = 0;  // 0: no layer was recorded yet
  uint32_t last_layer_ = 0;
};

// The experts of one token in one layer.
struct TokenRouting {
  uint32_t turn = 0;
  TracePhase phase = TracePhase::decode;
  uint32_t step = 0;
  uint32_t layer = 0;
  std::vector<uint32_t> experts;  // by rank
};

struct RoutingTrace {
  uint32_t layers = 0;   // one more than the largest
  uint32_t experts = 0;  // a layer's, as the header says, or one more than the largest
  // In the file's order, which is that of computing: a prompt goes layer by layer, decoding token
  // by token.
  std::vector<TokenRouting> tokens;
};

// Reads the text of a trace, ours or another program's. A last line that does not end is dropped.
// Errors: failed, with the line.
Result<RoutingTrace> parse_routing_csv(std::string_view text);
Result<RoutingTrace> read_routing_csv(const std::string& path);

}  // namespace hypura
