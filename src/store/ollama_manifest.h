#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"

namespace hypura {

// A file that a manifest names by its content. `sha256` is 64 digits, whatever the manifest said.
struct OllamaLayer {
  std::string sha256;
  uint64_t bytes = 0;
};

// What Ollama's registry and store say of a model, as JSON: which blobs it is made of.
struct OllamaManifest {
  OllamaLayer model;
  std::optional<OllamaLayer> projector;
  std::optional<OllamaLayer> chat_template;
  std::optional<OllamaLayer> system;
  std::optional<OllamaLayer> parameters;
  std::optional<OllamaLayer> license;
};

// Layers of other kinds are passed over, of several of one kind the first counts. Errors:
// invalid_model for what is no manifest, has no model, or names a layer by anything but a SHA-256.
Result<OllamaManifest> parse_ollama_manifest(const std::string& text);

}  // namespace hypura
