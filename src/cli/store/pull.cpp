#include "cli/store/pull.h"

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/clock.h"
#include "base/units.h"
#include "cli/command_line.h"
#include "cli/store/environment.h"
#include "cli/store/model_words.h"
#include "cli/terminal.h"
#include "model/printable.h"
#include "store/model_name.h"

namespace hypura::cli {
namespace {

constexpr int kBarColumns = 24;

struct Words {
  std::string what;
  std::string name;
  std::string sha256;
  bool json = false;
};

CommandLine line_for(Words& words) {
  CommandLine line("pull",
                   "Fetches a model, and goes on where it was interrupted. Nothing else of hypura "
                   "downloads anything, but estimate where it is given an address.");
  line.word("MODEL", words.what,
            "llama3.2:3b of Ollama's library, ORG/REPO[:QUANTIZATION] of Hugging Face, an "
            "address, or a path, which is linked");
  line.option("--name", words.name, "name to keep it under", "NAME");
  line.option("--sha256", words.sha256, "SHA-256 that the file must have", "HEX");
  line.flag("--json", words.json, "print one JSON object");
  return line;
}

std::string bar(double share) {
  const int full = static_cast<int>(share * kBarColumns);
  return fmt::format("[{}{}]", std::string(full, '='), std::string(kBarColumns - full, ' '));
}

// How far it is: one changing line on a terminal, else a line for each phase.
class PullView {
 public:
  void show(const PullProgress& progress) {
    if (progress.status != status_) {
      status_ = progress.status;
      begin_seconds_ = now_seconds();
      begin_bytes_ = progress.completed;
      if (!terminal_) write_note(printable(status_) + "\n");
    }
    if (terminal_) line_.show(text(progress));
  }

 private:
  std::string text(const PullProgress& progress) const {
    if (progress.completed == 0) return printable(progress.status);
    const double seconds = now_seconds() - begin_seconds_;
    const uint64_t bytes = saturating_subtract(progress.completed, begin_bytes_);
    const auto rate =
        seconds > 0 ? static_cast<uint64_t>(static_cast<double>(bytes) / seconds) : 0;
    if (progress.total == 0) {
      return fmt::format("{} {}", printable(progress.status), format_bytes(progress.completed));
    }
    const double share =
        static_cast<double>(progress.completed) / static_cast<double>(progress.total);
    return fmt::format("{} {} {} of {}, {}/s", printable(progress.status), bar(share),
                       format_bytes(progress.completed), format_bytes(progress.total),
                       format_bytes(rate));
  }

  const bool terminal_ = isatty(STDERR_FILENO) != 0;
  std::string status_;
  double begin_seconds_ = 0;
  uint64_t begin_bytes_ = 0;
  ProgressLine line_;
};

Result<StoredModel> pull_visibly(const Words& words) {
  PullView view;
  PullOptions options = user_pull_options();
  options.name = words.name;
  options.sha256 = lower_case(words.sha256);
  options.tell = [&view](const PullProgress& progress) { view.show(progress); };
  return pull(user_models(), words.what, options);
}

}  // namespace

CommandDescription describe_pull() {
  Words words;
  return line_for(words).description();
}

Status pull_command(const std::vector<std::string>& arguments) {
  Words words;
  CommandLine line = line_for(words);
  if (Status status = line.parse(arguments); !status.ok()) return status;
  if (line.help()) return write_answer(line.help_text()) ? Status() : write_failure();
  const Result<StoredModel> model = pull_visibly(words);
  if (!model.ok()) return model.status();
  std::string text = printable(model->name) + "\n";
  if (words.json) {
    nlohmann::ordered_json object = {{"schema", 1}};
    object.update(model_json(*model));
    text = object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  }
  return write_answer(text) ? Status() : write_failure();
}

}  // namespace hypura::cli
