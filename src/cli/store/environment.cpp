#include "cli/store/environment.h"

#include <cstdlib>
#include <initializer_list>
#include <string>

#include "cli/interrupt.h"

namespace hypura::cli {
namespace {

constexpr const char* kOllamaService = "/usr/share/ollama/.ollama/models";

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

// The first variable that is set, with what follows it.
struct Place {
  const char* variable;
  const char* below;
};
std::string folder_of(std::initializer_list<Place> places) {
  for (const Place& place : places) {
    const std::string folder = from_environment(place.variable);
    if (!folder.empty()) return folder + place.below;
  }
  return std::string();
}

void set_server(const char* variable, std::string& server) {
  std::string value = from_environment(variable);
  while (value.ends_with('/')) value.pop_back();
  if (!value.empty()) server = value;
}

}  // namespace

ModelStore user_models() {
  StoreFolders folders;
  folders.models = folder_of({{"HYPURA_MODELS", ""},
                              {"XDG_DATA_HOME", "/hypura/models"},
                              {"HOME", "/.local/share/hypura/models"}});
  folders.ollama.push_back(folder_of({{"OLLAMA_MODELS", ""}, {"HOME", "/.ollama/models"}}));
  if (from_environment("OLLAMA_MODELS").empty()) folders.ollama.push_back(kOllamaService);
  folders.hugging_face = folder_of({{"HF_HUB_CACHE", ""},
                                    {"HF_HOME", "/hub"},
                                    {"XDG_CACHE_HOME", "/huggingface/hub"},
                                    {"HOME", "/.cache/huggingface/hub"}});
  return ModelStore(std::move(folders));
}

PullOptions user_pull_options() {
  PullOptions options;
  set_server("HF_ENDPOINT", options.hugging_face);
  set_server("HYPURA_OLLAMA_REGISTRY", options.ollama);
  options.http = {.certificates = folder_of({{"CURL_CA_BUNDLE", ""}, {"SSL_CERT_FILE", ""}}),
                  .token = from_environment("HF_TOKEN"),
                  .stop = &interrupt_flag()};
  return options;
}

}  // namespace hypura::cli
