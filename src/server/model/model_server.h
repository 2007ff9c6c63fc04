#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "engine/engine.h"
#include "server/model/model_state.h"

namespace hypura {

struct ModelServerOptions {
  EngineOptions engine;  // as ModelHost takes it
  std::string socket_path;
  std::string name;      // of the model, in answers
  // Fills what is known of the model's speed, once it is open.
  std::function<void(const Engine&, ServedModel&)> predict;
  // Ends serving when it becomes true, from anywhere.
  const std::atomic<bool>* stop = nullptr;
};

// The process of one model: the engine's weights below llama.cpp's server, on a socket, with its
// routes and GET /hypura/state. Answers 503 while it loads. Returns when it is told to stop.
// Errors: those of Engine::prepare() and load_by(); failed for the socket.
Status serve_model(ModelServerOptions options);

}  // namespace hypura
