#include "server/ollama/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace hypura::ollama {
namespace {

constexpr std::string_view kSpaces = " \t\r\n";
constexpr std::string_view kResponse = "Response";
constexpr size_t kDepthMax = 32;

Status not_known(std::string_view what) {
  return Status(StatusCode::invalid_argument, fmt::format("template: {} is not known here", what))
      .suggest("{{ .System }}, {{ .Prompt }}, {{ .Response }}, {{ if .System }} ... {{ end }}");
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kSpaces);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

void trim_end(std::string& text) {
  const size_t last = text.find_last_not_of(kSpaces);
  text.erase(last == std::string::npos ? 0 : last + 1);
}

// A branch of an `if`.
struct Branch {
  bool shown = true;   // this branch is
  bool taken = false;  // one of the `if` was
};

// Text and actions in turn.
class Renderer {
 public:
  Renderer(std::string_view text, const std::map<std::string, std::string>& values)
      : rest_(text), values_(values) {}

  Result<std::string> render() {
    while (!rest_.empty() && !ended_) {
      const size_t open = rest_.find("{{");
      add(rest_.substr(0, open));
      if (open == std::string_view::npos) break;
      rest_.remove_prefix(open + 2);
      const size_t close = rest_.find("}}");
      if (close == std::string_view::npos) return not_known("{{ without }}");
      std::string_view action = rest_.substr(0, close);
      rest_.remove_prefix(close + 2);
      if (action.starts_with("- ")) {
        action.remove_prefix(1);
        if (shown()) trim_end(out_);
      }
      if (action.ends_with(" -")) {
        action.remove_suffix(1);
        rest_.remove_prefix(std::min(rest_.find_first_not_of(kSpaces), rest_.size()));
      }
      if (Status status = act(trimmed(action)); !status.ok()) return status;
    }
    if (!ended_ && !branches_.empty()) return not_known("if without end");
    return std::move(out_);
  }

 private:
  bool shown() const { return branches_.empty() || branches_.back().shown; }
  void add(std::string_view text) {
    if (shown()) out_ += text;
  }

  Result<std::string> value_of(std::string_view word) const {
    if (!word.starts_with('.')) return not_known(word);
    const auto found = values_.find(std::string(word.substr(1)));
    if (found == values_.end()) return not_known(word);
    return found->second;
  }

  Status act(std::string_view action) {
    if (action.starts_with("/*")) return Status();
    if (action.starts_with("if ")) return begin(trimmed(action.substr(3)));
    if (action.starts_with("else if ")) return otherwise(trimmed(action.substr(8)));
    if (action == "else") return otherwise({});
    if (action == "end") {
      if (branches_.empty()) return not_known("end without if");
      branches_.pop_back();
      return Status();
    }
    if (trimmed(action) == ".Response" && shown()) {
      ended_ = true;
      return Status();
    }
    const Result<std::string> value = value_of(action);
    if (!value.ok()) return value.status();
    add(*value);
    return Status();
  }

  Status begin(std::string_view condition) {
    if (branches_.size() >= kDepthMax) return not_known("an if in so many others");
    const Result<std::string> value = value_of(condition);
    if (!value.ok()) return value.status();
    const bool outer = shown();
    branches_.push_back({.shown = outer && !value->empty(), .taken = !outer || !value->empty()});
    return Status();
  }

  Status otherwise(std::string_view condition) {
    if (branches_.empty()) return not_known("else without if");
    Branch& branch = branches_.back();
    bool holds = true;
    if (!condition.empty()) {
      const Result<std::string> value = value_of(condition);
      if (!value.ok()) return value.status();
      holds = !value->empty();
    }
    branch.shown = !branch.taken && holds;
    branch.taken = branch.taken || holds;
    return Status();
  }

  std::string_view rest_;
  const std::map<std::string, std::string>& values_;
  std::string out_;
  std::vector<Branch> branches_;
  bool ended_ = false;
};

}  // namespace

Result<std::string> render_template(const std::string& text,
                                    const std::map<std::string, std::string>& values) {
  std::map<std::string, std::string> known = values;
  known.emplace(kResponse, "");
  return Renderer(text, known).render();
}

}  // namespace hypura::ollama
