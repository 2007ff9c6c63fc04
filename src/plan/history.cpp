#include "plan/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace hypura {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kSchema = 1;
constexpr const char* kKind = "hypura history";
constexpr size_t kIdDigits = 16;
constexpr size_t kDateLength = 20;
constexpr uint32_t kTokensMax = 1 << 24;  // no context is larger
// A token in eleven days, or a million a second: beyond, somebody jokes.
constexpr double kTpsMin = 1e-6;
constexpr double kTpsMax = 1e6;

Status refused(std::string why) {
  return Status(StatusCode::failed, "this is no history of runs").because(std::move(why));
}

Json speed_json(const PastSpeed& speed, Bottleneck bottleneck) {
  if (!speed.known()) return nullptr;
  return {{"predicted_tps", speed.predicted_tps},
          {"actual_tps", speed.actual_tps},
          {"bottleneck", to_string(bottleneck)}};
}

std::optional<Bottleneck> parse_bottleneck(std::string_view text) {
  for (const Bottleneck bottleneck : {Bottleneck::compute, Bottleneck::drive}) {
    if (text == to_string(bottleneck)) return bottleneck;
  }
  return std::nullopt;
}

bool only_of(std::string_view text, std::string_view characters) {
  return text.find_first_not_of(characters) == std::string_view::npos;
}

// Members of one object. Keeps the name of the first one that is missing or makes no sense.
class Members {
 public:
  Members(const Json& json, std::string& fault) : json_(json), fault_(fault) {}

  std::string text(const char* key, size_t length, std::string_view characters) {
    const Json* value = find(key);
    if (value != nullptr && value->is_string()) {
      const std::string& text = value->get_ref<const std::string&>();
      if (text.size() == length && only_of(text, characters)) return text;
    }
    return fail(key), std::string();
  }
  template <class Word, class Parse>
  Word word(const char* key, Parse parse) {
    const Json* value = find(key);
    if (value != nullptr && value->is_string()) {
      if (const std::optional<Word> word = parse(value->get<std::string>())) return *word;
    }
    return fail(key), Word();
  }
  uint32_t count(const char* key) {
    const Json* value = find(key);
    if (value != nullptr && value->is_number_unsigned() && value->get<uint64_t>() <= kTokensMax) {
      return value->get<uint32_t>();
    }
    return fail(key), 0;
  }
  double rate(const char* key) {
    const Json* value = find(key);
    const double number = value != nullptr && value->is_number() ? value->get<double>() : 0;
    if (number >= kTpsMin && number <= kTpsMax) return number;
    return fail(key), 0;
  }
  // Null is a speed that is not known.
  PastSpeed speed(const char* key, Bottleneck& bottleneck) {
    const Json* value = find(key);
    if (value != nullptr && value->is_null()) return {};
    if (value == nullptr || !value->is_object()) return fail(key), PastSpeed();
    Members members(*value, fault_);
    bottleneck = members.word<Bottleneck>("bottleneck", parse_bottleneck);
    return {.predicted_tps = members.rate("predicted_tps"),
            .actual_tps = members.rate("actual_tps")};
  }

 private:
  const Json* find(const char* key) const {
    const auto found = json_.find(key);
    return found == json_.end() ? nullptr : &*found;
  }
  void fail(const char* key) {
    if (fault_.empty()) fault_ = fmt::format("{} is missing or makes no sense", key);
  }

  const Json& json_;
  std::string& fault_;
};

PastRun parse_run(const Json& json, std::string& fault) {
  constexpr std::string_view kHex = "0123456789abcdef";
  Members members(json, fault);
  PastRun run{.kind = {.profile = members.text("profile", kIdDigits, kHex),
                       .model = members.text("model", kIdDigits, kHex),
                       .mode = members.word<Mode>("mode", parse_mode)},
              .date = members.text("date", kDateLength, "0123456789-:TZ"),
              .prompt_tokens = members.count("prompt_tokens"),
              .tokens = members.count("tokens")};
  run.decode = members.speed("decode", run.kind.decode);
  run.prompt = members.speed("prompt", run.kind.prompt);
  if (fault.empty() && !run.decode.known() && !run.prompt.known()) fault = "it has no speed";
  return run;
}

}  // namespace

const char* to_string(Bottleneck bottleneck) {
  return bottleneck == Bottleneck::drive ? "drive" : "compute";
}

void add_run(std::vector<PastRun>& runs, PastRun run) {
  runs.push_back(std::move(run));
  if (runs.size() > kPastRunsMax) {
    runs.erase(runs.begin(), runs.end() - static_cast<ptrdiff_t>(kPastRunsMax));
  }
}

std::string to_json(const PastRun& run) {
  const Json json = {{"date", run.date},
                     {"profile", run.kind.profile},
                     {"model", run.kind.model},
                     {"mode", to_string(run.kind.mode)},
                     {"prompt_tokens", run.prompt_tokens},
                     {"tokens", run.tokens},
                     {"decode", speed_json(run.decode, run.kind.decode)},
                     {"prompt", speed_json(run.prompt, run.kind.prompt)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string history_json(const std::vector<PastRun>& runs) {
  std::string text = fmt::format("{{\"schema\": {}, \"kind\": \"{}\", \"runs\": [", kSchema, kKind);
  const char* separator = "\n";
  for (const PastRun& run : runs) {
    text += std::exchange(separator, ",\n") + to_json(run);
  }
  return text + "\n]}\n";
}

Result<std::vector<PastRun>> parse_history(std::string_view text) {
  if (text.size() > kHistoryBytesMax) {
    return refused(fmt::format("it has more than {} bytes", kHistoryBytesMax));
  }
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return refused("it is no JSON object");
  const auto kind = json.find("kind");
  if (kind == json.end() || *kind != kKind) return refused("its kind is another one");
  const auto schema = json.find("schema");
  if (schema == json.end() || *schema != kSchema) {
    return refused(fmt::format("its schema is not {}", kSchema));
  }
  const auto list = json.find("runs");
  if (list == json.end() || !list->is_array()) return refused("it has no list of runs");
  std::vector<PastRun> runs;
  for (size_t i = 0; i < list->size(); ++i) {
    std::string fault = (*list)[i].is_object() ? "" : "it is no object";
    if (!fault.empty()) return refused(fmt::format("run {}: {}", i + 1, fault));
    PastRun run = parse_run((*list)[i], fault);
    if (!fault.empty()) return refused(fmt::format("run {}: {}", i + 1, fault));
    add_run(runs, std::move(run));
  }
  return runs;
}

}  // namespace hypura
