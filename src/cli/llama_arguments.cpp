#include "cli/llama_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <string_view>
#include <system_error>

#include "arg.h"

namespace hypura::cli {
namespace {

constexpr llama_example kExample = LLAMA_EXAMPLE_COMPLETION;

// The default is another one here: parse_run_options() sets it.
constexpr const char* kJinjaHelp =
    "whether to use jinja template engine for chat (default: enabled)";

// What works here beside all sampling options. Aliases follow from llama.cpp's table.
constexpr std::array kSupported = std::to_array<std::string_view>({
    "--threads", "--threads-batch", "--ctx-size", "--predict", "--batch-size", "--ubatch-size",
    "--keep", "--swa-full", "--flash-attn", "--prompt", "--file", "--escape", "--rope-scaling",
    "--rope-scale", "--rope-freq-base", "--rope-freq-scale", "--yarn-orig-ctx", "--yarn-ext-factor",
    "--yarn-attn-factor", "--yarn-beta-slow", "--yarn-beta-fast", "--cache-type-k",
    "--cache-type-v", "--override-kv", "--lora", "--lora-scaled", "--verbose", "--context-shift",
    "--system-prompt", "--system-prompt-file", "--reverse-prompt", "--special", "--conversation",
    "--interactive", "--jinja", "--chat-template", "--chat-template-file",
});

// Options of which only the negative form works: it asks for what is the case anyway.
constexpr std::array kSupportedNegations =
    std::to_array<std::string_view>({"--no-repack", "--no-warmup", "--no-display-prompt"});

struct Refusal {
  std::string_view option;
  std::string_view reason;
};
constexpr std::array kRefusals = std::to_array<Refusal>({
    {"--model", "the model is named without an option: hypura run MODEL"},
    {"--repack", "a resident model is repacked by itself; where weights stream, --fast-prompt "
                 "repacks those that stay, which changes bits"},
    {"--warmup", "a warm-up routes to all experts and would read the whole model"},
    {"--load-mode", "how weights are read follows from --ram-budget and --mode"},
    {"--lazy-mode", "rows of large embeddings are always read on demand here"},
    {"--check-tensors", "it would read the whole model; `hypura inspect` checks its structure"},
    {"--numa", "it changes how the model's file is mapped"},
    {"--override-tensor", "where tensors live is what Hypura plans"},
    {"--gpu-layers", "what a GPU holds follows from --gpu-budget"},
    {"--device", "what a GPU holds follows from --gpu-budget"},
    {"--split-mode", "what a GPU holds follows from --gpu-budget"},
    {"--tensor-split", "what a GPU holds follows from --gpu-budget"},
    {"--main-gpu", "what a GPU holds follows from --gpu-budget"},
    {"--cpu-moe", "where experts live is what Hypura plans"},
    {"--n-cpu-moe", "where experts live is what Hypura plans"},
    {"--n-cpu-ffn", "where weights live is what Hypura plans"},
    {"--fit", "Hypura fits the model to the machine itself: --ram-budget"},
    {"--hf-repo", "nothing is downloaded: name a file"},
    {"--model-url", "nothing is downloaded: name a file"},
    {"--docker-repo", "nothing is downloaded: name a file"},
    {"--parallel", "run has one conversation"},
    {"--backend-sampling", "it computes with its own buffers, which the budget does not know"},
    {"--control-vector", "its buffers are not in the budget yet"},
    {"--control-vector-scaled", "its buffers are not in the budget yet"},
    {"--kv-offload", "what a GPU holds follows from --gpu-budget"},
    {"--op-offload", "what a GPU holds follows from --gpu-budget"},
});

bool lists(const std::vector<const char*>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<common_arg> make_table() {
  static common_params params;  // what the options of the table refer to
  std::vector<common_arg> options = common_params_parser_init(params, kExample, nullptr).options;
  for (common_arg& option : options) {
    if (lists(option.args, "--jinja")) option.help = kJinjaHelp;
  }
  return options;
}

const std::vector<common_arg>& table() {
  static const std::vector<common_arg> options = make_table();
  return options;
}

bool is_supported(const common_arg& option) {
  return option.is_sampling
             ? !lists(option.args, "--backend-sampling")
             : std::any_of(kSupported.begin(), kSupported.end(), [&](std::string_view name) {
                 return lists(option.args, name);
               });
}

const common_arg* find_option(const std::string& name) {
  for (const common_arg& option : table()) {
    if (lists(option.args, name) || lists(option.args_neg, name)) return &option;
  }
  return nullptr;
}

Status refuse(const std::string& typed, const common_arg& option) {
  for (const Refusal& refusal : kRefusals) {
    if (!lists(option.args, refusal.option)) continue;
    return Status(StatusCode::invalid_argument, fmt::format("{} is refused", typed))
        .because(std::string(refusal.reason));
  }
  return Status(StatusCode::invalid_argument,
                fmt::format("{} is an option of llama.cpp that does not exist here", typed))
      .suggest("hypura run --help lists those that do");
}

// llama.cpp also takes options from the environment; what is refused here is refused there.
Status check_environment() {
  for (const common_arg& option : table()) {
    if (option.env == nullptr || is_supported(option) || !option.has_value_from_env()) continue;
    Status status = refuse(option.env, option);
    return std::move(status).suggest(fmt::format("env -u {} hypura ...", option.env));
  }
  return Status();
}

// llama.cpp reads "4x" as 4, and says "stoi" of what is too large.
Status check_number(const std::string& typed, const std::string& value, const common_arg& option) {
  if (option.handler_int == nullptr) return Status();
  int number = 0;
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number);
  if (error == std::errc() && stop == end) return Status();
  return Status(StatusCode::invalid_argument,
                fmt::format("{} {}: not a whole number from {} to {}", typed, value, INT_MIN,
                            INT_MAX))
      .suggest("hypura run --help");
}

size_t value_count(const common_arg& option) {
  if (option.handler_str_str != nullptr) return 2;
  return option.handler_void != nullptr || option.handler_bool != nullptr ? 0 : 1;
}

}  // namespace

Result<SplitArguments> split_arguments(const std::vector<std::string>& arguments,
                                       const std::vector<std::string>& own) {
  if (Status status = check_environment(); !status.ok()) return status;
  SplitArguments split;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& typed = arguments[i];
    const bool is_own = std::find(own.begin(), own.end(), typed) != own.end();
    const common_arg* option =
        typed.starts_with('-') && !is_own ? find_option(typed) : nullptr;
    // Help is ours, though llama.cpp has it too.
    if (option == nullptr || lists(option->args, "--help") || lists(option->args, "--version")) {
      split.ours.push_back(typed);
      continue;
    }
    const bool negated = std::find(kSupportedNegations.begin(), kSupportedNegations.end(), typed) !=
                         kSupportedNegations.end();
    if (!negated && !is_supported(*option)) return refuse(typed, *option);
    split.llama.push_back(typed);
    for (size_t k = 0; k < value_count(*option); ++k) {
      if (++i == arguments.size()) {
        return Status(StatusCode::invalid_argument, fmt::format("{} needs a value", typed))
            .suggest(option->value_hint == nullptr
                         ? std::string()
                         : fmt::format("{} {}", typed, option->value_hint));
      }
      if (Status status = check_number(typed, arguments[i], *option); !status.ok()) return status;
      split.llama.push_back(arguments[i]);
    }
  }
  return split;
}

