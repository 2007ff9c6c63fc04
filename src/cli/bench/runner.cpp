#include "cli/bench/runner.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/units.h"
#include "cli/bench/child_process.h"
#include "cli/exit_code.h"
#include "cli/plan/thread_words.h"
#include "cli/terminal.h"
#include "machine/memory.h"
#include "machine/memory_group.h"
#include "machine/page_cache.h"
#include "model/printable.h"

namespace hypura::cli {
namespace {

// For the process beside its budget: above the 128 MiB + 3x metadata that its base is held to, for
// any model with less than 40 MiB of metadata.
constexpr uint64_t kBesideBudgetBytes = 256 * kMiB;
// What a model that is wholly in memory needs beside its weights: KV, activations, base.
constexpr uint64_t kBesideWeightsBytes = kGiB;
// ggml's threads spin, so any other work shows.
constexpr double kLoadMax = 0.5;

Status interrupted() { return Status(StatusCode::interrupted, "interrupted"); }

// The line of a failed program's log that says why: its first error, else its last words.
std::string complaint(const std::string& err) {
  std::string last;
  for (size_t begin = 0; begin < err.size();) {
    const size_t end = std::min(err.find('\n', begin), err.size());
    const std::string line = err.substr(begin, end - begin);
    if (line.find("error") != std::string::npos) return printable(line);
    if (!line.empty()) last = line;
    begin = end + 1;
  }
  return printable(last);
}

std::string failure_of(const ChildOutcome& child, uint64_t kills, int timeout_seconds) {
  if (child.timed_out) return fmt::format("timed out after {} s", timeout_seconds);
  if (child.signal == SIGKILL) return kills > 0 ? "killed (out of memory)" : "killed";
  if (child.signal != 0) return fmt::format("ended by signal {}", child.signal);
  if (child.exit_code == 0) return "generated fewer than 2 tokens, or printed no figures";
  return fmt::format("exit {}: {}", child.exit_code, complaint(child.err));
}

// What is wrong with the command itself would be wrong in every sample.
std::optional<Status> refusal_of(const ChildOutcome& child) {
  const auto told = [](StatusCode code) { return Status(code, ""); };
  switch (child.exit_code) {
    case kUsage:
      return told(StatusCode::invalid_argument);
    case kDoesNotFit:
      return told(StatusCode::does_not_fit);
    case kInvalidModel:
      return told(StatusCode::invalid_model);
    default:
      return std::nullopt;
  }
}

}  // namespace

BenchRunner::BenchRunner(const BenchOptions& options, const ModelIndex& index,
                         const std::atomic<bool>& stop)
    : options_(options), index_(index), stop_(stop) {}

Result<BenchReport> BenchRunner::run() {
  Status status = prepare();
  if (status.ok()) status = run_rounds();
  report_.partial = status.code() == StatusCode::interrupted;
  if (!status.ok() && !report_.partial) return status;
  return std::move(report_);
}

Status BenchRunner::prepare() {
  report_.model_path = index_.shards().front().path;
  report_.architecture = printable(index_.info().architecture);
  report_.quantization = printable(index_.info().quantization);
  report_.weight_bytes = index_.info().weight_bytes;
  report_.token_bytes = token_bytes(index_);
  report_.machine = describe_machine();
  report_.ram_budget = options_.ram_budget;
  report_.fast_prompt = options_.fast_prompt;
  report_.warm = options_.warm;
  report_.samples = options_.samples;
  report_.warmup = options_.warmup;
  report_.tokens = options_.tokens;
  report_.slow_tokens = options_.slow_tokens;
  report_.timeout_seconds = options_.timeout_seconds;
  report_.context = options_.context;
  report_.prompt = options_.prompt;
  report_.llama = options_.llama;
  if (!options_.draft.empty()) {
    note(fmt::format("hypura drafts with {}: one read then serves several tokens. The bound is of "
                     "a token by itself, and can be beaten.",
                     options_.draft));
  }
  if (report_.machine.load > kLoadMax) {
    note(fmt::format("the machine was busy (load {:.1f}): these figures are not worth keeping.",
                     report_.machine.load));
  }
  Result<std::unique_ptr<DriveProbe>> drive = DriveProbe::open(index_);
  if (!drive.ok()) return drive.status();
  drive_ = *std::move(drive);
  report_.drive_device = drive_->device_name();
  report_.drive_direct = drive_->raw().direct();
  if (Status status = resolve_limit(); !status.ok()) return status;
  choose_arms();
  return Status();
}

Status BenchRunner::resolve_limit() {
  using Kind = BenchOptions::Limit::Kind;
  if (options_.limit.kind == Kind::off) return Status();
  const std::string unavailable = MemoryGroup::why_unavailable();
  if (options_.limit.kind == Kind::bytes) {
    if (!unavailable.empty()) {
      return Status(StatusCode::failed, "no limit can be set")
          .because(unavailable)
          .suggest("sudo, or --limit off");
    }
    report_.limit_bytes = options_.limit.bytes;
  } else if (options_.budget.kind == RamBudget::Kind::automatic) {
    note("no limit: the budget is auto, so every arm may use the whole machine.");
  } else if (!unavailable.empty()) {
    note(fmt::format("no limit ({}): mmap may use the whole machine.", unavailable));
  } else {
    const Result<uint64_t> budget = budget_bytes();
    if (!budget.ok()) return budget.status();
    report_.limit_bytes = *budget + kBesideBudgetBytes;
  }
  if (report_.limit_bytes > 0 && options_.warm) {
    note("warm under a limit: pages that an earlier sample left do not count against it.");
  }
  return Status();
}

// What --ram-budget comes to. Of `min` only a run knows.
Result<uint64_t> BenchRunner::budget_bytes() {
  if (options_.budget.kind != RamBudget::Kind::minimum) {
    return resolve(options_.budget, {.weights = report_.weight_bytes});
  }
  const Result<BenchSample> sample = run_in_child(make_arm(kHypuraArm));
  if (!sample.ok()) return sample.status();
  if (sample->budget_bytes > 0) return sample->budget_bytes;
  return Status(StatusCode::failed, "the least budget could not be found out")
      .because(sample->failure)
      .suggest("--ram-budget SIZE, or --limit off");
}

void BenchRunner::choose_arms() {
  const bool fits = report_.weight_bytes + kBesideWeightsBytes < available_bytes();
  const bool twins = report_.limit_bytes == 0 && options_.stock.empty();
  const auto asks_for = [&](const char* name) {
    return std::find(options_.arms.begin(), options_.arms.end(), name) != options_.arms.end();
  };
  for (const std::string& name : options_.arms) {
    if (name == kResidentArm && !fits) {
      note(fmt::format("no resident arm: {} of weights do not fit what the machine has available.",
                       format_bytes(report_.weight_bytes)));
    } else if (name == kResidentArm && twins && asks_for(kMmapArm)) {
      note("no resident arm: without a limit, mmap is just that.");
    } else {
      report_.arms.push_back(make_arm(name));
      BenchArm& arm = report_.arms.back();
      arm.limited = name != kResidentArm && report_.limit_bytes > 0;
      arm.in_memory = fits && name != kHypuraArm && !arm.limited;
    }
  }
}

BenchArm BenchRunner::make_arm(const std::string& name) const {
  BenchArm arm{.name = name, .tokens = name == kMmapArm ? options_.slow_tokens : options_.tokens};
  arm.stock = name == kMmapArm && !options_.stock.empty();
  arm.words = {"hypura", "run", options_.model, "--json", "--no-history"};
  if (arm.stock) {
    arm.words = {options_.stock, "-m",          options_.model,
                 "-no-cnv",      "--no-warmup", "--no-display-prompt"};
    if (!options_.stock_repack) arm.words.push_back("--no-repack");
    // The threads that the other arms choose from the machine's profile.
    const std::vector<std::string> threads = thread_words(options_.model, options_.llama);
    arm.words.insert(arm.words.end(), threads.begin(), threads.end());
  }
  const auto add = [&](std::initializer_list<std::string> words) {
    arm.words.insert(arm.words.end(), words);
  };
  arm.words.insert(arm.words.end(), options_.llama.begin(), options_.llama.end());
  add({"-p", options_.prompt, "-n", fmt::format("{}", arm.tokens), "-c",
       fmt::format("{}", options_.context), "--temp", "0", "--ignore-eos"});
  if (name == kHypuraArm) add({"--ram-budget", options_.ram_budget});
  if (name == kHypuraArm && options_.fast_prompt) add({"--fast-prompt"});
  if (name == kHypuraArm && !options_.draft.empty()) add({"--draft", options_.draft});
  if (name != kHypuraArm && !arm.stock) add({"--mode", "resident", "--exact"});
  // What a GPU holds is in no bound yet.
  if (!arm.stock) add({"--gpu-budget", "0"});
  return arm;
}

Status BenchRunner::run_rounds() {
  for (int round = -options_.warmup; round < options_.samples; ++round) {
    for (BenchArm& arm : report_.arms) {
      Result<BenchSample> sample = take_sample(arm);
      if (!sample.ok()) return sample.status();
      const std::string speed =
          sample->decode_tps > 0
              ? fmt::format("{:.2f} tok/s over {} tokens", sample->decode_tps, sample->tokens)
              : sample->failure;
      const std::string number =
          round < 0 ? "warm-up" : fmt::format("{}/{}", round + 1, options_.samples);
      write_note(fmt::format("{:>8} {:8} {}{}\n", number, arm.name, speed,
                             sample->decode_tps > 0 && sample->timed_out ? ", cut off" : ""));
      if (round >= 0) arm.samples.push_back(*std::move(sample));
    }
  }
  return Status();
}

// hypura's samples have the drive measured on both sides of them.
Result<BenchSample> BenchRunner::take_sample(const BenchArm& arm) {
  if (arm.name != kHypuraArm) return run_in_child(arm);
  const Result<double> before = measure_drive();
  if (!before.ok()) return before.status();
  Result<BenchSample> sample = run_in_child(arm);
  if (!sample.ok()) return sample.status();
  const Result<double> after = measure_drive();
  if (!after.ok()) return after.status();
  sample->drive_gbps = (*before + *after) / 2;
  return sample;
}

Result<double> BenchRunner::measure_drive() {
  const Result<RawRead> read = drive_->raw().measure(options_.drive_bytes, &stop_);
  if (!read.ok()) return read.status();
  report_.drive_gbps.push_back(read->gbps());
  return read->gbps();
}

Result<BenchSample> BenchRunner::run_in_child(const BenchArm& arm) {
  if (stop_) return interrupted();
  if (!options_.warm) empty_page_cache();
  std::optional<MemoryGroup> group;
  if (arm.limited) {
    Result<MemoryGroup> made = MemoryGroup::create(
        fmt::format("hypura-bench-{}-{}", ::getpid(), ++groups_made_), report_.limit_bytes);
    if (!made.ok()) return made.status();
    group.emplace(*std::move(made));
  }
  ChildOptions child_options{.words = arm.words,
                             .timeout = std::chrono::seconds(options_.timeout_seconds),
                             .group_entry = group ? group->entry() : std::string(),
                             .stop = &stop_};
  if (!arm.stock) child_options.words.front() = own_program();
  const Result<ChildOutcome> child = run_child(child_options);
  if (!child.ok()) return child.status();
  if (child->stopped || stop_) return interrupted();
  if (arm.name == kHypuraArm) {
    if (const std::optional<Status> refusal = refusal_of(*child)) {
      write_note(child->err);
      return *refusal;
    }
  }
  BenchSample sample;
  const bool understood = arm.stock ? read_stock_output(child->out, child->err, sample)
                                    : read_run_json(child->out, sample);
  const uint64_t kills = group ? group->kills() : 0;
  if (!understood || sample.decode_tps <= 0) {
    sample.decode_tps = 0;
    sample.failure = failure_of(*child, kills, options_.timeout_seconds);
  }
  if (arm.stock) sample.repacked = options_.stock_repack;
  sample.timed_out = child->timed_out;
  sample.seconds = child->seconds;
  sample.peak_resident_bytes = child->peak_resident_bytes;
  if (group) sample.group_peak_bytes = group->peak_bytes();
  return sample;
}

void BenchRunner::empty_page_cache() {
  std::vector<std::string> files;
  for (const Shard& shard : index_.shards()) files.push_back(shard.path);
  const CacheDrop dropped = drop_page_cache(files);
  if (std::exchange(cache_noted_, true) || dropped == CacheDrop::everything) return;
  note(dropped == CacheDrop::files
           ? "cold: only the model's files were dropped from the page cache (root empties all of "
             "it)."
           : "the page cache could not be emptied: samples are warm from the second on.");
}

}  // namespace hypura::cli
