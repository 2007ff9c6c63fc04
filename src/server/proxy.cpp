#include "server/proxy.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "cpp-httplib/httplib.h"
#include "nlohmann/json.hpp"

namespace hypura {
namespace {

constexpr std::chrono::milliseconds kLookEvery{50};
constexpr int kOk = 200;
constexpr int kBadGateway = 502;
constexpr int kClientGone = 499;
constexpr std::string_view kEvents = "text/event-stream";

// An answer on its way: it keeps the place at the model.
struct Transfer {
  std::unique_ptr<Broker::Place> place;
  std::unique_ptr<Exchange> exchange;  // ends before the place
  std::unique_ptr<AnswerTranslator> translator;
  Protocol protocol = Protocol::openai;
  std::function<bool()> is_gone;
};

std::string why_broken(Broker::Place& place) {
  const Status failure = place.failure();
  return failure.ok() ? "the model's process broke the answer off" : one_line(failure);
}

// The message of an error as llama.cpp's server words it.
std::string message_in(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (json.is_object() && json.contains("error")) {
    const auto& error = json["error"];
    if (error.is_string()) return error.get<std::string>();
    if (error.is_object() && error.contains("message") && error["message"].is_string()) {
      return error["message"].get<std::string>();
    }
  }
  return body.empty() ? "the model's process gave no reason" : body;
}

// A stream cannot take its 200 back: the reason is its last event.
std::string failure_event(Protocol protocol, const std::string& message) {
  const std::string body = error_body(protocol, kBadGateway, message);
  return protocol == Protocol::anthropic ? fmt::format("event: error\ndata: {}\n\n", body)
                                         : fmt::format("data: {}\n\n", body);
}

// nullopt: the client has gone, or the process has; `broken` tells these apart.
std::optional<Exchange::Head> wait_for_head(Transfer& transfer, bool& broken) {
  for (;;) {
    std::optional<Exchange::Head> head = transfer.exchange->head(kLookEvery);
    if (head.has_value()) return head;
    if (transfer.is_gone()) return std::nullopt;
    broken = transfer.exchange->is_broken();
    if (broken) return std::nullopt;
  }
}

// Sends what has come since the last time. False: that was all, or the client has gone.
bool send_more(Transfer& transfer, httplib::DataSink& sink) {
  std::string data;
  AnswerTranslator* translator = transfer.translator.get();
  std::string text;
  bool more = true;
  switch (transfer.exchange->next(data, kLookEvery)) {
    case Exchange::Step::pending: return !transfer.is_gone();
    case Exchange::Step::data: text = translator ? translator->on_data(data) : data; break;
    case Exchange::Step::end:
      if (translator != nullptr) text = translator->on_end();
      more = false;
      break;
    case Exchange::Step::failed: {
      const std::string why = why_broken(*transfer.place);
      text = translator ? translator->on_failure(why) : failure_event(transfer.protocol, why);
      more = false;
      break;
    }
  }
  if (!text.empty() && !sink.write(text.data(), text.size())) return false;
  if (!more) sink.done();
  return true;
}

// The whole body. False: the client has gone, or the process has.
bool gather(Transfer& transfer, std::string& body, bool& broken) {
  std::string data;
  for (;;) {
    switch (transfer.exchange->next(data, kLookEvery)) {
      case Exchange::Step::data: body += data; break;
      case Exchange::Step::end: return true;
      case Exchange::Step::failed: broken = true; return false;
      case Exchange::Step::pending:
        if (transfer.is_gone()) return false;
        break;
    }
  }
}

void answer_whole(Transfer& transfer, const Exchange::Head& head, httplib::Response& response) {
  std::string body;
  bool broken = false;
  if (!gather(transfer, body, broken)) {
    if (!broken) {
      response.status = kClientGone;
      return;
    }
    return answer_error(response, transfer.protocol, kBadGateway, why_broken(*transfer.place));
  }
  if (transfer.protocol != Protocol::openai && head.status != kOk) {
    return answer_error(response, transfer.protocol, head.status, message_in(body));
  }
  response.status = head.status;
  if (transfer.translator == nullptr || head.status != kOk)
    return response.set_content(body, head.content_type);
  std::string text = transfer.translator->on_data(body);
  text += transfer.translator->on_end();
  response.status = transfer.translator->http_code();
  response.set_content(text, transfer.translator->content_type());
}

}  // namespace

void answer_error(httplib::Response& response, Protocol protocol, int http_code,
                  std::string_view message) {
  response.status = http_code;
  response.set_content(error_body(protocol, http_code, message), "application/json");
}

void answer_refusal(httplib::Response& response, Protocol protocol, const Refusal& refusal) {
  if (refusal.http_code == 503) response.set_header("Retry-After", "2");
  answer_error(response, protocol, refusal.http_code, one_line(refusal.status));
}

void answer_by_model(Broker& broker, ModelCall call, const httplib::Request& request,
                     httplib::Response& response) {
  const auto transfer = std::make_shared<Transfer>();
  transfer->protocol = call.protocol;
  transfer->is_gone = request.is_connection_closed;
  Refusal refusal;
  transfer->place = broker.take_place(call.model, call.wish, transfer->is_gone, refusal);
  if (transfer->place == nullptr) return answer_refusal(response, call.protocol, refusal);
  if (call.prepare) {
    const AskModel ask_model = [&](Exchange::Request asked) {
      return ask(transfer->place->socket_path(), std::move(asked), transfer->is_gone);
    };
    if (Status status = call.prepare(ask_model, call.request); !status.ok()) {
      return answer_error(response, call.protocol, 500, one_line(status));
    }
  }
  if (call.translate) transfer->translator = call.translate(transfer->place->load_seconds());
  transfer->exchange =
      std::make_unique<Exchange>(transfer->place->socket_path(), std::move(call.request));

  bool broken = false;
  const std::optional<Exchange::Head> head = wait_for_head(*transfer, broken);
  if (broken) {
    return answer_error(response, call.protocol, kBadGateway, why_broken(*transfer->place));
  }
  if (!head.has_value()) {
    response.status = kClientGone;
    return;
  }
  const bool streams =
      !call.whole && head->status == kOk && head->content_type.starts_with(kEvents);
  if (!streams) return answer_whole(*transfer, *head, response);
  response.status = head->status;
  response.set_chunked_content_provider(
      transfer->translator ? transfer->translator->content_type() : head->content_type,
      [transfer](size_t, httplib::DataSink& sink) { return send_more(*transfer, sink); });
}

}  // namespace hypura
