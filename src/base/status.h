#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/check.h"

namespace hypura {

// Why an operation on the caller's world (files, devices, budgets) did not succeed. The command
// line maps each to one exit code (cli/exit_code.h).
enum class StatusCode {
  ok,
  failed,            // reading, allocating or computing went wrong
  invalid_argument,  // a flag or value nobody can act on
  does_not_fit,      // the plan needs more memory than the budget allows
  invalid_model,     // the file is not a model we can trust
  interrupted,       // the user asked to stop
};

// An outcome with what happened, why, and what to try. `why` and `hint` may be empty; each is one
// line. Cheap to move; ok() carries no strings.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  Status& because(std::string why) & { return why_ = std::move(why), *this; }
  Status&& because(std::string why) && { return why_ = std::move(why), std::move(*this); }
  Status& suggest(std::string hint) & { return hint_ = std::move(hint), *this; }
  Status&& suggest(std::string hint) && { return hint_ = std::move(hint), std::move(*this); }

  bool ok() const { return code_ == StatusCode::ok; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::string& why() const { return why_; }
  const std::string& hint() const { return hint_; }

  // "error: MESSAGE", then "  why: WHY" and "  try: HINT" where they are set.
  std::string to_string() const;

 private:
  StatusCode code_ = StatusCode::ok;
  std::string message_;
  std::string why_;
  std::string hint_;
};

// A value or the Status that explains its absence.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status status) : status_(std::move(status)) { HYPURA_CHECK(!status_.ok()); }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  // REQUIRES: ok().
  T& operator*() & { return checked(); }
  const T& operator*() const& { return const_cast<Result*>(this)->checked(); }
  T&& operator*() && { return std::move(checked()); }
  T* operator->() { return &checked(); }
  const T* operator->() const { return &const_cast<Result*>(this)->checked(); }

 private:
  T& checked() {
    HYPURA_CHECK(value_.has_value());
    return *value_;
  }

  std::optional<T> value_;
  Status status_;
};

}  // namespace hypura
