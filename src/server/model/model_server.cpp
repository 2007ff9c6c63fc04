#include "server/model/model_server.h"

#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "server/model/model_host.h"
#include "server/model/model_http.h"

namespace hypura {
namespace {

constexpr std::chrono::milliseconds kStopEvery{20};

// Threads that answer: streams, what waits behind them, and who asks how things stand.
size_t answering_threads(int parallel) { return 2 * static_cast<size_t>(parallel) + 8; }

class ModelServer {
 public:
  explicit ModelServer(ModelServerOptions options)
      : options_(std::move(options)),
        served_{.name = options_.name},
        parallel_(options_.engine.params.n_parallel),
        host_(std::move(options_.engine), options_.name),
        http_({.socket_path = options_.socket_path,
               .threads = answering_threads(parallel_),
               .why_failed = [this] { return host_.why_failed(); },
               .on_wait = [this](bool someone) { host_.on_wait(someone); }}) {}

  Status serve();

 private:
  void add_routes();
  std::string state();

  ModelServerOptions options_;
  ServedModel served_;
  int parallel_;
  ModelHost host_;
  ModelHttp http_;
};

Status ModelServer::serve() {
  add_routes();
  if (Status status = http_.listen(); !status.ok()) return status;
  if (Status status = host_.open(); !status.ok()) return status;
  if (options_.predict) options_.predict(host_.engine(), served_);
  http_.open();

  std::jthread stopper([this](const std::stop_token& done) {
    while (!done.stop_requested() && !options_.stop->load()) {
      std::this_thread::sleep_for(kStopEvery);
    }
    host_.stop();
  });
  host_.run();
  stopper.request_stop();
  stopper.join();
  return host_.engine().save_statistics();
}

void ModelServer::add_routes() {
  server_routes& routes = host_.routes();
  ModelHttp& http = http_;
  http.get("/health", routes.get_health);
  http.get("/props", routes.get_props);
  http.get("/models", routes.get_models);
  http.get("/v1/models", routes.get_models);
  http.get("/slots", routes.get_slots);
  http.get("/hypura/state", [this](const server_http_req&) {
    auto answer = std::make_unique<server_http_res>();
    answer->data = state();
    return answer;
  });
  for (const char* path : {"/completion", "/completions"}) http.post(path, routes.post_completions);
  http.post("/v1/completions", routes.post_completions_oai);
  http.post("/v1/chat/completions", routes.post_chat_completions);
  http.post("/v1/responses", routes.post_responses_oai);
  http.post("/v1/messages", routes.post_anthropic_messages);
  http.post("/v1/messages/count_tokens", routes.post_anthropic_count_tokens);
  http.post("/v1/chat/completions/input_tokens", routes.post_chat_completions_tok);
  http.post("/v1/responses/input_tokens", routes.post_responses_tok_oai);
  http.post("/v1/audio/transcriptions", routes.post_transcriptions_oai);
  http.post("/infill", routes.post_infill);
  http.post("/embeddings", routes.post_embeddings);
  http.post("/v1/embeddings", routes.post_embeddings_oai);
  for (const char* path : {"/rerank", "/v1/rerank"}) http.post(path, routes.post_rerank);
  http.post("/tokenize", routes.post_tokenize);
  http.post("/detokenize", routes.post_detokenize);
  http.post("/apply-template", routes.post_apply_template);
}

std::string ModelServer::state() {
  const ServedTokens tokens = host_.tokens([this] { return options_.stop->load(); });
  return model_state(host_.engine(), served_, tokens);
}

}  // namespace

Status serve_model(ModelServerOptions options) { return ModelServer(std::move(options)).serve(); }

}  // namespace hypura
