#include "cli/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "cli/command_line.h"
#include "cli/output_file.h"
#include "cli/store/model_argument.h"
#include "cli/terminal.h"
#include "model/header_file.h"
#include "model/printable.h"

namespace hypura::cli {
namespace {

using Json = nlohmann::ordered_json;

struct RoleRow {
  TensorRole role = TensorRole::other;
  uint64_t tensors = 0;
  uint64_t bytes = 0;
  double share = 0;  // of the weights
};

// The roles that the model has, the largest first.
std::vector<RoleRow> role_rows(const ModelIndex& index) {
  std::array<RoleRow, kTensorRoleCount> all;
  for (size_t i = 0; i < all.size(); ++i) all[i].role = static_cast<TensorRole>(i);
  for (const TensorInfo& tensor : index.tensors()) {
    RoleRow& row = all[static_cast<size_t>(tensor.role)];
    ++row.tensors;
    row.bytes += tensor.bytes;
  }
  std::vector<RoleRow> rows;
  for (RoleRow& row : all) {
    row.share = static_cast<double>(row.bytes) / static_cast<double>(index.info().weight_bytes);
    if (row.tensors > 0) rows.push_back(row);
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const RoleRow& a, const RoleRow& b) { return a.bytes > b.bytes; });
  return rows;
}

uint64_t file_bytes(const ModelIndex& index) {
  uint64_t bytes = 0;
  for (const Shard& shard : index.shards()) bytes += shard.bytes;
  return bytes;
}

std::string stated(uint64_t value) { return value == 0 ? "not stated" : fmt::format("{}", value); }
std::string stated(const std::string& text) {
  return text.empty() ? "not stated" : printable(text);
}

std::string experts_text(const ModelInfo& info) {
  if (info.expert_count == 0) return "none (dense)";
  return fmt::format("{} of {} used per token", info.expert_used_count, info.expert_count);
}

std::string shape_text(const TensorInfo& tensor) {
  size_t last = 3;
  while (last > 0 && tensor.ne[last] == 1) --last;
  std::string text = fmt::format("{}", tensor.ne[0]);
  for (size_t i = 1; i <= last; ++i) text += fmt::format(" x {}", tensor.ne[i]);
  return text;
}

void add_line(std::string& text, const char* label, const std::string& value) {
  text += fmt::format("{:<14}{}\n", label, value);
}

std::string summary(const ModelIndex& index) {
  const ModelInfo& info = index.info();
  std::string text;
  add_line(text, "name", stated(info.name));
  add_line(text, "architecture", stated(info.architecture));
  add_line(text, "parameters", format_count(info.parameter_count));
  add_line(text, "quantization", printable(info.quantization));
  add_line(text, "context", stated(info.context_length));
  add_line(text, "layers", stated(info.layer_count));
  add_line(text, "experts", experts_text(info));
  add_line(text, "vocabulary", stated(info.vocabulary_size));
  add_line(text, "chat template", info.has_chat_template ? "yes" : "no");
  add_line(text, "shards", fmt::format("{}", index.shards().size()));
  add_line(text, "file size", format_bytes(file_bytes(index)));
  add_line(text, "weights", format_bytes(info.weight_bytes));
  add_line(text, "metadata", format_bytes(info.metadata_bytes));
  return text;
}

std::string role_table(const ModelIndex& index) {
  std::string text = fmt::format("{:<14}{:>8}{:>12}{:>9}\n", "role", "tensors", "bytes", "share");
  for (const RoleRow& row : role_rows(index)) {
    text += fmt::format("{:<14}{:>8}{:>12}{:>7.1f} %\n", to_string(row.role), row.tensors,
                        format_bytes(row.bytes), row.share * 100);
  }
  return text;
}

std::string tensor_table(const ModelIndex& index) {
  constexpr const char* kRow = "{:<{}}  {:<13}  {:<8}  {:<20}  {:>12}  {:>5}  {:>14}\n";
  size_t width = 4;
  for (const TensorInfo& tensor : index.tensors()) {
    width = std::max(width, printable(tensor.name).size());
  }
  std::string text =
      fmt::format(kRow, "name", width, "role", "type", "shape", "bytes", "shard", "offset");
  for (const TensorInfo& tensor : index.tensors()) {
    text += fmt::format(kRow, printable(tensor.name), width, to_string(tensor.role),
                        type_name(tensor.type), shape_text(tensor), tensor.bytes, tensor.shard + 1,
                        tensor.offset);
  }
  return text;
}

Json shards_json(const ModelIndex& index) {
  Json list = Json::array();
  for (const Shard& shard : index.shards()) {
    list.push_back(
        {{"path", shard.path}, {"bytes", shard.bytes}, {"data_offset", shard.data_offset}});
  }
  return list;
}

Json roles_json(const ModelIndex& index) {
  Json list = Json::array();
  for (const RoleRow& row : role_rows(index)) {
    list.push_back({{"role", to_string(row.role)},
                    {"tensors", row.tensors},
                    {"bytes", row.bytes},
                    {"share", row.share}});
  }
  return list;
}

Json tensors_json(const ModelIndex& index) {
  Json list = Json::array();
  for (const TensorInfo& tensor : index.tensors()) {
    list.push_back({{"name", tensor.name},
                    {"role", to_string(tensor.role)},
                    {"type", type_name(tensor.type)},
                    {"shape", tensor.ne},
                    {"layer", tensor.layer},
                    {"expert_count", tensor.expert_count},
                    {"bytes", tensor.bytes},
                    {"shard", tensor.shard},
                    {"offset", tensor.offset}});
  }
  return list;
}

Status save_header(const ModelIndex& index, const std::string& path) {
  if (Status status = check_output(path, "--save-header"); !status.ok()) return status;
  const Result<ModelHeader> header = header_of(index);
  return header.ok() ? write_file(path, to_bytes(*header)) : header.status();
}

}  // namespace

