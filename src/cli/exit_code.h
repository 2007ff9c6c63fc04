#pragma once

#include "base/status.h"

namespace hypura::cli {

// The exit codes of every command.
enum ExitCode : int {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kDoesNotFit = 3,
  kInvalidModel = 4,
  kInterrupted = 130,
};

inline ExitCode exit_code(const Status& status) {
  switch (status.code()) {
    case StatusCode::ok: return kDone;
    case StatusCode::failed: return kFailed;
    case StatusCode::invalid_argument: return kUsage;
    case StatusCode::does_not_fit: return kDoesNotFit;
    case StatusCode::invalid_model: return kInvalidModel;
    case StatusCode::interrupted: return kInterrupted;
  }
  return kFailed;
}

}  // namespace hypura::cli
