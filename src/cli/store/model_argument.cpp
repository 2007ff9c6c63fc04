#include "cli/store/model_argument.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "cli/plan/fetch_header.h"
#include "cli/store/environment.h"
#include "model/printable.h"

namespace hypura::cli {
namespace {

bool is_path(const std::string& word) {
  return word.starts_with("/") || word.starts_with("./") || word.starts_with("../") ||
         word.ends_with(".gguf") || is_url(word);
}

}  // namespace

Result<std::string> model_path(const std::string& word) {
  std::error_code ignored;
  const std::filesystem::file_status file = std::filesystem::symlink_status(word, ignored);
  if (is_path(word) || std::filesystem::exists(file)) return word;
  Result<StoredModel> model = user_models().find(word);
  if (model.ok()) return std::move(model->path);
  Status refused(model.status().code(),
                 fmt::format("no file and no model is named {}", printable(word)));
  return std::move(refused).because(model.status().why()).suggest(model.status().hint());
}

}  // namespace hypura::cli
