#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "engine/engine.h"
#include "server-context.h"
#include "server/model/model_state.h"

namespace hypura {

// A model that answers many at a time: the engine's weights below llama.cpp's server. What speaks
// to it calls handlers of routes(), from any thread.
class ModelHost {
 public:
  // `engine.params` has the tokens of context of one request in n_ctx, 0 for the usual, and the
  // requests that compute at a time in n_parallel. `name`: of the model, in answers.
  ModelHost(EngineOptions engine, const std::string& name);
  ~ModelHost();

  // Handlers may be copied at any time, and called once open() has returned and run() was called.
  server_routes& routes() { return *routes_; }

  // Loads the model. Errors: those of Engine::prepare() and load_by().
  Status open();
  // Computes what is asked for, on this thread, until stop().
  void run() { context_->start_loop(); }
  // From any thread: a graph that is computed ends as a failure.
  void stop();

  // REQUIRES: open() returned ok.
  Engine& engine() { return *engine_; }
  const Engine& engine() const { return *engine_; }
  // From any thread while run() runs; all 0 once `stopped` says so.
  ServedTokens tokens(const std::function<bool()>& stopped);
  // Why computing failed the last time; empty if it did not, or it is not known.
  std::string why_failed() const;
  // Whether somebody waits for what is computed: if nobody does, the graph under way ends.
  void on_wait(bool someone);

 private:
  EngineOptions options_;
  common_params params_;  // as llama.cpp's server has them
  // Contexts end before the engine whose weights they use.
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<server_context> context_;
  std::unique_ptr<server_routes> routes_;
};

}  // namespace hypura
