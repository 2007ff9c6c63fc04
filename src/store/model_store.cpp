#include "store/model_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "base/suggestion.h"
#include "model/printable.h"
#include "store/folder_files.h"
#include "store/model_lists.h"
#include "store/model_name.h"
#include "store/own_files.h"

namespace hypura {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUsual = "q4_k_m";  // of a repository's files, where none is named
constexpr size_t kNamesShown = 5;

Status failed(const char* what, const std::string& path, const std::error_code& error) {
  return Status(StatusCode::failed, fmt::format("cannot {} {}: {}", what, path, error.message()));
}

std::string_view after(std::string_view text, char c) {
  const size_t at = text.rfind(c);
  return at == std::string_view::npos ? text : text.substr(at + 1);
}

// Of models that the key does not name in full: those below a repository, or in a subfolder.
std::vector<const StoredModel*> related(const std::vector<StoredModel>& models,
                                        const std::string& key) {
  std::vector<const StoredModel*> found;
  for (const StoredModel& model : models) {
    const std::string own = name_key(model.name);
    const bool in_subfolder = model.source == ModelSource::folder && after(own, '/') == key;
    const bool in_repository = model.source != ModelSource::ollama &&
                               own.find('/') != std::string::npos && own.starts_with(key + "--");
    if (in_subfolder || in_repository) found.push_back(&model);
  }
  return found;
}

const StoredModel* choose(const std::vector<const StoredModel*>& related) {
  if (related.size() == 1) return related.front();
  const auto usual = std::find_if(related.begin(), related.end(), [](const StoredModel* model) {
    return lower_case(after(model->name, ':')) == kUsual;
  });
  return usual == related.end() ? nullptr : *usual;
}

std::string names_of(const std::vector<const StoredModel*>& models) {
  std::string names;
  for (size_t i = 0; i < std::min(models.size(), kNamesShown); ++i) {
    names += (i == 0 ? "" : ", ") + models[i]->name;
  }
  return models.size() > kNamesShown ? names + ", ..." : names;
}

Status not_found(const std::string& name, const std::vector<StoredModel>& models,
                 const std::vector<const StoredModel*>& related) {
  Status status(StatusCode::invalid_argument,
                fmt::format("no model is named {}", printable(name)));
  if (!related.empty()) return std::move(status).suggest("one of " + names_of(related));
  std::vector<std::string> names;
  for (const StoredModel& model : models) names.push_back(model.name);
  const std::string meant = closest(name, names);
  if (meant.empty()) {
    return std::move(status).suggest("hypura list shows what is here, hypura pull NAME fetches it");
  }
  return std::move(status).suggest(fmt::format("did you mean {}? hypura list shows all", meant));
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() != fs::file_type::not_found;
}

Status copy_files(const StoredModel& from, const OwnFiles& to) {
  std::error_code error;
  const bool is_link = fs::is_symlink(from.path, error);
  const auto copy_one = from.source == ModelSource::folder && !is_link ? link_or_copy : link_to;
  const std::string folder = fs::path(to.stem_path).parent_path().string();
  fs::create_directories(folder, error);
  if (error) return failed("create", folder, error);
  std::vector<FileCopy> files;
  if (!from.projector_path.empty()) files.push_back({from.projector_path, to.projector()});
  for (const std::string& path : shards_of(from.path)) {
    files.push_back({path, to.model_like(path)});
  }
  if (Status status = make_all(files, copy_one); !status.ok()) return status;
  const ModelTexts& texts = from.texts;
  const bool told = !from.digest.empty() || !texts.chat_template.empty() ||
                    !texts.system.empty() || !texts.parameters.empty() || !texts.license.empty();
  if (!told) return Status();
  Status status = write_sidecar(to.sidecar(), {.url = "file://" + from.path,
                                               .sha256 = from.digest,
                                               .bytes = from.bytes,
                                               .texts = texts});
  if (!status.ok()) remove_own(to, from.path);
  return status;
}

// What pulls that ended early left of a model of this name. Whether there was any.
bool remove_partial(const std::string& models, const std::string& name) {
  const Result<std::string> stem = stem_of_name(name);
  if (!stem.ok() || models.empty()) return false;
  const OwnFiles own{models + "/" + *stem};
  const std::string folder = fs::path(own.stem_path).parent_path().string();
  bool removed = false;
  for (const std::string& file : files_of(folder).files) {
    const size_t end = file.find(".partial");
    if (end == std::string::npos) continue;
    const std::string whole = folder + "/" + file.substr(0, end);
    if (whole != own.projector() && whole != own.model_like(whole)) continue;
    std::error_code ignored;
    removed = fs::remove(folder + "/" + file, ignored) || removed;
  }
  std::error_code ignored;
  if (folder != models) fs::remove(folder, ignored);
  return removed;
}

}  // namespace

