#include "cli/profile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/units.h"
#include "cli/command_line.h"
#include "cli/folders.h"
#include "cli/interrupt.h"
#include "cli/store/model_argument.h"
#include "cli/terminal.h"
#include "engine/machine_probe.h"
#include "machine/profile_json.h"
#include "model/model_index.h"

namespace hypura::cli {
namespace {

std::string gbps(double value) {
  return value == 0 ? "not known" : fmt::format("{:.3g} GB/s", value);
}

std::string cell(double value) { return value == 0 ? "-" : fmt::format("{:.3g}", value); }

void add_line(std::string& text, const char* label, const std::string& value) {
  text += fmt::format("{:<11}{}\n", label, value);
}

std::string drive_lines(const DriveProfile& drive) {
  std::string text;
  add_line(text, "drive", fmt::format("{}, {}, {}", drive.device, drive.filesystem,
                                      drive.direct ? "direct reads"
                                                   : "no direct reads (through the page cache)"));
  add_line(text, "", fmt::format("in order {} with {} reads in flight, scattered {}",
                                 gbps(drive.sequential_gbps), drive.knee_depth,
                                 gbps(drive.scattered_gbps)));
  add_line(text, "", fmt::format("page cache: {} copied, {} by page faults",
                                 gbps(drive.cached_gbps), gbps(drive.paged_gbps)));
  return text;
}

// A row a size, a column a depth.
std::string drive_table(const DriveProfile& drive, bool sequential) {
  std::set<uint32_t> depths;
  std::map<uint32_t, std::map<uint32_t, double>> rates;
  for (const DriveSample& sample : drive.samples) {
    if (sample.sequential != sequential) continue;
    depths.insert(sample.depth);
    rates[sample.read_bytes][sample.depth] = sample.gbps;
  }
  if (rates.empty()) return "";
  std::string text =
      fmt::format("\n{:<22}", sequential ? "GB/s in order, reads" : "GB/s scattered, reads");
  for (const uint32_t depth : depths) text += fmt::format("{:>8}", depth);
  text += "  in flight\n";
  for (const auto& [read_bytes, row] : rates) {
    text += fmt::format("{:>21} ", format_bytes(read_bytes));
    for (const uint32_t depth : depths) {
      const auto found = row.find(depth);
      text += fmt::format("{:>8}", cell(found == row.end() ? 0 : found->second));
    }
    text += "\n";
  }
  return text;
}

std::string compute_table(const std::vector<ComputeSample>& samples) {
  if (samples.empty()) return "";
  std::string text = fmt::format("\n{:<10}{:>8}{:>12}{:>12}{:>12}\n", "weights", "threads",
                                 "a token", "experts", "512 tokens");
  std::vector<ComputeSample> rows = samples;
  std::stable_sort(rows.begin(), rows.end(), [](const ComputeSample& a, const ComputeSample& b) {
    return a.type != b.type ? a.type < b.type : a.threads < b.threads;
  });
  for (const ComputeSample& row : rows) {
    text += fmt::format("{:<10}{:>8}{:>12}{:>12}{:>12}\n", row.type, row.threads,
                        cell(row.token_gbps), cell(row.expert_gbps), cell(row.batch_gbps));
  }
  return text + "GB/s of weights; of 512 tokens, times tokens\n";
}

std::string memory_text(const MemoryProfile& memory) {
  std::string text = fmt::format("{}, read at {}", format_bytes(memory.total_bytes),
                                 gbps(memory.read_gbps));
  if (memory.limit_bytes > 0) {
    text += fmt::format("; limited to {} here", format_bytes(memory.limit_bytes));
  }
  return text;
}

}  // namespace

std::string profile_text(const MachineProfile& profile) {
  std::string text;
  add_line(text, "machine", fmt::format("{}, {} cores ({} logical), {}", profile.cpu, profile.cores,
                                        profile.logical_cores, profile.system));
  add_line(text, "SIMD", fmt::format("{}", fmt::join(profile.simd, " ")));
  add_line(text, "memory", memory_text(profile.memory));
  for (const GpuProfile& gpu : profile.gpus) {
    add_line(text, "GPU", fmt::format("{} ({}), {} of {} usable, memory {}, upload {}", gpu.name,
                                      gpu.backend, format_bytes(gpu.working_set_bytes),
                                      format_bytes(gpu.total_bytes), gbps(gpu.memory_gbps),
                                      gbps(gpu.upload_gbps)));
  }
  text += drive_lines(profile.drive);
  if (profile.graph_overhead_us > 0) {
    add_line(text, "a call", fmt::format("{:.3g} us to start all threads and wait for them",
                                         profile.graph_overhead_us));
  }
  add_line(text, "measured", profile.date);
  for (const std::string& warning : profile.warnings) add_line(text, "warning", warning);
  text += drive_table(profile.drive, true) + drive_table(profile.drive, false);
  return text + compute_table(profile.compute);
}

Result<std::string> file_to_read(const std::string& model) {
  const Result<ModelIndex> index = ModelIndex::open(model);
  if (!index.ok()) return index.status();
  const auto largest =
      std::max_element(index->shards().begin(), index->shards().end(),
                       [](const Shard& a, const Shard& b) { return a.bytes < b.bytes; });
  return largest->path;
}

namespace {

struct Words {
  std::string model;
  std::string folder;
  bool anew = false;
  bool json = false;
};

CommandLine line_for(Words& words) {
  CommandLine line("profile",
                   "Measures this machine and the drive that holds a model, within 20 seconds, and "
                   "keeps what it found for 30 days. Reads only; without a model a temporary file "
                   "of at most 1 GiB is written and removed.");
  line.optional_word("MODEL", words.model, "GGUF file whose drive is measured");
  line.flag("--force", words.anew, "measure, whatever was kept");
  line.flag("--json", words.json, "print one JSON object");
  line.option("--dir", words.folder, "without a model: a folder on the drive to measure (.)",
              "DIR");
  return line;
}

}  // namespace

CommandDescription describe_profile() {
  Words words;
  return line_for(words).description();
}

Status profile(const std::vector<std::string>& arguments) {
  Words words;
  CommandLine line = line_for(words);
  if (Status status = line.parse(arguments); !status.ok()) return status;
  if (line.help()) return write_answer(line.help_text()) ? Status() : write_failure();
  const auto& [model, folder, anew, json] = words;
  if (!model.empty() && !folder.empty()) {
    return Status(StatusCode::invalid_argument, "--dir and a model exclude each other")
        .because("the drive that holds the model is measured");
  }

  MachineProbeOptions options{.folder = folder.empty() ? "." : folder,
                              .profiles_folder = cache_folder("profiles"),
                              .anew = anew,
                              .stop = &interrupt_flag()};
  if (!model.empty()) {
    const Result<std::string> path = model_path(model);
    if (!path.ok()) return path.status();
    Result<std::string> file = file_to_read(*path);
    if (!file.ok()) return file.status();
    options.file = *std::move(file);
  }
  Result<ProbedMachine> machine = [&] {
    ProgressLine progress;
    options.progress = [&](const char* what, double share) {
      progress.show(fmt::format("measuring: {} ({:.0f} %)", what, 100 * share));
    };
    return load_or_measure(options);
  }();
  if (!machine.ok()) return machine.status();
  if (!machine->note.empty()) write_note(machine->note + "\n");
  if (!machine->path.empty() && !json) {
    write_note(fmt::format("{} in {}\n", machine->measured ? "kept" : "as kept", machine->path));
  }
  const std::string text = json ? profile_json(machine->profile) : profile_text(machine->profile);
  return write_answer(text) ? Status() : write_failure();
}

}  // namespace hypura::cli
