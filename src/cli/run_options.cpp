#include "cli/run_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <system_error>
#include <utility>

#include "cli/command_line.h"
#include "cli/folders.h"
#include "cli/llama_arguments.h"
#include "cli/store/model_argument.h"
#include "engine/draft_depth.h"

namespace hypura::cli {
namespace {

// No model knows of more, and tables of a context take time and memory by the token.
constexpr int kContextMax = 1 << 24;

const std::map<std::string, Mode> kModes = {
    {"auto", Mode::automatic},
    {"resident", Mode::resident},
    {"experts", Mode::experts},
    {"dense", Mode::dense},
};

const std::map<std::string, PrefetchMode> kPrefetchModes = {
    {"auto", PrefetchMode::automatic},
    {"off", PrefetchMode::off},
    {"router", PrefetchMode::router},
    {"coactivation", PrefetchMode::coactivation},
};

// What the command line says, before it means anything.
struct Words {
  std::string model;
  std::string ram_budget = "auto";
  std::string gpu_budget = "auto";
  std::string mode = "auto";
  std::string prefetch = "auto";
  std::string draft;
  std::string draft_depth = "auto";
  std::string kv_type;
  int context = 0;
  bool exact = false;
  bool fast_prompt = false;
  bool json = false;
};

CommandLine line_for(const RunCommand& command, Words& words) {
  CommandLine line(command.name, command.description);
  if (command.word_required) {
    line.word(command.word, words.model, command.word_help);
  } else {
    line.optional_word(command.word, words.model, command.word_help);
  }
  line.option("--ram-budget", words.ram_budget,
              "memory for weights, KV, activations and buffers: SIZE (8G), NN% of the model's "
              "weights, auto (what is available) or min (default: auto)",
              "SIZE|NN%|auto|min");
  line.option("--gpu-budget", words.gpu_budget,
              "memory of the GPU, or of several together, for weights, KV and activations: SIZE, "
              "auto (what is free) or 0 (default: auto)",
              "SIZE|auto|0");
  line.option("--mode", words.mode,
              "auto, resident, experts or dense: what may stream (default: auto)",
              "auto|resident|experts|dense");
  line.flag("--exact", words.exact,
            "a resident model is not repacked: the bits that streaming gives, too");
  line.flag("--fast-prompt", words.fast_prompt,
            "repack weights that stay in RAM while others stream: faster prompts, other bits");
  line.option("--prefetch", words.prefetch,
              "experts read ahead of their router: off, router (the next layer's, applied early), "
              "coactivation (what followed before) or auto (default: auto)",
              "auto|off|router|coactivation");
  line.option("--draft,--model-draft,--spec-draft-model", words.draft,
              "a small model of the same vocabulary that proposes tokens, which the model verifies "
              "many at a time, or `lookup`: proposes what followed the last time",
              "MODEL|lookup");
  line.option("--draft-depth", words.draft_depth,
              "tokens to propose at a time: N, or auto, by what a pass of the model takes "
              "(default: auto)",
              "N|auto");
  line.option("--ctx", words.context, 1, kContextMax,
              "tokens of context; like -c (default: the model's, at most 8192)");
  line.option("--kv-type", words.kv_type,
              "type of the KV cache: like -ctk and -ctv, or auto, which takes q8_0 for other bits "
              "where memory is tight (default: f16)",
              "TYPE|auto|f16|q8_0|q4_0");
  line.flag("--json", words.json, "print one JSON object at the end instead of the text");
  for (const std::string& name : command.refused) line.hide(name);
  if (command.describe) command.describe(line);
  return line;
}

Status check_repacking(const EngineOptions& engine) {
  if (!engine.fast_prompt) return Status();
  const char* other = engine.exact                  ? "--exact"
                      : engine.params.no_extra_bufts ? "--no-repack"
                                                     : nullptr;
  if (other == nullptr) return Status();
  return Status(StatusCode::invalid_argument,
                fmt::format("--fast-prompt and {} exclude each other", other))
      .because("repacked weights give other bits");
}

Result<DraftOptions> parse_draft(const Words& words) {
  DraftOptions draft;
  if (words.draft == "lookup") {
    draft.kind = DraftOptions::Kind::lookup;
  } else if (!words.draft.empty()) {
    draft.kind = DraftOptions::Kind::model;
    Result<std::string> path = model_path(words.draft);
    if (!path.ok()) return path.status();
    draft.path = *std::move(path);
  }
  if (words.draft_depth == "auto") return draft;
  const std::string& depth = words.draft_depth;
  const auto [end, error] = std::from_chars(depth.data(), depth.data() + depth.size(), draft.depth);
  if (error != std::errc() || end != depth.data() + depth.size() || draft.depth < 1 ||
      draft.depth > kDraftDepthAsked) {
    return Status(StatusCode::invalid_argument,
                  fmt::format("--draft-depth {}: 1 to {}, or auto", depth, kDraftDepthAsked));
  }
  if (draft.kind == DraftOptions::Kind::none) {
    return Status(StatusCode::invalid_argument, "--draft-depth without a draft")
        .suggest("--draft MODEL, or --draft lookup");
  }
  return draft;
}

// A type is llama.cpp's to judge; auto is ours, once the model is known.
Status take_kv_type(const Words& words, RunOptions& options, std::vector<std::string>& llama) {
  if (words.kv_type.empty()) return Status();
  for (const char* other : {"--cache-type-k", "--cache-type-v"}) {
    if (!asks_for(llama, other)) continue;
    return Status(StatusCode::invalid_argument,
                  fmt::format("--kv-type and {} exclude each other", other));
  }
  options.kv_type_auto = words.kv_type == "auto";
  if (options.kv_type_auto) return Status();
  for (const char* option : {"--cache-type-k", "--cache-type-v"}) {
    llama.insert(llama.end(), {option, words.kv_type});
  }
  return Status();
}

// llama.cpp takes any number for these, and aborts or hangs on some.
Status check_sizes(const common_params& params) {
  const auto refuse = [](const char* option, int value, const char* range) {
    return Status(StatusCode::invalid_argument, fmt::format("{} {}: {}", option, value, range));
  };
  if (params.n_batch < 1) return refuse("-b", params.n_batch, "at least 1 token");
  if (params.n_ubatch < 1) return refuse("-ub", params.n_ubatch, "at least 1 token");
  if (params.n_ctx < 0 || params.n_ctx > kContextMax) {
    return refuse("--ctx", params.n_ctx, "1 to 16777216 tokens");
  }
  return Status();
}

}  // namespace

Result<RunOptions> parse_run_options(const std::vector<std::string>& arguments,
                                     const RunCommand& command) {
  RunOptions options;
  Result<SplitArguments> split = split_arguments(arguments, command.own);
  if (!split.ok()) return split.status();
  // A name of llama.cpp's that would be read as -m d.
  std::replace(split->ours.begin(), split->ours.end(), std::string("-md"), std::string("--draft"));
  Words words;
  CommandLine line = line_for(command, words);
  if (Status status = line.parse(split->ours, llama_option_names()); !status.ok()) return status;
  options.help = line.help();
  if (options.help) return options;
  if (words.model.empty() && command.word_required) {
    return Status(StatusCode::invalid_argument, fmt::format("{} is empty", command.word))
        .suggest(fmt::format("hypura {} --help", command.name));
  }
  if (command.word == "MODEL") {
    Result<std::string> path = model_path(words.model);
    if (!path.ok()) return path.status();
    words.model = *std::move(path);
  }

  Result<RamBudget> budget = parse_ram_budget(words.ram_budget);
  if (!budget.ok()) return budget.status();
  Result<GpuBudget> gpu_budget = parse_gpu_budget(words.gpu_budget);
  if (!gpu_budget.ok()) return gpu_budget.status();
  const auto mode = kModes.find(words.mode);
  if (mode == kModes.end()) {
    return Status(StatusCode::invalid_argument, fmt::format("--mode {}: no such mode", words.mode))
        .suggest("auto, resident, experts or dense");
  }
  const auto prefetch = kPrefetchModes.find(words.prefetch);
  if (prefetch == kPrefetchModes.end()) {
    return Status(StatusCode::invalid_argument,
                  fmt::format("--prefetch {}: no such predictor", words.prefetch))
        .suggest("auto, off, router or coactivation");
  }
  Result<DraftOptions> draft = parse_draft(words);
  if (!draft.ok()) return draft.status();
  EngineOptions& engine = options.engine;
  engine.draft = *std::move(draft);
  engine.prefetch = prefetch->second;
  engine.statistics_folder = cache_folder("statistics");
  engine.model_path = words.model;
  engine.ram_budget = *budget;
  engine.gpu_budget = *gpu_budget;
  engine.mode = mode->second;
  engine.exact = words.exact;
  engine.fast_prompt = words.fast_prompt;
  options.json = words.json;

  if (Status status = take_kv_type(words, options, split->llama); !status.ok()) return status;
  engine.choose_threads = !asks_for(split->llama, "--threads");
  // As in llama.cpp, prompts take the threads that were asked for, if none were for them.
  engine.choose_threads_batch =
      engine.choose_threads && !asks_for(split->llama, "--threads-batch");
  // As llama.cpp's chat and server have it: its older way knows a few templates, and no thoughts.
  if (!asks_for(split->llama, "--jinja")) split->llama.insert(split->llama.begin(), "--jinja");
  if (!parse_llama_arguments(split->llama, words.model, engine.params)) {
    return Status(StatusCode::invalid_argument, "");
  }
  if (words.context > 0) engine.params.n_ctx = words.context;
  if (!asks_for(split->llama, "--ubatch-size")) {
    engine.micro_batch_most = static_cast<uint32_t>(std::max(0, engine.params.n_batch));
  }
  options.interactive = engine.params.interactive;
  options.chat = engine.params.conversation_mode == COMMON_CONVERSATION_MODE_ENABLED;
  if (!engine.params.system_prompt.empty() && !options.interactive && !options.chat) {
    return Status(StatusCode::invalid_argument,
                  "-sys needs a chat: the prompt is continued as it is")
        .suggest("-i for a conversation, or -cnv for one message");
  }
  if (Status status = check_repacking(engine); !status.ok()) return status;
  if (Status status = check_sizes(engine.params); !status.ok()) return status;
  if (options.interactive && options.json) {
    return Status(StatusCode::invalid_argument, "--json and -i exclude each other")
        .suggest("-p or -f with --json");
  }
  return options;
}

std::string run_help(const RunCommand& command) {
  Words words;
  return line_for(command, words).help_text() + "\nOptions of llama.cpp:\n" +
         llama_option_help();
}

CommandDescription describe(const RunCommand& command) {
  Words words;
  CommandDescription description = line_for(command, words).description();
  description.llama_options = llama_option_descriptions();
  return description;
}

}  // namespace hypura::cli