std::string format_count(uint64_t count) {
  constexpr std::array<const char*, 5> kUnits = {"", " K", " M", " B", " T"};
  double value = static_cast<double>(count);
  size_t unit = 0;
  for (; value >= 999.95 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  return unit == 0 ? fmt::format("{}", count) : fmt::format("{:.1f}{}", value, kUnits[unit]);
}

std::string inspect_text(const ModelIndex& index, bool tensors) {
  std::string text = summary(index) + "\n" + role_table(index);
  if (tensors) text += "\n" + tensor_table(index);
  return text;
}

std::string inspect_json(const ModelIndex& index, bool tensors) {
  const ModelInfo& info = index.info();
  Json object = {{"schema", 1},
                 {"name", info.name},
                 {"architecture", info.architecture},
                 {"quantization", info.quantization},
                 {"parameter_count", info.parameter_count},
                 {"context_length", info.context_length},
                 {"layer_count", info.layer_count},
                 {"embedding_length", info.embedding_length},
                 {"expert_count", info.expert_count},
                 {"expert_used_count", info.expert_used_count},
                 {"vocabulary_size", info.vocabulary_size},
                 {"has_chat_template", info.has_chat_template},
                 {"file_bytes", file_bytes(index)},
                 {"weight_bytes", info.weight_bytes},
                 {"metadata_bytes", info.metadata_bytes},
                 {"shards", shards_json(index)},
                 {"roles", roles_json(index)}};
  if (tensors) object["tensors"] = tensors_json(index);
  // Names come from the file and need not be UTF-8.
  return object.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

namespace {

struct Words {
  std::string model;
  bool tensors = false;
  bool json = false;
  std::string save;
};

CommandLine line_for(Words& words) {
  CommandLine line("inspect", "Shows what a model file holds, without reading its weights.");
  line.word("MODEL", words.model, "GGUF file; of a split model any shard");
  line.flag("--tensors", words.tensors, "list every tensor");
  line.flag("--json", words.json, "print one JSON object");
  line.option("--save-header", words.save,
              "write what precedes the weights to a file, which plan and estimate take in place of "
              "the model",
              "FILE");
  return line;
}

}  // namespace

CommandDescription describe_inspect() {
  Words words;
  return line_for(words).description();
}

Status inspect(const std::vector<std::string>& arguments) {
  Words words;
  CommandLine line = line_for(words);
  if (Status status = line.parse(arguments); !status.ok()) return status;
  if (line.help()) return write_answer(line.help_text()) ? Status() : write_failure();

  const Result<std::string> path = model_path(words.model);
  if (!path.ok()) return path.status();
  const Result<ModelIndex> index = ModelIndex::open(*path);
  if (!index.ok()) return index.status();
  if (!words.save.empty()) {
    if (Status status = save_header(*index, words.save); !status.ok()) return status;
  }
  const std::string text = words.json ? inspect_json(*index, words.tensors)
                                      : inspect_text(*index, words.tensors);
  return write_answer(text) ? Status() : write_failure();
}

}  // namespace hypura::cli
