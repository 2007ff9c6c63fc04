#include "base/status.h"

namespace hypura {

std::string Status::to_string() const {
  if (ok()) return "ok";
  std::string text = "error: " + message_;
  if (!why_.empty()) text += "\n  why: " + why_;
  if (!hint_.empty()) text += "\n  try: " + hint_;
  return text;
}

}  // namespace hypura
