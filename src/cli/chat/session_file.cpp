#include "cli/chat/session_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/replace_file.h"
#include "base/units.h"
#include "plan/plan_file.h"

namespace hypura::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kSchema = 1;
constexpr uint64_t kMessagesMax = 64 * kMiB;  // far beyond what a context holds

std::string hex(const Fnv1a& hash) { return fmt::format("{:016x}", hash.value()); }

// What the numbers of a KV cache depend on.
std::string fingerprint(const Engine& engine) {
  Fnv1a hash;
  hash.add("llama.cpp v0.5.0");
  hash.add(metadata_hash(engine.index()));
  std::vector<std::string> files;
  for (const Shard& shard : engine.index().shards()) files.push_back(shard.path);
  const common_params& params = engine.params();
  for (const common_adapter_lora_info& adapter : params.lora_adapters) {
    files.push_back(adapter.path);
    hash.add(fmt::format("{}", adapter.scale));
  }
  for (const std::string& file : files) {
    struct stat facts {};
    if (::stat(file.c_str(), &facts) != 0) continue;
    hash.add(static_cast<uint64_t>(facts.st_size));
    hash.add(static_cast<uint64_t>(facts.st_mtime));
  }
  hash.add(fmt::format("{} {} {} {} {} {} {} {} {} {} {}", llama_n_ctx(engine.context()),
                       static_cast<int>(params.cache_type_k), static_cast<int>(params.cache_type_v),
                       static_cast<int>(params.flash_attn_type), params.rope_freq_base,
                       params.rope_freq_scale, params.yarn_ext_factor, params.yarn_attn_factor,
                       params.yarn_beta_fast, params.yarn_beta_slow, params.yarn_orig_ctx));
  return hex(hash);
}

// Empty if the file cannot be read.
std::string content_hash(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return "";
  Fnv1a hash;
  std::vector<char> piece(kMiB);
  while (file.read(piece.data(), std::ssize(piece)) || file.gcount() > 0) {
    hash.add_bytes({piece.data(), static_cast<size_t>(file.gcount())});
  }
  return file.bad() ? "" : hex(hash);
}

std::string state_path(const std::string& path) { return path + ".kv"; }

Status save_state(Dialogue& dialogue, const std::string& path) {
  const std::string unfinished = fmt::format("{}.{}", path, ::getpid());
  Status status = dialogue.session().save_state(unfinished);
  std::error_code error;
  if (status.ok()) {
    fs::rename(unfinished, path, error);
    if (!error) return Status();
    status = Status(StatusCode::failed, fmt::format("cannot write {}", path))
                 .because(error.message());
  }
  fs::remove(unfinished, error);
  return status;
}

Status no_chat(const std::string& path, const std::string& why) {
  return Status(StatusCode::invalid_argument, fmt::format("{} holds no chat", path)).because(why);
}

Result<Json> read_chat(const std::string& path) {
  errno = 0;
  std::error_code error;
  const uint64_t bytes = fs::file_size(path, error);
  if (error) {
    return Status(StatusCode::failed, fmt::format("cannot read {}", path))
        .because(error.message());
  }
  if (bytes > kMessagesMax) {
    return no_chat(path, fmt::format("it has {}", format_bytes(bytes)));
  }
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file) {
    return Status(StatusCode::failed, fmt::format("cannot read {}", path))
        .because(std::strerror(errno));
  }
  Json chat = Json::parse(text, nullptr, false);
  if (!chat.is_object() || chat.value("schema", Json()) != Json(kSchema) ||
      !chat.contains("messages")) {
    return no_chat(path, "it is not what /save writes");
  }
  return chat;
}

// Why the state beside the chat is of no use; empty if the context has it now.
std::string take_state(Dialogue& dialogue, const Json& chat, const std::string& path) {
  const Json state = chat.value("state", Json());
  if (!state.is_object()) return "nothing else was saved";
  if (state.value("fingerprint", Json()) != Json(fingerprint(dialogue.engine()))) {
    return "it was saved with another model or context";
  }
  const std::string hash = content_hash(path);
  if (hash.empty()) return fmt::format("{} cannot be read", path);
  if (state.value("content", Json()) != Json(hash)) return fmt::format("{} has changed", path);
  const Status loaded = dialogue.session().load_state(path);
  return loaded.ok() ? "" : loaded.message();
}

}  // namespace

Status save_chat(Dialogue& dialogue, const std::string& path) {
  Json chat = {{"schema", kSchema},
               {"model", dialogue.engine().index().info().name},
               {"messages", Json::array()}};
  try {
    for (const common_chat_msg& message : dialogue.conversation().messages()) {
      chat["messages"].push_back(Json::parse(message.to_json_oaicompat().dump_safe()));
    }
  } catch (const std::exception& error) {
    return Status(StatusCode::failed, "llama.cpp cannot write the messages").because(error.what());
  }
  if (dialogue.context_tokens() > 0) {
    const std::string beside = state_path(path);
    if (Status status = save_state(dialogue, beside); !status.ok()) return status;
    chat["state"] = {{"fingerprint", fingerprint(dialogue.engine())},
                     {"content", content_hash(beside)}};
  }
  const std::error_code error = replace_file(
      fs::absolute(path).string(), chat.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  if (!error) return Status();
  return Status(StatusCode::failed, fmt::format("cannot write {}", path)).because(error.message());
}

Result<std::string> load_chat(Dialogue& dialogue, const std::string& path) {
  const Result<Json> chat = read_chat(path);
  if (!chat.ok()) return chat.status();
  std::vector<common_chat_msg> messages;
  try {
    messages = common_chat_msgs_parse_oaicompat(common_json::parse(chat->at("messages").dump()));
  } catch (const std::exception& error) {
    return no_chat(path, error.what());
  }
  dialogue.conversation().replace_messages(std::move(messages));
  dialogue.forget_text();
  const std::string why = take_state(dialogue, *chat, state_path(path));
  const size_t count = dialogue.conversation().messages().size();
  if (why.empty()) {
    return fmt::format("loaded {} messages and {} tokens of context\n", count,
                       dialogue.context_tokens());
  }
  return fmt::format("loaded {} messages; their context is computed anew: {}\n", count, why);
}

}  // namespace hypura::cli
