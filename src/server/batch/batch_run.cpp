#include "server/batch/batch_run.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include "nlohmann/json.hpp"
#include "server/json_text.h"

namespace hypura {
namespace {

using Handler = server_http_context::handler_t;

struct Route {
  const char* url;
  Handler server_routes::* handler;
};
constexpr Route kRoutes[] = {
    {"/v1/chat/completions", &server_routes::post_chat_completions},
    {"/v1/completions", &server_routes::post_completions_oai},
    {"/v1/embeddings", &server_routes::post_embeddings_oai},
    {"/v1/responses", &server_routes::post_responses_oai},
};

const Route* find_route(const std::string& url) {
  const Route* end = std::end(kRoutes);
  const Route* found =
      std::find_if(std::begin(kRoutes), end, [&](const Route& route) { return route.url == url; });
  return found == end ? nullptr : found;
}

BatchAnswer failure(int code, const std::string& message) {
  const nlohmann::ordered_json body = {{"error", {{"code", code}, {"message", message}}}};
  return {.status_code = code, .body = json_text(body)};
}

BatchAnswer answer_one(ModelHost& host, const BatchRequest& request,
                       const std::function<bool()>& should_stop) {
  const Route* route = find_route(request.url);
  if (route == nullptr) return failure(404, request.url + " cannot be asked for in a batch");
  const server_http_req asked{.params = {},
                              .headers = {},
                              .path = request.url,
                              .query_string = std::string(),
                              .body = request.body,
                              .files = {},
                              .should_stop = should_stop};
  try {
    const server_http_res_ptr answer = (host.routes().*route->handler)(asked);
    answer->on_complete();
    if (answer->status < 500) return {.status_code = answer->status, .body = answer->data};
    const std::string why = host.why_failed();
    if (why.empty()) return {.status_code = answer->status, .body = answer->data};
    return failure(answer->status, why);
  } catch (const std::invalid_argument& error) {
    return failure(400, error.what());
  } catch (const std::exception& error) {
    return failure(500, error.what());
  }
}

}  // namespace

bool answers_in_batch(const std::string& url) { return find_route(url) != nullptr; }

Status run_batch(ModelHost& host, const std::vector<BatchRequest>& requests,
                 const BatchRunOptions& options) {
  std::thread computing([&] { host.run(); });
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  Status outcome;
  std::atomic<bool> ended = false;
  const std::function<bool()> should_stop = [&] { return options.stop->load() || ended.load(); };
  const auto work = [&] {
    while (!should_stop()) {
      const size_t number = next.fetch_add(1);
      if (number >= requests.size()) return;
      const BatchAnswer answer = answer_one(host, requests[number], should_stop);
      if (should_stop()) return;
      const std::lock_guard lock(mutex);
      if (!outcome.ok()) return;
      outcome = options.on_answer(requests[number], answer);
      if (!outcome.ok()) ended.store(true);
    }
  };
  std::vector<std::thread> workers;
  const size_t count = std::min(requests.size(), static_cast<size_t>(options.parallel));
  for (size_t i = 0; i < count; ++i) workers.emplace_back(work);
  for (std::thread& worker : workers) worker.join();
  host.stop();
  computing.join();
  if (!outcome.ok()) return outcome;
  return options.stop->load() ? Status(StatusCode::interrupted, "interrupted") : Status();
}

}  // namespace hypura
