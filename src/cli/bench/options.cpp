#include "cli/bench/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "base/units.h"
#include "cli/command_line.h"
#include "cli/llama_arguments.h"

namespace hypura::cli {
namespace {

constexpr const char* kDescription =
    "Measures how fast a model runs here, in interleaved samples A B A B, each in a process of its "
    "own, against llama.cpp with the file mapped and against the model wholly in memory.";

constexpr const char* kNotes =
    "\nArms: hypura (at the budget), mmap (llama.cpp's plain path: file mapped, weights not "
    "repacked;\n"
    "under the same limit), resident (the same without a limit, if the machine holds the model).\n"
    "Medians come with an interval from order statistics; 6 samples are the fewest for 95 %.\n"
    "--compare fails (exit 1) on a regression: an arm whose interval lies entirely below the old "
    "one.\n"
    "Greedy texts must agree as far as the shortest goes, or the command fails.\n"
    "llama.cpp's options go to every child after `--`: hypura bench MODEL -n 64 -- -t 4 -fa on\n";

constexpr int kSamplesMax = 1000;
constexpr int kTokensMax = 1 << 20;
constexpr int kDaySeconds = 24 * 60 * 60;
constexpr int kContextMax = 1 << 24;

// What bench decides itself, and must be the same in all arms. Long names: llama.cpp's table has
// the short ones.
constexpr std::array kOwnOptions = std::to_array<std::string_view>(
    {"-p", "--prompt", "-f", "--file", "-n", "--predict", "--n-predict", "-c", "--ctx-size",
     "--temp", "--temperature", "--ignore-eos", "-i", "--interactive", "-cnv", "--conversation",
     "-v", "--verbose"});

const std::map<std::string, BenchOutput> kOutputs = {
    {"md", BenchOutput::markdown}, {"json", BenchOutput::json}, {"csv", BenchOutput::csv}};

// What the command line says, before it means anything.
struct Words {
  std::string limit = "auto";
  std::string arms = "hypura,mmap,resident";
  std::string drive = "1G";
  std::string output = "md";
  bool cold = false;
  bool json = false;
};

CommandLine line_for(BenchOptions& options, Words& words) {
  CommandLine line("bench", kDescription);
  line.word("MODEL", options.model, "GGUF file; of a split model any shard");
  line.option("--ram-budget", options.ram_budget,
              "hypura's: SIZE (8G), NN% of the model's weights, auto or min (default: auto)",
              "SIZE|NN%|auto|min");
  line.flag("--fast-prompt", options.fast_prompt,
            "hypura repacks weights that stay in RAM; its text then stands apart");
  line.option("--draft", options.draft, "hypura's: a draft model, or lookup", "MODEL|lookup");
  line.option(
      "--limit", words.limit,
      "memory control group of every hypura and mmap sample, without swap: SIZE, off, or auto "
      "= the budget + 256 MiB where this process may make groups (default: auto)",
      "SIZE|auto|off");
  line.option("-p,--prompt", options.prompt, "the prompt");
  line.option("-n,--tokens", options.tokens, 2, kTokensMax, "tokens a sample (default: 32)");
  line.option("--n-slow", options.slow_tokens, 2, kTokensMax,
              "tokens a sample of mmap, at most -n (default: 8)");
  line.option("--samples", options.samples, 1, kSamplesMax, "of each arm (default: 6)");
  line.option("--warmup", options.warmup, 0, kSamplesMax,
              "samples of each arm that are not recorded (default: 1)");
  line.flag("--cold", words.cold, "empty the page cache before every sample (the default)");
  line.flag("--warm", options.warm, "leave the page cache as it is; honest only without a limit");
  line.option("--timeout", options.timeout_seconds, 1, kDaySeconds,
              "seconds a sample; then it is cut off (default: 600)");
  line.option("--ctx", options.context, 1, kContextMax, "tokens of context (default: 1024)");
  line.option("--arms", words.arms, "which, and in which order (default: hypura,mmap,resident)",
              "LIST");
  line.option(
      "--stock", options.stock,
      "llama.cpp's llama-completion: the mmap arm runs it in place of hypura's own llama.cpp",
      "FILE");
  line.flag("--stock-repack", options.stock_repack,
            "let --stock repack its weights for speed: it then needs memory for all of them, and "
            "its text stands apart");
  line.option("--drive-bytes", words.drive,
              "to read for each measurement of the raw drive, before and after every hypura sample "
              "(default: 1G)",
              "SIZE");
  line.option("-o,--output", words.output, "md, json or csv, on stdout (default: md)",
              "md|json|csv");
  line.flag("--json", words.json, "like -o json");
  line.option("--save", options.save, "write the JSON to this file as well", "FILE");
  line.option("--compare", options.old_report,
              "an older -o json: shows old and new, fails on a regression", "FILE");
  return line;
}

Status bad_value(const char* option, const std::string& value, const char* hint) {
  return Status(StatusCode::invalid_argument, fmt::format("{} {}: not understood", option, value))
      .suggest(hint);
}

Result<BenchOptions::Limit> parse_limit(const std::string& text) {
  using Kind = BenchOptions::Limit::Kind;
  if (text == "auto") return BenchOptions::Limit{};
  if (text == "off") return BenchOptions::Limit{.kind = Kind::off};
  const std::optional<uint64_t> bytes = parse_bytes(text);
  if (!bytes || *bytes == 0) return bad_value("--limit", text, "SIZE (8G), auto or off");
  return BenchOptions::Limit{.kind = Kind::bytes, .bytes = *bytes};
}

Result<std::vector<std::string>> parse_arms(const std::string& text) {
  std::vector<std::string> arms;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string name = text.substr(begin, end - begin);
    const bool known = name == kHypuraArm || name == kMmapArm || name == kResidentArm;
    if (!known || std::find(arms.begin(), arms.end(), name) != arms.end()) {
      return bad_value("--arms", text, "a list of hypura, mmap and resident");
    }
    arms.push_back(name);
    begin = end + 1;
  }
  return arms;
}

// Options for the children. Those that cannot work here are found before the first sample.
Status check_llama(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (std::find(kOwnOptions.begin(), kOwnOptions.end(), word) == kOwnOptions.end()) continue;
    return Status(StatusCode::invalid_argument, fmt::format("{} is decided by bench itself", word))
        .suggest("-p, -n and --ctx before the --; sampling is always greedy");
  }
  const Result<SplitArguments> split = split_arguments(words);
  if (!split.ok()) return split.status();
  if (split->ours.empty()) return Status();
  return Status(StatusCode::invalid_argument,
                fmt::format("{} is not an option of llama.cpp", split->ours.front()))
      .suggest("bench's own options stand before the --");
}

