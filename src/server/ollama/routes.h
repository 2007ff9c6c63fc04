#pragma once

#include "server/routes/service.h"

namespace hypura::ollama {

// Ollama's protocol, below /api/: chat, generate, embed, and lists. Docs:
// https://docs.ollama.com/api
void add_routes(httplib::Server& server, Service& service);

// Its part that changes the store: pull, copy, delete, create and blobs.
void add_store_routes(httplib::Server& server, Service& service);

// The name in `model`, or in `name` as older clients have it. Empty: the answer is a 400.
std::string name_in(const nlohmann::ordered_json& body, httplib::Response& response);

}  // namespace hypura::ollama
