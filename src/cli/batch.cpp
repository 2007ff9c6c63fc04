#include "cli/batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <unordered_set>
#include <utility>

#include "base/clock.h"
#include "cli/command_line.h"
#include "cli/interrupt.h"
#include "cli/output_file.h"
#include "cli/run_options.h"
#include "cli/serving.h"
#include "cli/store/model_argument.h"
#include "cli/terminal.h"
#include "server/batch/batch_file.h"
#include "server/batch/batch_run.h"

namespace hypura::cli {
namespace {

constexpr int kParallel = 32;
constexpr int kParallelMax = 256;
constexpr int kSuccess = 200;

struct Words {
  std::string output;
  std::string model;
  int parallel = kParallel;
};

RunCommand batch_command(Words& words) {
  return {.name = "batch",
          .description =
              "Answers a file of requests in OpenAI's batch format; sequences that "
              "compute together share what is read. Run again, it goes on.",
          .describe =
              [&words](CommandLine& line) {
                line.option("-o,--output", words.output, "file for the answers, a line each",
                            "FILE");
                line.option("--model", words.model, "for all requests (default: each body's)",
                            "MODEL");
                line.option("--parallel", words.parallel, 1, kParallelMax,
                            fmt::format("requests computed at a time (default: {})", kParallel));
              },
          .own = {"--output", "-o", "--model", "--parallel"},
          .refused = options_of_a_run(),
          .word = "FILE",
          .word_help = "requests, a line each: custom_id, method, url and body"};
}

// Answers on their way to the file, and how far they are.
class Output {
 public:
  Output(std::FILE* file, size_t done, size_t all) : file_(file), done_(done), all_(all) {}
  ~Output() { std::fclose(file_); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  Status write(const BatchRequest& request, const BatchAnswer& answer) {
    const std::string line = answer_line(request, answer);
    if (std::fwrite(line.data(), 1, line.size(), file_) != line.size() ||
        std::fflush(file_) != 0) {
      return Status(StatusCode::failed,
                    fmt::format("cannot write the answer to {}: {}", request.custom_id,
                                std::strerror(errno)))
          .suggest("room on the disk; run again, it goes on behind the last answer");
    }
    ++now_;
    if (answer.status_code != kSuccess) ++failed_;
    const double seconds = now_seconds() - start_;
    const double left = seconds / static_cast<double>(now_) *
                        static_cast<double>(all_ - done_ - now_);
    progress_.show(fmt::format("{} of {} answered, {} failed, {:.0f} s left", done_ + now_, all_,
                               failed_, left));
    return Status();
  }

  size_t failed() const { return failed_; }
  std::string summary() const {
    return fmt::format("{} of {} answered, {} failed, {:.1f} s\n", done_ + now_, all_, failed_,
                       now_seconds() - start_);
  }

 private:
  std::FILE* file_;
  size_t done_;
  size_t all_;
  size_t now_ = 0;
  size_t failed_ = 0;
  double start_ = now_seconds();
  ProgressLine progress_;
};

// The models that requests name, in order, with what is left to answer of each.
using Group = std::pair<std::string, std::vector<BatchRequest>>;

Result<std::vector<Group>> group(std::vector<BatchRequest> requests, const std::string& model,
                                 const std::unordered_set<std::string>& answered) {
  std::vector<Group> groups;
  for (BatchRequest& request : requests) {
    if (!answers_in_batch(request.url)) {
      return Status(StatusCode::invalid_argument,
                    fmt::format("line {}: {} cannot be asked for in a batch", request.line,
                                request.url))
          .suggest("/v1/chat/completions, /v1/completions, /v1/embeddings or /v1/responses");
    }
    const std::string name = model.empty() ? request.model : model;
    if (name.empty()) {
      return Status(StatusCode::invalid_argument,
                    fmt::format("line {} names no model", request.line))
          .suggest("--model MODEL for all of them");
    }
    if (answered.contains(request.custom_id)) continue;
    auto named = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& other) { return other.first == name; });
    if (named == groups.end()) named = groups.insert(named, {name, {}});
    named->second.push_back(std::move(request));
  }
  return groups;
}

Status answer_group(const Group& group, const RunOptions& options, int parallel, Output& output) {
  RunOptions copy = options;
  Result<std::string> path = model_path(group.first);
  if (!path.ok()) return path.status();
  copy.engine.model_path = *std::move(path);
  copy.engine.params.n_parallel = parallel;
  copy.engine.params.embedding =
      std::any_of(group.second.begin(), group.second.end(),
                  [](const BatchRequest& request) { return request.url == "/v1/embeddings"; });
  if (Status status = prepare_to_serve(copy); !status.ok()) return status;
  ModelHost host(std::move(copy.engine), group.first);
  if (Status status = host.open(); !status.ok()) return status;
  const auto write = [&](const BatchRequest& request, const BatchAnswer& answer) {
    return output.write(request, answer);
  };
  return run_batch(host, group.second,
                   {.parallel = parallel, .on_answer = write, .stop = &interrupt_flag()});
}

}  // namespace

CommandDescription describe_batch() {
  Words words;
  return describe(batch_command(words));
}

Status batch(const std::vector<std::string>& arguments) {
  Words words;
  const RunCommand command = batch_command(words);
  Result<RunOptions> options = parse_run_options(arguments, command);
  if (!options.ok()) return options.status();
  if (options->help) return write_answer(run_help(command)) ? Status() : write_failure();
  if (Status status = refuse_what_is_of_a_run(*options); !status.ok()) return status;
  if (words.output.empty()) {
    return Status(StatusCode::invalid_argument, "batch needs a file for the answers")
        .suggest("-o answers.jsonl");
  }
  if (Status status = check_output(words.output, "-o"); !status.ok()) return status;
  Result<std::vector<BatchRequest>> requests = read_batch(options->engine.model_path);
  if (!requests.ok()) return requests.status();
  const size_t all = requests->size();
  const auto answered = keep_answered(words.output);
  if (!answered.ok()) return answered.status();
  const auto groups = group(*std::move(requests), words.model, *answered);
  if (!groups.ok()) return groups.status();

  std::FILE* file = std::fopen(words.output.c_str(), "a");
  if (file == nullptr) {
    return Status(StatusCode::failed,
                  fmt::format("cannot write {}: {}", words.output, std::strerror(errno)));
  }
  size_t left = 0;
  for (const Group& group : *groups) left += group.second.size();
  Output output(file, all - left, all);
  for (const Group& group : *groups) {
    const int parallel = std::min(words.parallel, static_cast<int>(group.second.size()));
    if (Status status = answer_group(group, *options, parallel, output); !status.ok()) {
      write_note(output.summary());
      return status;
    }
  }
  write_note(output.summary());
  if (output.failed() == 0) return Status();
  return Status(StatusCode::failed, fmt::format("{} of {} requests failed", output.failed(), all))
      .because("the lines in " + words.output + " with another status_code than 200 say why")
      .suggest("run it again: only these are asked once more");
}

}  // namespace hypura::cli
