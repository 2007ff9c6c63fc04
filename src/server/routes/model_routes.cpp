#include <array>
#include <string_view>
#include <utility>

#include "cpp-httplib/httplib.h"
#include "nlohmann/json.hpp"
#include "server/json_text.h"
#include "server/proxy.h"
#include "server/routes/service.h"

namespace hypura {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

struct Route {
  const char* path;
  Protocol protocol = Protocol::openai;
  bool embedding = false;
};
constexpr std::array kPosts = std::to_array<Route>({
    {"/v1/chat/completions"},
    {"/chat/completions"},
    {"/v1/chat/completions/input_tokens"},
    {"/v1/completions"},
    {"/v1/responses"},
    {"/v1/responses/input_tokens"},
    {"/responses"},
    {"/v1/messages", Protocol::anthropic},
    {"/v1/messages/count_tokens", Protocol::anthropic},
    {"/v1/embeddings", Protocol::openai, true},
    {"/embeddings", Protocol::openai, true},
    {"/v1/rerank", Protocol::openai, true},
    {"/rerank", Protocol::openai, true},
    {"/completion"},
    {"/completions"},
    {"/infill"},
    {"/tokenize"},
    {"/detokenize"},
    {"/apply-template"},
});
constexpr std::array kGets = std::to_array<const char*>({"/props", "/slots"});

// The path in a model's process.
std::string_view path_there(std::string_view path) {
  if (path == "/chat/completions") return "/v1/chat/completions";
  if (path == "/responses") return "/v1/responses";
  return path;
}

Json model_entry(const CatalogModel& model) {
  return {{"id", model.name},
          {"object", "model"},
          {"created", model.modified_ns / kNanosecondsPerSecond},
          {"owned_by", "hypura"}};
}

void list_models(const Service& service, httplib::Response& response) {
  Json data = Json::array();
  for (const CatalogModel& model : service.catalog.list()) data.push_back(model_entry(model));
  const Json body = {{"object", "list"}, {"data", data}};
  response.set_content(json_text(body), "application/json");
}

void show_model(const Service& service, const std::string& name, httplib::Response& response) {
  const Result<CatalogModel> model = service.catalog.find(name);
  if (!model.ok()) {
    return answer_error(response, Protocol::openai, 404, one_line(model.status()));
  }
  response.set_content(json_text(model_entry(*model)), "application/json");
}

void ask_model(Service& service, const Route& route, const httplib::Request& request,
               httplib::Response& response) {
  const std::optional<Json> body = json_body(request, response, route.protocol);
  if (!body.has_value()) return;
  std::optional<std::string> model = model_in(*body, service, response, route.protocol);
  if (!model.has_value()) return;
  if (route.protocol == Protocol::anthropic && !body->value("messages", Json()).is_array()) {
    return answer_error(response, route.protocol, 400, "messages: an array is required");
  }
  ModelCall call{.model = *std::move(model),
                 .request = {.path = std::string(path_there(route.path)), .body = request.body},
                 .protocol = route.protocol};
  call.wish.embedding = route.embedding;
  answer_by_model(service.broker, std::move(call), request, response);
}

void look_at_model(Service& service, const char* path, const httplib::Request& request,
                   httplib::Response& response) {
  std::string model = request.get_param_value("model");
  if (model.empty()) model = service.default_model;
  if (model.empty()) {
    return answer_error(response, Protocol::openai, 400, "which model? ?model=NAME says it");
  }
  answer_by_model(service.broker,
                  {.model = model, .request = {.method = "GET", .path = path, .body = ""}}, request,
                  response);
}

}  // namespace

void add_model_routes(httplib::Server& server, Service& service) {
  for (const char* path : {"/v1/models", "/models"}) {
    server.Get(path, [&service](const httplib::Request&, httplib::Response& response) {
      list_models(service, response);
    });
  }
  server.Get(R"(/v1/models/(.+))",
             [&service](const httplib::Request& request, httplib::Response& response) {
               show_model(service, request.matches[1], response);
             });
  for (const Route& route : kPosts) {
    server.Post(route.path, [&service, &route](const httplib::Request& request,
                                               httplib::Response& response) {
      ask_model(service, route, request, response);
    });
  }
  for (const char* path : kGets) {
    server.Get(path, [&service, path](const httplib::Request& request,
                                      httplib::Response& response) {
      look_at_model(service, path, request, response);
    });
  }
}

}  // namespace hypura