bool asks_for(const std::vector<std::string>& arguments, const std::string& option_name) {
  const common_arg* option = find_option(option_name);
  if (option == nullptr) return false;
  if (option->env != nullptr && option->has_value_from_env()) return true;
  return std::any_of(arguments.begin(), arguments.end(),
                     [&](const std::string& word) { return lists(option->args, word); });
}

bool parse_llama_arguments(const std::vector<std::string>& arguments, const std::string& model_path,
                           common_params& params) {
  // A server may begin without a model; llama.cpp's parser may not.
  std::vector<std::string> words = {"hypura", "-m", model_path.empty() ? "none" : model_path};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  return common_params_parse(static_cast<int>(argv.size()), argv.data(), params, kExample);
}

std::vector<std::string> llama_option_names() {
  std::vector<std::string> names;
  for (const common_arg& option : table()) {
    if (!is_supported(option)) continue;
    for (const char* name : option.args) names.emplace_back(name);
  }
  return names;
}

std::string llama_option_help() {
  std::string help;
  for (const common_arg& option : table()) {
    if (!is_supported(option)) continue;
    help += common_arg(option).to_string();
  }
  return help;
}

std::vector<OptionDescription> llama_option_descriptions() {
  std::vector<OptionDescription> descriptions;
  for (const common_arg& option : table()) {
    if (!is_supported(option)) continue;
    OptionDescription& described = descriptions.emplace_back();
    for (const std::string& name : option.get_args()) described.names.push_back(name);
    if (option.value_hint != nullptr) described.value = option.value_hint;
    if (option.value_hint_2 != nullptr) described.value += fmt::format(" {}", option.value_hint_2);
    described.help = option.help;
  }
  return descriptions;
}

}  // namespace hypura::cli