// A mistyped word that llama.cpp would have understood belongs behind the "--".
Status explain(Status status, const std::vector<std::string>& own) {
  const std::vector<std::string> names = llama_option_names();
  for (const std::string& word : own) {
    if (std::find(names.begin(), names.end(), word) == names.end()) continue;
    if (status.message() != "unknown option " + word) continue;
    return Status(StatusCode::invalid_argument, fmt::format("{} is an option of llama.cpp", word))
        .suggest(fmt::format("hypura bench MODEL ... -- {}", word));
  }
  return status;
}

Status interpret(const Words& words, BenchOptions& options) {
  Result<RamBudget> budget = parse_ram_budget(options.ram_budget);
  if (!budget.ok()) return budget.status();
  options.budget = *budget;
  Result<BenchOptions::Limit> limit = parse_limit(words.limit);
  if (!limit.ok()) return limit.status();
  options.limit = *limit;
  Result<std::vector<std::string>> arms = parse_arms(words.arms);
  if (!arms.ok()) return arms.status();
  options.arms = *std::move(arms);
  const std::optional<uint64_t> drive = parse_bytes(words.drive);
  if (!drive || *drive == 0) return bad_value("--drive-bytes", words.drive, "a size, like 1G");
  options.drive_bytes = *drive;
  const auto output = kOutputs.find(words.json ? "json" : words.output);
  if (output == kOutputs.end()) return bad_value("-o", words.output, "md, json or csv");
  options.output = output->second;
  if (words.cold && options.warm) {
    return Status(StatusCode::invalid_argument, "--cold and --warm exclude each other");
  }
  if (options.stock_repack && options.stock.empty()) {
    return Status(StatusCode::invalid_argument, "--stock-repack without --stock");
  }
  options.slow_tokens = std::min(options.slow_tokens, options.tokens);
  return Status();
}

}  // namespace

Result<BenchOptions> parse_bench_options(const std::vector<std::string>& arguments) {
  const auto separator = std::find(arguments.begin(), arguments.end(), "--");
  const std::vector<std::string> own(arguments.begin(), separator);
  BenchOptions options;
  if (separator != arguments.end()) options.llama.assign(separator + 1, arguments.end());

  Words words;
  CommandLine line = line_for(options, words);
  if (Status status = line.parse(own); !status.ok()) return explain(std::move(status), own);
  options.help = line.help();
  if (options.help) return options;
  if (Status status = interpret(words, options); !status.ok()) return status;
  if (Status status = check_llama(options.llama); !status.ok()) return status;
  return options;
}

std::string bench_help() {
  BenchOptions options;
  Words words;
  return line_for(options, words).help_text() + kNotes;
}

CommandDescription describe_bench() {
  BenchOptions options;
  Words words;
  return line_for(options, words).description();
}

}  // namespace hypura::cli
