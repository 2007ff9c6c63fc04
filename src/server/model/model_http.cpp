#include "server/model/model_http.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <map>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "cpp-httplib/httplib.h"
#include "nlohmann/json.hpp"
#include "server/json_text.h"

namespace hypura {
namespace {

constexpr std::chrono::milliseconds kWatchEvery{50};
constexpr std::string_view kComputeError = "Compute error.";
// A socket file has no port; the library asks for one that is not 0.
constexpr int kAnyPort = 1;

std::string error_body(int code, const std::string& message, const char* type) {
  const nlohmann::ordered_json body = {
      {"error", {{"code", code}, {"message", message}, {"type", type}}}};
  return json_text(body);
}

void answer_error(httplib::Response& response, int code, const std::string& message,
                  const char* type) {
  response.status = code;
  response.set_content(error_body(code, message, type), "application/json");
}

std::map<std::string, std::string> parameters(const httplib::Request& request) {
  std::map<std::string, std::string> all;
  for (const auto& [key, value] : request.params) all[key] = value;
  for (const auto& [key, value] : request.path_params) all[key] = value;
  return all;
}

// llama.cpp's handlers read a form as an object of its fields.
std::string body_of(const httplib::Request& request) {
  if (!request.is_multipart_form_data()) return request.body;
  nlohmann::ordered_json body = nlohmann::ordered_json::object();
  for (const auto& [key, field] : request.form.fields) body[key] = field.content;
  return json_text(body);
}

std::map<std::string, uploaded_file> files_of(const httplib::Request& request) {
  std::map<std::string, uploaded_file> files;
  if (!request.is_multipart_form_data()) return files;
  for (const auto& [key, file] : request.form.files) {
    files[key] = {.data = raw_buffer(file.content.begin(), file.content.end()),
                  .filename = file.filename,
                  .content_type = file.content_type};
  }
  return files;
}

// Puts our reason where llama.cpp only knows that something went wrong.
void explain(std::string& text, const std::function<std::string()>& why_failed) {
  const size_t at = text.find(kComputeError);
  if (at == std::string::npos) return;
  const std::string why = why_failed ? why_failed() : std::string();
  if (why.empty()) return;
  const std::string quoted = nlohmann::json(why).dump();
  text.replace(at, kComputeError.size(), quoted, 1, quoted.size() - 2);
}

}  // namespace

// A request under way, and how to see that its client has gone.
struct ModelHttp::Waiting {
  std::function<bool()> is_gone;
};

// Keeps a request among those that are under way.
class ModelHttp::Ticket {
 public:
  Ticket(ModelHttp& http, std::function<bool()> is_gone) : http_(http) {
    const std::lock_guard lock(http_.mutex_);
    entry_ = http_.waiting_.insert(http_.waiting_.end(), Waiting{std::move(is_gone)});
    if (http_.options_.on_wait) http_.options_.on_wait(true);
  }
  ~Ticket() {
    const std::lock_guard lock(http_.mutex_);
    http_.waiting_.erase(entry_);
  }
  Ticket(const Ticket&) = delete;
  Ticket& operator=(const Ticket&) = delete;

 private:
  ModelHttp& http_;
  std::list<Waiting>::iterator entry_;
};

// What lives as long as an answer: handlers keep references to the request while they stream.
struct ModelHttp::Exchange {
  Exchange(ModelHttp& http, const httplib::Request& received)
      : should_stop([&http, is_gone = received.is_connection_closed] {
          return http.ending_.load() || is_gone();
        }),
        request{.params = parameters(received),
                .headers = {received.headers.begin(), received.headers.end()},
                .path = received.path,
                .query_string = std::string(),
                .body = body_of(received),
                .files = files_of(received),
                .should_stop = should_stop} {
    if (received.method == "POST") ticket.emplace(http, received.is_connection_closed);
  }

  std::optional<Ticket> ticket;
  std::function<bool()> should_stop;
  server_http_req request;
  server_http_res_ptr answer;
};

ModelHttp::ModelHttp(Options options)
    : options_(std::move(options)), server_(std::make_unique<httplib::Server>()) {
  server_->set_address_family(AF_UNIX);
  server_->new_task_queue = [threads = options_.threads] {
    return new httplib::ThreadPool(threads);
  };
  server_->set_error_handler([](const httplib::Request& request, httplib::Response& response) {
    if (!response.body.empty()) return httplib::Server::HandlerResponse::Unhandled;
    const int code = response.status;
    answer_error(response, code, fmt::format("{} {}: no such route", request.method, request.path),
                 "not_found_error");
    return httplib::Server::HandlerResponse::Handled;
  });
}

ModelHttp::~ModelHttp() {
  ending_.store(true);
  watcher_.request_stop();
  server_->stop();
  if (!listener_.joinable()) return;
  listener_.join();
  ::unlink(options_.socket_path.c_str());
}

void ModelHttp::get(const std::string& path, Handler handler) {
  server_->Get(path, [this, handler = std::move(handler)](const httplib::Request& request,
                                                          httplib::Response& response) {
    handle(handler, request, response);
  });
}

void ModelHttp::post(const std::string& path, Handler handler) {
  server_->Post(path, [this, handler = std::move(handler)](const httplib::Request& request,
                                                           httplib::Response& response) {
    handle(handler, request, response);
  });
}

Status ModelHttp::listen() {
  if (!server_->bind_to_port(options_.socket_path, kAnyPort)) {
    return Status(StatusCode::failed, fmt::format("cannot listen on {}", options_.socket_path));
  }
  listener_ = std::thread([this] { server_->listen_after_bind(); });
  watcher_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
  return Status();
}

void ModelHttp::watch(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::this_thread::sleep_for(kWatchEvery);
    const std::lock_guard lock(mutex_);
    if (waiting_.empty() || !options_.on_wait) continue;
    bool someone = false;
    for (const Waiting& waiting : waiting_) someone = someone || !waiting.is_gone();
    options_.on_wait(someone);
  }
}

void ModelHttp::handle(const Handler& handler, const httplib::Request& request,
                       httplib::Response& response) {
  if (!open_.load()) return answer_error(response, 503, "Loading model", "unavailable_error");
  const auto exchange = std::make_shared<Exchange>(*this, request);
  try {
    exchange->answer = handler(exchange->request);
  } catch (const std::invalid_argument& error) {
    return answer_error(response, 400, error.what(), "invalid_request_error");
  } catch (const std::exception& error) {
    return answer_error(response, 500, error.what(), "server_error");
  }
  server_http_res& answer = *exchange->answer;
  response.status = answer.status;
  for (const auto& [key, value] : answer.headers) response.set_header(key, value);
  if (!answer.is_stream()) {
    explain(answer.data, options_.why_failed);
    response.set_content(answer.data, answer.content_type);
    answer.on_complete();
    return;
  }
  response.set_chunked_content_provider(
      answer.content_type,
      [this, exchange](size_t, httplib::DataSink& sink) {
        std::string chunk;
        const bool more = exchange->answer->next(chunk);
        explain(chunk, options_.why_failed);
        if (!chunk.empty() && !sink.write(chunk.data(), chunk.size())) return false;
        if (!more) sink.done();
        return more;
      },
      [exchange](bool) { exchange->answer->on_complete(); });
}

}  // namespace hypura
