#include "cli/chat/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "base/suggestion.h"

namespace hypura::cli {
namespace {

constexpr double kWholeMax = 1 << 24;

// Names as in Ollama, values as in llama.cpp.
struct Parameter {
  std::string_view name;
  double min;
  double max;
  bool whole;
  double (*get)(const ChatSettings&);
  void (*set)(ChatSettings&, double);
};

double seed_of(const ChatSettings& settings) {
  return settings.sampling.seed == LLAMA_DEFAULT_SEED ? -1.0 : double(settings.sampling.seed);
}

void set_seed(ChatSettings& settings, double value) {
  settings.sampling.seed = value < 0 ? LLAMA_DEFAULT_SEED : static_cast<uint32_t>(value);
}

constexpr std::array kParameters = std::to_array<Parameter>({
    {"temperature", 0, 100, false, [](const ChatSettings& s) { return double{s.sampling.temp}; },
     [](ChatSettings& s, double value) { s.sampling.temp = static_cast<float>(value); }},
    {"top_k", 0, kWholeMax, true, [](const ChatSettings& s) { return double(s.sampling.top_k); },
     [](ChatSettings& s, double value) { s.sampling.top_k = static_cast<int32_t>(value); }},
    {"top_p", 0, 1, false, [](const ChatSettings& s) { return double{s.sampling.top_p}; },
     [](ChatSettings& s, double value) { s.sampling.top_p = static_cast<float>(value); }},
    {"min_p", 0, 1, false, [](const ChatSettings& s) { return double{s.sampling.min_p}; },
     [](ChatSettings& s, double value) { s.sampling.min_p = static_cast<float>(value); }},
    {"repeat_penalty", 0.01, 100, false,
     [](const ChatSettings& s) { return double{s.sampling.penalty_repeat}; },
     [](ChatSettings& s, double value) { s.sampling.penalty_repeat = static_cast<float>(value); }},
    {"seed", -1, 4294967294.0, true, seed_of, set_seed},
    {"num_predict", -1, kWholeMax, true,
     [](const ChatSettings& s) { return double(s.predict_max); },
     [](ChatSettings& s, double value) { s.predict_max = static_cast<int>(value); }},
});

std::vector<std::string> parameter_names() {
  std::vector<std::string> names;
  for (const Parameter& parameter : kParameters) names.emplace_back(parameter.name);
  return names;
}

Status refuse(const std::string& what, const std::string& hint) {
  return Status(StatusCode::invalid_argument, what).suggest(hint);
}

Status set_parameter(const std::string& name, const std::string& text, ChatSettings& settings) {
  const auto parameter =
      std::find_if(kParameters.begin(), kParameters.end(),
                   [&](const Parameter& candidate) { return candidate.name == name; });
  if (parameter == kParameters.end()) {
    const std::string meant = closest(name, parameter_names());
    return refuse(fmt::format("{} is no parameter", name),
                  meant.empty() ? fmt::format("one of {}", fmt::join(parameter_names(), ", "))
                                : fmt::format("did you mean {}?", meant));
  }
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const bool number = end != text.c_str() && *end == '\0' && std::isfinite(value);
  if (!number || value < parameter->min || value > parameter->max ||
      (parameter->whole && value != std::floor(value))) {
    return refuse(fmt::format("{} {}: a{} number from {} to {}", name, text,
                              parameter->whole ? " whole" : "", parameter->min, parameter->max),
                  fmt::format("/set parameter {} {}", name, parameter->get(settings)));
  }
  parameter->set(settings, value);
  return Status();
}

}  // namespace

Status change_setting(const std::vector<std::string>& words, ChatSettings& settings) {
  const std::string what = words.empty() ? std::string() : words[0];
  if (what == "parameter" && words.size() == 3) return set_parameter(words[1], words[2], settings);
  const bool switches = what == "think" || what == "verbose";
  if (switches && words.size() == 2 && (words[1] == "on" || words[1] == "off")) {
    (what == "think" ? settings.thinking : settings.verbose) = words[1] == "on";
    return Status();
  }
  return refuse("/set does not understand that",
                "/set parameter NAME VALUE, /set think on|off, /set verbose on|off");
}

std::string settings_text(const ChatSettings& settings) {
  std::string text;
  for (const Parameter& parameter : kParameters) {
    text += fmt::format("  {:<15} {:.10g}\n", parameter.name, parameter.get(settings));
  }
  return text + fmt::format("  {:<15} {}\n  {:<15} {}\n", "think",
                            settings.thinking ? "on" : "off", "verbose",
                            settings.verbose ? "on" : "off");
}

std::vector<std::string> setting_words(const std::vector<std::string>& words) {
  if (words.empty()) return {"parameter", "think", "verbose"};
  if (words.size() > 1) return {};
  if (words[0] == "parameter") return parameter_names();
  if (words[0] == "think" || words[0] == "verbose") return {"on", "off"};
  return {};
}

}  // namespace hypura::cli
