#pragma once

#include <string>

#include "base/status.h"
#include "store/download.h"
#include "store/http.h"
#include "store/model_store.h"

namespace hypura {

struct PullOptions {
  std::string name;    // to store it under; empty: its own
  std::string sha256;  // that the file must have; empty: what its server says
  std::string hugging_face = "https://huggingface.co";  // servers, without a slash at the end
  std::string ollama = "https://registry.ollama.ai";
  // Somebody else asks: no files of this machine, and no servers but these two.
  bool names_only = false;
  HttpSettings http;  // its token is told to hugging_face alone
  PullCallback tell;  // may be empty
};

// Fetches a model into our own folder:
//   http://..., https://...               a file; of a split model all shards
//   file://..., /..., ./..., *.gguf       a file that is here: linked, or copied from another drive
//   [hf.co/]ORG/REPO[:QUANTIZATION]       from Hugging Face
//   MODEL[:TAG], ollama.com/OWNER/MODEL   from Ollama's library
// What is there in the same version is not fetched again. Nothing has the model's name until all of
// it is there and verified. The only network calls of this library. Called from any thread. Errors:
// invalid_argument (no such name, or another model has it), failed, invalid_model, interrupted.
Result<StoredModel> pull(const ModelStore& store, const std::string& what,
                         const PullOptions& options);

}  // namespace hypura
