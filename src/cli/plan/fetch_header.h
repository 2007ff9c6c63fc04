#pragma once

#include <string>

#include "base/status.h"
#include "model/header_file.h"

namespace hypura::cli {

// Whether a model is named by an address: "http://", "https://".
bool is_url(const std::string& model);

// The header of a GGUF on a server, by range requests: 4 MiB, then twice as much until all of it is
// there, at most 128 MiB. Of a split model, all shards. From the environment: proxies as curl takes
// them, certificates to trust (CURL_CA_BUNDLE, SSL_CERT_FILE), and HF_TOKEN, told to
// https://huggingface.co alone. Errors: failed (network, a certificate, a server without ranges),
// invalid_model.
Result<ModelHeader> fetch_header(const std::string& url);

}  // namespace hypura::cli
