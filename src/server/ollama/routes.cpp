#include "server/ollama/routes.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "base/clock.h"
#include "cpp-httplib/httplib.h"
#include "nlohmann/json.hpp"
#include "server/json_text.h"
#include "server/ollama/answer.h"
#include "server/ollama/chat_request.h"
#include "server/ollama/embeddings.h"
#include "server/ollama/generate_request.h"
#include "server/ollama/listing.h"
#include "server/proxy.h"

namespace hypura::ollama {
namespace {

// The version of Ollama whose protocol this is: clients ask for it to know what they may.
constexpr const char* kProtocolVersion = "0.12.6";

void refuse(httplib::Response& response, int code, const Status& status) {
  answer_error(response, Protocol::ollama, code, one_line(status));
}

// A request about one model: its body, and the model that it names.
struct Asked {
  Json body;
  std::string name;  // of the model, as the client says it
  CatalogModel model;
  Wish wish;
  bool stream = true;
};

// nullopt: it has been answered.
std::optional<Asked> read_request(Service& service, const httplib::Request& request,
                                  httplib::Response& response) {
  Asked asked;
  std::optional<Json> body = json_body(request, response, Protocol::ollama);
  if (!body.has_value()) return std::nullopt;
  asked.body = *std::move(body);
  const std::string name = name_in(asked.body, response);
  if (name.empty()) return std::nullopt;
  asked.name = name;
  const Result<CatalogModel> model = service.catalog.find(name);
  if (!model.ok()) {
    // The name in quotes and these words are what clients look for.
    refuse(response, 404, model.status());
    return std::nullopt;
  }
  asked.model = *model;
  const Json stream = asked.body.value("stream", Json());
  asked.stream = !stream.is_boolean() || stream.get<bool>();
  if (const Json keep_alive = asked.body.value("keep_alive", Json()); !keep_alive.is_null()) {
    const Result<double> seconds = keep_alive_seconds(keep_alive);
    if (!seconds.ok()) return refuse(response, 400, seconds.status()), std::nullopt;
    asked.wish.keep_alive = *seconds;
  }
  const Result<std::optional<int>> context = asked_context(asked.body.value("options", Json()));
  if (!context.ok()) return refuse(response, 400, context.status()), std::nullopt;
  asked.wish.context = *context;
  return asked;
}

// Whether a text is missing, null or empty, which clients mean alike: Ollama's own sends every
// field.
bool is_blank(const Json& body, const char* key) {
  const Json text = body.value(key, Json());
  return text.is_null() || text == "";
}

// What Ollama keeps beside a model is the default of requests.
void take_defaults(Asked& asked) {
  const Json parameters = Json::parse(asked.model.texts.parameters, nullptr, false);
  if (!parameters.is_object()) return;
  Json options = parameters;
  if (const Json own = asked.body.value("options", Json()); own.is_object()) options.update(own);
  asked.body["options"] = std::move(options);
}

// A request without a prompt only loads the model, or ends it.
void load_or_unload(Service& service, const Asked& asked, AnswerFrame::Kind kind,
                    const httplib::Request& request, httplib::Response& response) {
  const bool unload = asked.wish.keep_alive == 0.0;
  if (unload) {
    service.broker.unload(asked.model.name);
  } else {
    Refusal refusal;
    const auto place = service.broker.take_place(asked.model.name, asked.wish,
                                                 request.is_connection_closed, refusal);
    if (place == nullptr) return answer_refusal(response, Protocol::ollama, refusal);
  }
  response.set_content(done_at_once(kind, asked.name, unload ? "unload" : "load") +
                           (asked.stream ? "\n" : ""),
                       asked.stream ? "application/x-ndjson" : "application/json; charset=utf-8");
}

std::shared_ptr<AnswerFrame> frame_of(const Asked& asked, AnswerFrame::Kind kind) {
  return std::make_shared<AnswerFrame>(AnswerFrame{
      .kind = kind, .model = asked.name, .stream = asked.stream});
}

ModelCall call_of(const Asked& asked, const std::shared_ptr<AnswerFrame>& frame) {
  return {.model = asked.model.name,
          .wish = asked.wish,
          .request = {},
          .protocol = Protocol::ollama,
          .translate =
              [frame](double load_seconds) {
                frame->load_seconds = load_seconds;
                return std::make_unique<Answer>(*frame);
              },
          .whole = !asked.stream};
}

void chat(Service& service, const httplib::Request& request, httplib::Response& response) {
  std::optional<Asked> asked = read_request(service, request, response);
  if (!asked.has_value()) return;
  take_defaults(*asked);
  Json& body = asked->body;
  if (!body.contains("messages") || body["messages"].empty()) {
    return load_or_unload(service, *asked, AnswerFrame::Kind::chat, request, response);
  }
  Result<Json> made = chat_request(body);
  if (!made.ok()) return refuse(response, 400, made.status());
  Json& messages = (*made)["messages"];
  if (!asked->model.texts.system.empty() && messages[0]["role"] != "system") {
    messages.insert(messages.begin(),
                    Json{{"role", "system"}, {"content", asked->model.texts.system}});
  }
  const auto frame = frame_of(*asked, AnswerFrame::Kind::chat);
  frame->top_logprobs = *top_logprobs(body);
  ModelCall call = call_of(*asked, frame);
  call.request = {.path = "/v1/chat/completions", .body = json_text(*made)};
  answer_by_model(service.broker, std::move(call), request, response);
}

void generate(Service& service, const httplib::Request& request, httplib::Response& response) {
  std::optional<Asked> asked = read_request(service, request, response);
  if (!asked.has_value()) return;
  take_defaults(*asked);
  Json& body = asked->body;
  if (is_blank(body, "prompt") && is_blank(body, "suffix") &&
      body.value("images", Json()).empty()) {
    return load_or_unload(service, *asked, AnswerFrame::Kind::generate, request, response);
  }
  if (is_blank(body, "system") && body.value("raw", Json(false)) != true &&
      !asked->model.texts.system.empty()) {
    body["system"] = asked->model.texts.system;
  }
  Result<GeneratePlan> made = plan_generate(body, *service.facts.of(asked->model));
  if (!made.ok()) return refuse(response, 400, made.status());
  const auto plan = std::make_shared<GeneratePlan>(*std::move(made));
  const auto frame = frame_of(*asked, AnswerFrame::Kind::generate);
  frame->top_logprobs = *top_logprobs(body);
  frame->tells_context = plan->tells_context;
  ModelCall call = call_of(*asked, frame);
  call.request = {.path = plan->path, .body = json_text(plan->request)};
  if (plan->tells_context) {
    call.prepare = [plan, frame](const AskModel& ask, Exchange::Request& child) {
      Result<std::vector<int>> tokens = make_prompt(*plan, ask);
      if (!tokens.ok()) return tokens.status();
      frame->prompt_tokens = *std::move(tokens);
      child.body = json_text(plan->request);
      return Status();
    };
  }
  answer_by_model(service.broker, std::move(call), request, response);
}

void embed(Service& service, bool older, const httplib::Request& request,
           httplib::Response& response) {
  std::optional<Asked> asked = read_request(service, request, response);
  if (!asked.has_value()) return;
  const Json& body = asked->body;
  const Result<Json> made = older ? embeddings_request(body) : embed_request(body);
  if (!made.ok()) return refuse(response, 400, made.status());
  EmbedAnswer::Frame frame{.model = asked->name,
                           .started_seconds = now_seconds(),
                           .older = older};
  if (const Json dimensions = body.value("dimensions", Json()); dimensions.is_number_unsigned()) {
    frame.dimensions = dimensions.get<size_t>();
  }
  const Json truncate = body.value("truncate", Json());
  if (!truncate.is_null() && !truncate.is_boolean()) {
    return refuse(response, 400,
                  Status(StatusCode::invalid_argument, "truncate must be a boolean"));
  }
  const bool cuts = truncate != false;
  asked->wish.embedding = true;
  if ((*made)["input"].empty()) {
    EmbedAnswer nothing(frame);
    response.set_content(nothing.on_end(), nothing.content_type());
    return;
  }
  answer_by_model(service.broker,
                  {.model = asked->model.name,
                   .wish = asked->wish,
                   .request = {.path = "/v1/embeddings", .body = json_text(*made)},
                   .protocol = Protocol::ollama,
                   .prepare =
                       [input = *made, cuts](const AskModel& ask, Exchange::Request& child) {
                         if (cuts) child.body = json_text(fit_input(input, ask));
                         return Status();
                       },
                   .translate =
                       [frame](double load_seconds) {
                         EmbedAnswer::Frame loaded = frame;
                         loaded.load_seconds = load_seconds;
                         return std::make_unique<EmbedAnswer>(loaded);
                       }},
                  request, response);
}

void tags(Service& service, httplib::Response& response) {
  Json models = Json::array();
  for (const CatalogModel& model : service.catalog.list()) {
    models.push_back(tag_entry(model, *service.facts.of(model)));
  }
  response.set_content(json_text({{"models", models}}), "application/json; charset=utf-8");
}

void running(Service& service, httplib::Response& response) {
  Json models = Json::array();
  for (const StatusReport::Model& loaded : report_of(service).models) {
    if (loaded.facts.life != Broker::Life::ready) continue;
    const Result<CatalogModel> model = service.catalog.find(loaded.facts.name);
    if (!model.ok()) continue;
    const Json state = Json::parse(loaded.state, nullptr, false);
    const bool known = state.is_object();
    models.push_back(running_entry(*model, *service.facts.of(*model), loaded.facts,
                                   known ? state.value("gpu_bytes", uint64_t{0}) : 0,
                                   known ? state.value("context", uint64_t{0}) : 0));
  }
  response.set_content(json_text({{"models", models}}), "application/json; charset=utf-8");
}

void show(Service& service, const httplib::Request& request, httplib::Response& response) {
  const std::optional<Asked> asked = read_request(service, request, response);
  if (!asked.has_value()) return;
  const Json verbose = asked->body.value("verbose", Json(false));
  const Result<GgufFile> file = GgufFile::open(asked->model.path);
  if (!file.ok()) return refuse(response, 500, file.status());
  response.set_content(json_text(show_answer(asked->model, *service.facts.of(asked->model),
                                             file->metadata(verbose == true), verbose == true)),
                       "application/json; charset=utf-8");
}

}  // namespace

std::string name_in(const Json& body, httplib::Response& response) {
  for (const char* key : {"model", "name"}) {
    const auto found = body.find(key);
    if (found == body.end() || found->is_null()) continue;
    if (found->is_string() && !found->get_ref<const std::string&>().empty()) {
      return found->get<std::string>();
    }
    break;
  }
  answer_error(response, Protocol::ollama, 400, "model is required");
  return std::string();
}

void add_routes(httplib::Server& server, Service& service) {
  using Route = void (*)(Service&, const httplib::Request&, httplib::Response&);
  const auto post = [&](const char* path, Route route) {
    server.Post(path, [&service, route](const httplib::Request& request,
                                        httplib::Response& response) {
      route(service, request, response);
    });
  };
  post("/api/chat", chat);
  post("/api/generate", generate);
  post("/api/show", show);
  post("/api/embed", [](Service& s, const httplib::Request& request, httplib::Response& response) {
    embed(s, false, request, response);
  });
  post("/api/embeddings",
       [](Service& s, const httplib::Request& request, httplib::Response& response) {
         embed(s, true, request, response);
       });
  server.Get("/api/tags", [&service](const httplib::Request&, httplib::Response& response) {
    tags(service, response);
  });
  server.Get("/api/ps", [&service](const httplib::Request&, httplib::Response& response) {
    running(service, response);
  });
  server.Get("/api/version", [&service](const httplib::Request&, httplib::Response& response) {
    response.set_content(json_text({{"version", kProtocolVersion}, {"hypura", service.version}}),
                         "application/json; charset=utf-8");
  });
  add_store_routes(server, service);
}

}  // namespace hypura::ollama
