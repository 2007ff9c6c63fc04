#pragma once

#include "store/model_store.h"
#include "store/pull.h"

namespace hypura::cli {

// This user's models. Ours: $HYPURA_MODELS, $XDG_DATA_HOME/hypura/models or
// ~/.local/share/hypura/models. Ollama's: $OLLAMA_MODELS, else ~/.ollama/models and where its
// service keeps them. Hugging Face's: $HF_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub.
ModelStore user_models();

// How this user pulls: servers ($HF_ENDPOINT, $HYPURA_OLLAMA_REGISTRY), $HF_TOKEN, certificates to
// trust ($CURL_CA_BUNDLE, $SSL_CERT_FILE); Ctrl-C stops it.
PullOptions user_pull_options();

}  // namespace hypura::cli
