#include "store/download.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/units.h"
#include "model/printable.h"
#include "store/own_files.h"

namespace hypura {
namespace {

constexpr int kTriesMax = 5;       // in a row that bring nothing
constexpr int kAttemptsMax = 1000;
constexpr int kRestartsMax = 3;    // since the file changes on the server
constexpr int64_t kWaitMs = 250;   // before a second try; twice as long before each further one
constexpr double kTellSeconds = 0.1;
constexpr std::string_view kMagic = "GGUF";

class Download {
 public:
  Download(const DownloadFile& what, const HttpSettings& settings, const PullCallback& tell,
           PartialFile file)
      : what_(what), settings_(settings), tell_(tell), file_(std::move(file)) {
    expected_ = what.sha256.empty() ? file_.origin().sha256 : what.sha256;
    total_ = what.bytes != 0 ? what.bytes : file_.origin().bytes;
  }

  Result<DownloadedFile> run() {
    if (Status status = fetch(); !status.ok()) {
      if (file_.bytes() == 0) file_.discard();
      return status;
    }
    tell("verifying sha256 digest");
    if (Status status = file_.flush(); !status.ok()) return status;
    std::string actual = file_.hex();
    if (!expected_.empty() && actual != expected_) {
      file_.discard();
      return wrong_hash(what_.url, actual, expected_);
    }
    return DownloadedFile{.file = std::move(file_), .sha256 = std::move(actual)};
  }

 private:
  bool is_whole() const { return total_ != 0 && file_.bytes() == total_; }

  Status refuse(const std::string& why) const {
    return Status(StatusCode::failed, fmt::format("cannot fetch {}", printable(what_.url)))
        .because(why);
  }

  void tell(const std::string& status) const {
    if (!tell_) return;
    tell_({.status = status,
           .digest = expected_.empty() ? "" : "sha256:" + expected_,
           .total = total_,
           .completed = file_.bytes()});
  }

  void tell_pulling() {
    told_seconds_ = now_seconds();
    const std::string name = std::filesystem::path(what_.path).filename().string();
    tell("pulling " + (expected_.empty() ? name : expected_.substr(0, 12)));
  }

  Status fetch() {
    if (Status status = drop_doubtful(); !status.ok()) return status;
    tell_pulling();
    int tries = 0;
    int restarts = 0;
    for (int attempt = 0; !is_whole() && attempt < kAttemptsMax; ++attempt) {
      Result<bool> complete = attempt_once();
      if (!complete.ok()) return complete.status();
      if (*complete) break;
      if (changed_) {
        if (++restarts > kRestartsMax) return refuse("the file changes while it is sent");
        if (Status status = file_.clear(); !status.ok()) return status;
        total_ = what_.bytes;
        continue;
      }
      tries = file_.bytes() > most_bytes_ ? 0 : tries + 1;
      most_bytes_ = std::max(most_bytes_, file_.bytes());
      if (tries >= kTriesMax) {
        return refuse(error_).suggest("again later: it goes on where it stopped");
      }
      if (!wait_ms(kWaitMs << tries, settings_.stop)) break;
      if (Status status = drop_doubtful(); !status.ok()) return status;
    }
    if (settings_.stop != nullptr && settings_.stop->load()) {
      return Status(StatusCode::interrupted, "interrupted");
    }
    if (total_ != 0 && !is_whole()) return refuse(error_);
    total_ = file_.bytes();
    tell_pulling();
    if (file_.bytes() >= kMagic.size()) return Status();
    file_.discard();
    return not_gguf();
  }

  // What is here is a beginning of the file only if its version or its hash will say so.
  Status drop_doubtful() {
    const bool checked = !file_.origin().version.empty() || !expected_.empty();
    const bool fits = total_ == 0 || file_.bytes() <= total_;
    if (checked && fits && file_.bytes() >= kMagic.size()) return Status();
    return file_.bytes() == 0 ? Status() : file_.clear();
  }

