#include "cli/bench/bench.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>

#include "cli/bench/options.h"
#include "cli/bench/output.h"
#include "cli/bench/runner.h"
#include "cli/interrupt.h"
#include "cli/output_file.h"
#include "cli/store/model_argument.h"
#include "cli/terminal.h"

namespace hypura::cli {
namespace {

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return Status(StatusCode::failed,
                  fmt::format("cannot open {}: {}", path, std::strerror(errno)));
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string show(BenchOutput output, const BenchFindings& findings) {
  switch (output) {
    case BenchOutput::markdown:
      return bench_markdown(findings);
    case BenchOutput::json:
      return bench_json(findings);
    case BenchOutput::csv:
      return bench_csv(findings);
  }
  return {};
}

// The first of what makes the command fail.
Status verdict(const BenchFindings& findings) {
  if (findings.report.partial) return Status(StatusCode::interrupted, "interrupted");
  if (!findings.texts.agree) {
    return Status(StatusCode::failed, findings.texts.message)
        .because("greedy texts of one model are the same, whatever the arm and the sample")
        .suggest("-o json, which has every text; docs/hacking.md says how to look on");
  }
  for (const ArmSummary& arm : findings.summary.arms) {
    if (arm.arm->name == kHypuraArm && !arm.decode_tps) {
      return Status(StatusCode::failed, "no sample of hypura succeeded").because(arm.first_failure);
    }
  }
  if (findings.comparison && findings.comparison->regression()) {
    return Status(StatusCode::failed, "slower than the old report, beyond noise")
        .because("an arm's interval lies entirely below its old one");
  }
  return Status();
}

}  // namespace

Status bench(const std::vector<std::string>& arguments) {
  Result<BenchOptions> options = parse_bench_options(arguments);
  if (!options.ok()) return options.status();
  if (options->help) return write_answer(bench_help()) ? Status() : write_failure();
  Result<std::string> path = model_path(options->model);
  if (!path.ok()) return path.status();
  options->model = *std::move(path);
  // Before hours of samples, not after them.
  if (Status status = check_output(options->save, "--save"); !status.ok()) return status;
  std::optional<std::string> old_report;
  if (!options->old_report.empty()) {
    Result<std::string> text = read_file(options->old_report);
    if (!text.ok()) return text.status();
    old_report = *std::move(text);
    const Result<BenchComparison> readable = compare_reports(*old_report, {}, {});
    if (!readable.ok()) return readable.status();
  }
  const Result<ModelIndex> index = ModelIndex::open(options->model);
  if (!index.ok()) return index.status();

  const Result<BenchReport> report = BenchRunner(*options, *index, interrupt_flag()).run();
  if (!report.ok()) return report.status();
  const BenchSummary summary = summarise(*report);
  const TextCheck texts = compare_texts(report->arms);
  std::optional<BenchComparison> comparison;
  if (old_report) {
    Result<BenchComparison> compared = compare_reports(*old_report, *report, summary);
    if (!compared.ok()) return compared.status();
    comparison = *std::move(compared);
  }
  const BenchFindings findings{*report, summary, texts, comparison};
  if (!write_answer(show(options->output, findings))) return write_failure();
  if (!options->save.empty()) {
    Status status = write_file(options->save, bench_json(findings));
    if (!status.ok()) return status;
  }
  return verdict(findings);
}

}  // namespace hypura::cli
