#include "cli/store/show.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/units.h"
#include "cli/command_line.h"
#include "cli/inspect.h"
#include "cli/store/environment.h"
#include "cli/store/model_argument.h"
#include "cli/store/model_words.h"
#include "cli/terminal.h"
#include "model/gguf_reader.h"
#include "model/model_index.h"
#include "model/printable.h"

namespace hypura::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Words {
  std::string model;
  bool json = false;
};

CommandLine line_for(Words& words) {
  CommandLine line("show", "Shows what a model is, what it is licensed under and how it talks.");
  line.word("MODEL", words.model, "name of a model, or GGUF file");
  line.flag("--json", words.json, "print one JSON object");
  return line;
}

// What the command shows: the model's own words where nothing beside it has others.
struct Page {
  StoredModel model;
  ModelInfo info;
  std::string license;
  std::string chat_template;
};

// A file that is no stored model.
Result<StoredModel> as_stored(const std::string& path) {
  StoredModel model{.name = std::filesystem::path(path).stem().string(), .path = path};
  const Result<ModelIndex> index = ModelIndex::open(path);
  if (!index.ok()) return index.status();
  model.path = index->shards().front().path;
  take_sizes(model);
  return model;
}

Result<Page> page_of(const std::string& word) {
  const Result<std::string> path = model_path(word);
  if (!path.ok()) return path.status();
  Result<StoredModel> model = *path == word ? as_stored(word) : user_models().find(word);
  if (!model.ok()) return model.status();
  const Result<ModelIndex> index = ModelIndex::open(model->path);
  if (!index.ok()) return index.status();
  const Result<GgufFile> file = GgufFile::open(index->shards().front().path);
  if (!file.ok()) return file.status();
  Page page{.model = *std::move(model), .info = index->info()};
  const ModelTexts& texts = page.model.texts;
  page.license = texts.license.empty() ? file->text("general.license") : texts.license;
  page.chat_template = texts.chat_template.empty() ? file->text("tokenizer.chat_template")
                                                   : texts.chat_template;
  return page;
}

// Line breaks and tabs stay, of a text that comes from a file.
std::string printable_lines(const std::string& text) {
  std::string shown = text;
  for (char& c : shown) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) c = '?';
  }
  return shown;
}

void add_line(std::string& text, const char* label, const std::string& value) {
  if (!value.empty()) text += fmt::format("  {:<18}{}\n", label, printable(value));
}

void add_number(std::string& text, const char* label, uint64_t value) {
  if (value > 0) add_line(text, label, fmt::format("{}", value));
}

void add_part(std::string& text, const char* title, const std::string& content) {
  if (content.empty()) return;
  text += fmt::format("\n{}\n", title);
  std::string_view rest = content;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    text += fmt::format("  {}\n", printable_lines(std::string(rest.substr(0, end))));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

std::string page_text(const Page& page) {
  const StoredModel& model = page.model;
  const ModelInfo& info = page.info;
  std::string text = "Model\n";
  add_line(text, "architecture", info.architecture);
  add_line(text, "parameters", format_count(info.parameter_count));
  add_number(text, "context length", info.context_length);
  add_number(text, "embedding length", info.embedding_length);
  add_line(text, "quantization", info.quantization);
  add_number(text, "experts", info.expert_count);
  add_line(text, "size", format_bytes(model.bytes));
  add_line(text, "images", model.projector_path.empty() ? "" : "yes");
  add_line(text, "file", model.path);
  add_line(text, "sha256", model.digest);
  add_part(text, "Parameters", model.texts.parameters);
  add_part(text, "System", model.texts.system);
  add_part(text, "Template", page.chat_template);
  add_part(text, "License", page.license);
  return text;
}

std::string page_json(const Page& page) {
  const ModelInfo& info = page.info;
  Json object = {{"schema", 1}};
  object.update(model_json(page.model));
  object.update({{"architecture", info.architecture},
                 {"parameter_count", info.parameter_count},
                 {"context_length", info.context_length},
                 {"embedding_length", info.embedding_length},
                 {"expert_count", info.expert_count},
                 {"quantization", info.quantization},
                 {"license", page.license},
                 {"template", page.chat_template},
                 {"system", page.model.texts.system},
                 {"parameters", page.model.texts.parameters}});
  return object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

CommandDescription describe_show() {
  Words words;
  return line_for(words).description();
}

Status show_model(const std::vector<std::string>& arguments) {
  Words words;
  CommandLine line = line_for(words);
  if (Status status = line.parse(arguments); !status.ok()) return status;
  if (line.help()) return write_answer(line.help_text()) ? Status() : write_failure();
  const Result<Page> page = page_of(words.model);
  if (!page.ok()) return page.status();
  const std::string text = words.json ? page_json(*page) : page_text(*page);
  return write_answer(text) ? Status() : write_failure();
}

}  // namespace hypura::cli
