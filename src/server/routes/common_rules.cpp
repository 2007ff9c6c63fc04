#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
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

// Of the address that was asked for, in a log.
constexpr size_t kPathLogged = 200;
constexpr uint64_t kBlobMax = uint64_t{1} << 40;
constexpr std::array kMethods = {"GET", "HEAD", "POST", "DELETE", "OPTIONS"};

Protocol protocol_of(std::string_view path) {
  if (path.starts_with("/api/")) return Protocol::ollama;
  return path.starts_with("/v1/messages") ? Protocol::anthropic : Protocol::openai;
}

// What needs no key: whether the server is well, and its page, which asks for the key.
bool is_open(const httplib::Request& request) {
  const std::string& path = request.path;
  return path == "/health" || path == "/v1/health" || path == "/" ||
         path.starts_with("/dashboard/");
}

void allow_origin(const HttpRules& rules, const httplib::Request& request,
                  httplib::Response& response) {
  const std::string origin = request.get_header_value("Origin");
  if (rules.cors_origin.empty() || origin.empty()) return;
  response.set_header("Access-Control-Allow-Origin", origin);
  response.set_header("Vary", "Origin");
  if (request.method != "OPTIONS") return;
  response.set_header("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS");
  response.set_header("Access-Control-Allow-Headers",
                      "Authorization, Content-Type, x-api-key, anthropic-version");
  response.set_header("Access-Control-Max-Age", "86400");
}

// True: it has been answered.
bool refuse(const HttpRules& rules, const httplib::Request& request, httplib::Response& response) {
  const std::string host = request.get_header_value("Host");
  const std::string origin = request.get_header_value("Origin");
  const std::string authorization = request.get_header_value("Authorization");
  const std::string api_key = request.get_header_value("x-api-key");
  const bool open = is_open(request) || request.method == "OPTIONS";
  const Protocol protocol = protocol_of(request.path);
  switch (judge(rules,
                {.host = host, .origin = origin, .authorization = authorization,
                 .api_key = api_key},
                open)) {
    case Verdict::allowed: return false;
    case Verdict::foreign_host:
      answer_error(response, protocol, 403,
                   fmt::format("this server is not {}: ask {}", host, rules.host));
      return true;
    case Verdict::foreign_origin:
      answer_error(response, protocol, 403,
                   fmt::format("pages of {} may not ask: --cors {} allows it", origin, origin));
      return true;
    case Verdict::wrong_key:
      response.set_header("WWW-Authenticate", "Bearer");
      answer_error(response, protocol, 401,
                   authorization.empty() && api_key.empty() ? "an API key is needed"
                                                            : "the API key is wrong");
      return true;
  }
  return true;
}

// True: it has been answered. A body that comes in pieces could be of any size.
bool is_too_large(const httplib::Request& request, uint64_t body_max,
                  httplib::Response& response) {
  if (request.path.starts_with("/api/blobs/")) return false;
  const Protocol protocol = protocol_of(request.path);
  if (request.has_header("Transfer-Encoding")) {
    answer_error(response, protocol, 411, "the body's length is required");
    return true;
  }
  const uint64_t bytes = request.get_header_value_u64("Content-Length");
  if (bytes <= body_max) return false;
  answer_error(response, protocol, 413,
               fmt::format("the body has {} bytes, and {} are taken: --max-body changes it", bytes,
                           body_max));
  return true;
}

void explain(const httplib::Request& request, httplib::Response& response) {
  const int code = response.status;
  std::string message;
  switch (code) {
    case 404:
      message = fmt::format("{} {}: no such route", request.method,
                            request.path.substr(0, kPathLogged));
      break;
    case 414: message = "the address is too long"; break;
    default: message = httplib::status_message(code);
  }
  answer_error(response, protocol_of(request.path), code, message);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// What a log says of a request.
struct Logged {
  Logged(const httplib::Request& request, const httplib::Response& response)
      : status(response.status),
        method(request.method),
        path(request.path.substr(0, kPathLogged)),
        client(request.remote_addr),
        request_bytes(request.body.size()),
        begun(request.start_time_) {
    for (char& c : path) {
      if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
    }
  }

  int status;
  std::string method;
  std::string path;
  std::string client;
  uint64_t request_bytes;
  std::chrono::steady_clock::time_point begun;
};

// Of an answer that ends now; `whole`: the client has all of it.
std::string log_line(const Logged& logged, bool whole, bool json) {
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const std::string time = fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", fmt::gmtime(std::time_t(
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count())));
  const double seconds = seconds_since(logged.begun);
  if (!json) {
    return fmt::format("{} {} {} {} {:.3f} s{}\n", time, logged.status, logged.method, logged.path,
                       seconds, whole ? "" : ", broken off");
  }
  const Json line = {{"time", time},
                     {"status", logged.status},
                     {"method", logged.method},
                     {"path", logged.path},
                     {"client", logged.client},
                     {"request_bytes", logged.request_bytes},
                     {"seconds", seconds},
                     {"whole", whole}};
  return json_text(line) + "\n";
}

}  // namespace

void add_common_rules(httplib::Server& server, Service& service, uint64_t body_max,
                      std::function<void(const std::string& line)> log, bool log_json) {
  // Blobs are models: they are written as they come.
  server.set_payload_max_length(kBlobMax);
  server.set_pre_routing_handler([&service, body_max](const httplib::Request& request,
                                                      httplib::Response& response) {
    using enum httplib::Server::HandlerResponse;
    if (refuse(service.rules, request, response)) return Handled;
    allow_origin(service.rules, request, response);
    if (std::find(kMethods.begin(), kMethods.end(), request.method) == kMethods.end()) {
      answer_error(response, protocol_of(request.path), 405,
                   fmt::format("{} is not asked here", request.method));
      return Handled;
    }
    if (is_too_large(request, body_max, response)) return Handled;
    if (request.method != "OPTIONS") return Unhandled;
    response.status = 204;
    return Handled;
  });
  server.set_error_handler([](const httplib::Request& request, httplib::Response& response) {
    if (!response.body.empty() || response.status == 499) {
      return httplib::Server::HandlerResponse::Unhandled;
    }
    explain(request, response);
    return httplib::Server::HandlerResponse::Handled;
  });
  server.set_exception_handler([](const httplib::Request& request, httplib::Response& response,
                                  const std::exception_ptr& thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
      answer_error(response, protocol_of(request.path), 500, error.what());
    } catch (...) {
      answer_error(response, protocol_of(request.path), 500, "it went wrong");
    }
  });
  // httplib's log of a stream comes before its body. It ends when its provider is released.
  server.set_post_routing_handler([log, log_json](const httplib::Request& request,
                                                  httplib::Response& response) {
    if (!log || !response.content_provider_) return;
    response.content_provider_resource_releaser_ =
        [log, log_json, logged = Logged(request, response),
         release = std::move(response.content_provider_resource_releaser_)](bool whole) {
          if (release) release(whole);
          log(log_line(logged, whole, log_json));
        };
  });
  server.set_logger([&service, log, log_json](const httplib::Request& request,
                                              const httplib::Response& response) {
    {
      const std::lock_guard lock(service.mutex);
      ++service.answers[response.status];
    }
    if (!log || response.content_provider_) return;
    log(log_line(Logged(request, response), true, log_json));
  });
}

}  // namespace hypura
