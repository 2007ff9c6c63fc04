#include "cli/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "cli/command_line.h"
#include "cli/folders.h"
#include "cli/interrupt.h"
#include "cli/plan/history_file.h"
#include "cli/plan/history_words.h"
#include "cli/profile.h"
#include "cli/store/model_argument.h"
#include "cli/terminal.h"
#include "engine/machine_probe.h"
#include "machine/health.h"
#include "machine/profile_json.h"
#include "plan/bound.h"

namespace hypura::cli {
namespace {

using Json = nlohmann::ordered_json;

// Files of models, and the share of them that a token uses in the usual mixtures of experts.
constexpr std::array<uint64_t, 7> kClassGigabytes = {2, 4, 8, 16, 32, 64, 128};
constexpr double kMoeShare = 0.1;
constexpr uint64_t kGigabyte = 1'000'000'000;

std::string speed_text(const ThumbSpeed& speed) {
  if (speed.decode_tps == 0) return "not known";
  const std::string rate = fmt::format("{:.3g} tok/s", speed.decode_tps);
  if (speed.resident_share == 1) return rate + ", in memory";
  return fmt::format("{}, {:.0f} % streamed", rate, 100 * (1 - speed.resident_share));
}

std::string class_table(const DoctorPage& page) {
  std::string text = "\nwhat it can run: a rule of thumb, for 4-bit weights and short contexts\n";
  text += fmt::format("{:>10}  {:<30}{}\n", "weights", "dense",
                      fmt::format("experts, {:.0f} % of them used a token", 100 * kMoeShare));
  for (const uint64_t gigabytes : kClassGigabytes) {
    const uint64_t bytes = gigabytes * kGigabyte;
    text += fmt::format(
        "{:>7} GB  {:<30}{}\n", gigabytes,
        speed_text(rule_of_thumb(page.machine, page.capacity_bytes, {.bytes = bytes})),
        speed_text(rule_of_thumb(page.machine, page.capacity_bytes,
                                 {.bytes = bytes, .active_share = kMoeShare})));
  }
  return text;
}

std::string model_line(const DoctorPage& page) {
  if (!page.model) return "";
  const ThumbSpeed speed = rule_of_thumb(page.machine, page.capacity_bytes, *page.model);
  return fmt::format("this model: {}, {:.0f} % of it used a token: {}{}\n",
                     format_bytes(page.model->bytes), 100 * page.model->active_share,
                     speed_text(speed), speed.drive_bound ? ", waits for the drive" : "");
}

std::string limits_text(const DoctorPage& page) {
  if (page.findings.empty()) return "\nnothing hinders it\n";
  std::string text = "\nwhat hinders it\n";
  for (const Finding& finding : page.findings) {
    text += fmt::format("  {}{}: {}\n", finding.severity == Severity::broken ? "BROKEN " : "",
                        finding.topic, finding.what);
    text += fmt::format("    try: {}\n", finding.fix);
  }
  return text;
}

std::string history_line(const DoctorPage& page) {
  if (page.history.empty()) return "";
  const auto known = [](const char* name, const Correction& correction) {
    return correction.runs == 0 ? std::string()
                                : fmt::format(" {}: {},", name, past_text(correction));
  };
  const std::string runs = known("decode", page.past.decode) + known("prompt", page.past.prompt);
  return fmt::format("history{} in {}\n", runs.empty() ? " none of this machine," : runs,
                     page.history);
}

bool can_run(const DoctorPage& page) {
  return std::none_of(
      page.findings.begin(), page.findings.end(),
      [](const Finding& finding) { return finding.severity == Severity::broken; });
}

Json speed_json(const ThumbSpeed& speed) {
  return {{"decode_tps", speed.decode_tps == 0 ? Json(nullptr) : Json(speed.decode_tps)},
          {"resident_share", speed.resident_share},
          {"drive_bound", speed.drive_bound}};
}

// No factor: which one holds depends on the run.
Json past_json(const Correction& past) {
  return {{"runs", past.runs},
          {"median_error", past.runs > 0 ? Json(past.median_error) : Json(nullptr)}};
}

Json rate_json(double gbps) { return gbps == 0 ? Json(nullptr) : Json(gbps); }

}  // namespace

std::string doctor_text(const DoctorPage& page) {
  const MachineProfile& machine = page.machine;
  std::string text =
      fmt::format("{}, {} cores, {} of memory, {} for weights\n", machine.cpu, machine.cores,
                  format_bytes(machine.memory.total_bytes), format_bytes(page.capacity_bytes));
  if (machine.drive.sequential_gbps > 0) {
    text += fmt::format("memory reads {:.3g} GB/s, {} ({}) {:.3g} GB/s\n", machine.memory.read_gbps,
                        machine.drive.device, machine.drive.filesystem,
                        machine.drive.sequential_gbps);
  } else {
    text += fmt::format(
        "memory reads {:.3g} GB/s; the drive is not measured: name a model, or `hypura profile`\n",
        machine.memory.read_gbps);
  }
  return text + history_line(page) + model_line(page) + class_table(page) + limits_text(page);
}

std::string doctor_json(const DoctorPage& page) {
  Json classes = Json::array();
  for (const uint64_t gigabytes : kClassGigabytes) {
    const uint64_t bytes = gigabytes * kGigabyte;
    classes.push_back(
        {{"weight_bytes", bytes},
         {"dense", speed_json(rule_of_thumb(page.machine, page.capacity_bytes, {.bytes = bytes}))},
         {"experts", speed_json(rule_of_thumb(page.machine, page.capacity_bytes,
                                              {.bytes = bytes, .active_share = kMoeShare}))}});
  }
  Json findings = Json::array();
  for (const Finding& finding : page.findings) {
    findings.push_back(
        {{"severity", finding.severity == Severity::broken ? "broken" : "advice"},
         {"topic", finding.topic},
         {"what", finding.what},
         {"fix", finding.fix}});
  }
  Json model = nullptr;
  if (page.model) {
    model = speed_json(rule_of_thumb(page.machine, page.capacity_bytes, *page.model));
    model["weight_bytes"] = page.model->bytes;
    model["active_share"] = page.model->active_share;
  }
  const Json history = {{"path", page.history},
                        {"decode", past_json(page.past.decode)},
                        {"prompt", past_json(page.past.prompt)}};
  const Json object = {{"schema", 1},
                       {"can_run", can_run(page)},
                       {"capacity_bytes", page.capacity_bytes},
                       {"memory_gbps", rate_json(page.machine.memory.read_gbps)},
                       {"drive_gbps", rate_json(page.machine.drive.sequential_gbps)},
                       {"profile_date", page.machine.date},
                       {"history", page.history.empty() ? Json(nullptr) : history},
                       {"classes", classes},
                       {"model", model},
                       {"findings", findings}};
  return object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

ModelShape shape_of(const ModelIndex& index) {
  const uint64_t bytes = index.info().weight_bytes;
  const TokenBytes token = token_bytes(index);
  const double active = static_cast<double>(token.dense + token.routed);
  return {.bytes = bytes, .active_share = bytes > 0 ? active / static_cast<double>(bytes) : 1};
}

namespace {

struct Words {
  std::string model;
  bool json = false;
};

CommandLine line_for(Words& words) {
  CommandLine line("doctor", "Says what this machine can run, what hinders it, and what helps.");
  line.optional_word("MODEL", words.model, "GGUF file whose place is looked at");
  line.flag("--json", words.json, "print one JSON object");
  return line;
}

}  // namespace

CommandDescription describe_doctor() {
  Words words;
  return line_for(words).description();
}

Status doctor(const std::vector<std::string>& arguments) {
  Words words;
  CommandLine line = line_for(words);
  if (Status status = line.parse(arguments); !status.ok()) return status;
  if (line.help()) return write_answer(line.help_text()) ? Status() : write_failure();

  Result<std::string> path = words.model.empty() ? words.model : model_path(words.model);
  if (!path.ok()) return path.status();
  const std::string& model = *path;
  DoctorPage page;
  MachineProbeOptions options{.profiles_folder = cache_folder("profiles"),
                              .stop = &interrupt_flag()};
  if (!model.empty()) {
    const Result<ModelIndex> index = ModelIndex::open(model);
    if (!index.ok()) return index.status();
    page.model = shape_of(*index);
    Result<std::string> file = file_to_read(model);
    if (!file.ok()) return file.status();
    options.file = *std::move(file);
  }
  const Health health = examine(model.empty() ? options.folder : options.file);
  page.capacity_bytes = weight_capacity(health.available_bytes);
  page.findings = diagnose(health, {});
  if (can_run(page)) {  // else there may be no memory to measure with
    Result<MachineProfile> machine = quick_profile(options);
    if (!machine.ok()) return machine.status();
    page.machine = *std::move(machine);
    page.findings = diagnose(health, page.machine.warnings);
    page.history = history_path();
    page.past = calibrate(past_runs(page.history), {.profile = profile_id(page.machine)}, {});
  }
  const std::string text = words.json ? doctor_json(page) : doctor_text(page);
  if (!write_answer(text)) return write_failure();
  return can_run(page) ? Status() : Status(StatusCode::failed, "hypura cannot run here");
}

}  // namespace hypura::cli