  // Whether all has come; if not, changed_ and error_ say why.
  Result<bool> attempt_once() {
    answered_ = changed_ = false;
    problem_ = Status();
    const HttpRequest request{
        .url = what_.url, .offset = file_.bytes(), .if_range = file_.origin().version};
    const Result<HttpOutcome> outcome =
        http_get(request, settings_, [this](const HttpHead& head, std::string_view bytes) {
          problem_ = take(head, bytes);
          return problem_.ok() && !changed_;
        });
    if (!outcome.ok()) return outcome.status();
    if (!problem_.ok()) return problem_;
    if (changed_) return false;
    error_ = outcome->error;
    const long status = outcome->head.status;
    switch (outcome->end) {
      case HttpOutcome::End::ended: return Status(StatusCode::interrupted, "interrupted");
      case HttpOutcome::End::refused: return refuse(error_);
      case HttpOutcome::End::dropped: return false;
      case HttpOutcome::End::complete: break;
    }
    if (status == 416) return changed_ = true, false;
    if (status == 429 || status >= 500) {
      error_ = fmt::format("the server answers {}", status);
      return false;
    }
    if (status != 200 && status != 206) {
      return refuse_answer(request, settings_, status);
    }
    if (!answered_) {  // an empty file is what is there now
      if (Status cleared = file_.clear(); !cleared.ok()) return cleared;
      total_ = 0;
      return true;
    }
    if (total_ == 0 || is_whole()) return true;
    error_ = fmt::format("it ends after {} of {} bytes", file_.bytes(), total_);
    return false;
  }

  Status take(const HttpHead& head, std::string_view bytes) {
    if (!answered_) {
      if (Status status = take_head(head); !status.ok() || changed_) return status;
      answered_ = true;
    }
    if (total_ != 0 && bytes.size() > total_ - file_.bytes()) {
      return refuse(fmt::format("it sends more than the {} bytes that it announced", total_));
    }
    if (file_.bytes() < kMagic.size()) {
      start_ = (file_.bytes() == 0 ? std::string() : start_).append(bytes.substr(0, kMagic.size()));
      if (start_.substr(0, kMagic.size()) != kMagic.substr(0, start_.size())) {
        file_.discard();
        return not_gguf();
      }
    }
    if (Status status = file_.append(bytes); !status.ok()) return status;
    if (now_seconds() - told_seconds_ >= kTellSeconds) tell_pulling();
    return Status();
  }

  // What a response says of the file, before the first byte of it is kept.
  Status take_head(const HttpHead& head) {
    const bool part = head.status == 206;
    const uint64_t total = (part ? head.file_bytes : head.bytes).value_or(0);
    const PartialFile::Origin& origin = file_.origin();
    if (part) {
      const bool other = !origin.version.empty() && head.version != origin.version;
      changed_ = other || head.range_start != file_.bytes() || total == 0 ||
                 (origin.bytes != 0 && total != origin.bytes);
      if (changed_) return Status();
    } else if (file_.bytes() > 0) {
      if (Status status = file_.clear(); !status.ok()) return status;
    }
    if (what_.bytes != 0 && total != 0 && total != what_.bytes) {
      return refuse(fmt::format("it has {} bytes, {} were announced", total, what_.bytes));
    }
    if (what_.bytes == 0) total_ = total;
    if (what_.sha256.empty() && (!part || !head.sha256.empty())) expected_ = head.sha256;
    const std::string folder = std::filesystem::path(what_.path).parent_path().string();
    if (Status status = check_room(folder, saturating_subtract(total_, file_.bytes()));
        !status.ok()) {
      return status;
    }
    return file_.set_origin({.url = what_.url,
                             .version = head.version,
                             .sha256 = expected_,
                             .bytes = total_});
  }

  Status not_gguf() const {
    return Status(StatusCode::invalid_model,
                  fmt::format("{} is no GGUF file", printable(what_.url)))
        .because(start_.empty() ? "it is empty" : "it begins with " + printable(start_));
  }

  const DownloadFile& what_;
  const HttpSettings& settings_;
  const PullCallback& tell_;
  PartialFile file_;
  std::string expected_;  // SHA-256
  uint64_t total_ = 0;    // of the file; 0: not known yet
  uint64_t most_bytes_ = 0;
  std::string start_;  // up to the magic's length
  double told_seconds_ = 0;
  // Of the attempt under way.
  bool answered_ = false;
  bool changed_ = false;  // what is here is of another version
  Status problem_;
  std::string error_;
};

}  // namespace

Status wrong_hash(const std::string& what, const std::string& actual,
                  const std::string& expected) {
  return Status(StatusCode::failed, fmt::format("{} has the wrong SHA-256", printable(what)))
      .because(fmt::format("it is {}, not {}", actual, expected))
      .suggest("once more, if it was damaged on the way; else it is another file");
}

Result<DownloadedFile> download(const DownloadFile& what, const HttpSettings& settings,
                                const PullCallback& tell) {
  Result<PartialFile> file = PartialFile::open(what.path, what.url, settings.stop);
  if (!file.ok()) return file.status();
  return Download(what, settings, tell, *std::move(file)).run();
}

}  // namespace hypura