std::vector<StoredModel> ModelStore::list() const {
  std::vector<StoredModel> all = list_folder(folders_.models);
  const auto add = [&all](std::vector<StoredModel> more) {
    std::move(more.begin(), more.end(), std::back_inserter(all));
  };
  for (const std::string& folder : folders_.ollama) add(list_ollama(folder));
  add(list_hugging_face(folders_.hugging_face));
  std::set<std::string> keys;
  std::erase_if(all, [&keys](const StoredModel& model) {
    return !keys.insert(name_key(model.name)).second;
  });
  return all;
}

Result<StoredModel> ModelStore::find(const std::string& name) const {
  if (Status status = check_name(name); !status.ok()) return status;
  const std::vector<StoredModel> models = list();
  const std::string key = name_key(name);
  for (const StoredModel& model : models) {
    if (name_key(model.name) == key) return model;
  }
  const std::vector<const StoredModel*> others = related(models, key);
  if (const StoredModel* chosen = choose(others)) return *chosen;
  return not_found(name, models, others);
}

Result<StoredModel> ModelStore::copy(const std::string& from, const std::string& to) const {
  Result<StoredModel> model = find(from);
  if (!model.ok()) return model.status();
  const Result<std::string> stem = stem_of_name(to);
  if (!stem.ok()) return stem.status();
  if (folders_.models.empty()) {
    return Status(StatusCode::invalid_argument, "there is no folder for models")
        .suggest("HYPURA_MODELS=DIR");
  }
  const OwnFiles own{folders_.models + "/" + *stem};
  const std::vector<StoredModel> models = list();
  const bool taken = std::any_of(models.begin(), models.end(), [&](const StoredModel& other) {
    return name_key(other.name) == name_key(to);
  });
  if (taken || exists(own.model_like(model->path))) {
    return Status(StatusCode::invalid_argument, fmt::format("there is a model named {}", to))
        .suggest(fmt::format("hypura rm {}, or another name", to));
  }
  if (Status status = copy_files(*model, own); !status.ok()) return status;
  return find(to);
}

Status ModelStore::remove(const std::string& name) const {
  const Result<StoredModel> model = find(name);
  if (!model.ok()) return remove_partial(folders_.models, name) ? Status() : model.status();
  if (model->source != ModelSource::folder) {
    const bool ollama = model->source == ModelSource::ollama;
    return Status(StatusCode::invalid_argument,
                  fmt::format("{} belongs to {}", model->name,
                              ollama ? "Ollama" : "Hugging Face's cache"))
        .because(fmt::format("its file is {}", model->path))
        .suggest(ollama ? fmt::format("ollama rm {}", model->name)
                        : "Hugging Face's own hf cache");
  }
  const OwnFiles own = own_files_of(model->path);
  // The first shard first: without it nothing is a model any more.
  for (const std::string& path : shards_of(model->path)) {
    std::error_code error;
    if (!fs::remove(path, error) || error) return failed("remove", path, error);
  }
  remove_own(own, model->path);
  // The owner's folder, if that was its last.
  std::error_code ignored;
  const fs::path folder = fs::path(model->path).parent_path();
  if (folder != fs::path(folders_.models)) fs::remove(folder, ignored);
  return Status();
}

}  // namespace hypura
