#include "cli/bench/sample.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace hypura::cli {
namespace {

using Json = nlohmann::json;

uint64_t bytes_or_none(const Json& value) { return value.is_null() ? 0 : value.get<uint64_t>(); }

BenchSample from_run(const Json& run) {
  const Json& budgets = run.at("budgets");
  const Json& decode = run.at("decode");
  const double steps = decode.at("steps");
  const auto per_token = [&](const char* key) {
    return steps > 0 ? decode.at(key).get<double>() / steps : 0;
  };
  BenchSample sample;
  sample.decode_tps = run.at("decode_tps");
  sample.prefill_tps = run.at("prefill_tps");
  sample.ttft_seconds = run.at("ttft_seconds");
  sample.load_seconds = run.at("load_seconds");
  sample.tokens = run.at("tokens_generated");
  sample.text = run.at("text");
  sample.token_ids = run.at("token_ids").get<std::vector<int>>();
  sample.repacked = run.at("numerics").at("repack");
  sample.mode = run.at("mode");
  sample.budget_bytes = bytes_or_none(budgets.at("ram_bytes"));
  sample.fixed_bytes = budgets.at("fixed_bytes");
  sample.token_bytes = per_token("bytes_read");
  sample.token_stall_seconds = per_token("stall_seconds");
  const Json& hits = decode.at("expert_hit_rate");
  if (!hits.is_null()) sample.expert_hit_rate = hits.get<double>();
  return sample;
}

// The number that starts behind `mark` and blanks; nullopt without any.
std::optional<double> number_after(std::string_view line, std::string_view mark) {
  const size_t at = line.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  size_t begin = at + mark.size();
  while (begin < line.size() && line[begin] == ' ') ++begin;
  double value = 0;
  const auto [end, error] = std::from_chars(line.data() + begin, line.data() + line.size(), value);
  return error == std::errc{} ? std::optional(value) : std::nullopt;
}

struct EvalTime {
  double count = 0;
  double tps = 0;
};

// "eval time =  42233.73 ms /  23 runs ( 1836.25 ms per token,  0.54 tokens per second)"
std::optional<EvalTime> eval_time(std::string_view line) {
  const std::optional<double> count = number_after(line, " ms /");
  const std::optional<double> tps = number_after(line, "ms per token,");
  if (!count || !tps) return std::nullopt;
  return EvalTime{.count = *count, .tps = *tps};
}

}  // namespace

bool read_run_json(std::string_view out, BenchSample& sample) {
  try {
    sample = from_run(Json::parse(out));
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

bool read_stock_output(std::string_view out, std::string_view err, BenchSample& sample) {
  BenchSample read;
  bool decoded = false;
  while (!err.empty()) {
    const size_t end = std::min(err.find('\n'), err.size());
    const std::string_view line = err.substr(0, end);
    err.remove_prefix(std::min(end + 1, err.size()));
    const std::optional<EvalTime> time =
        line.find("eval time") == std::string_view::npos ? std::nullopt : eval_time(line);
    if (!time) continue;
    if (line.find("prompt eval time") != std::string_view::npos) {
      read.prefill_tps = time->tps;
    } else {
      read.decode_tps = time->tps;
      read.tokens = static_cast<uint64_t>(time->count) + 1;
      decoded = true;
    }
  }
  if (!decoded) return false;
  read.text = out;
  sample = std::move(read);
  return true;
}

}  // namespace hypura::cli
