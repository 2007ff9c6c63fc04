#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/status.h"
#include "server-http.h"

namespace httplib {
class Server;
struct Request;
struct Response;
}  // namespace httplib

namespace hypura {

// What the process of one model answers with on a socket: handlers of llama.cpp's server behind
// HTTP. Says 503 until it is opened for requests.
class ModelHttp {
 public:
  using Handler = server_http_context::handler_t;

  struct Options {
    std::string socket_path;
    size_t threads = 8;  // requests answered at a time
    // Why computing failed, in the place of llama.cpp's "Compute error."; empty if it is not known.
    std::function<std::string()> why_failed;
    // Whether anybody waits for an answer. Called from a thread of its own, about 20 times a second
    // while requests are under way, and when the first of them begins.
    std::function<void(bool)> on_wait;
  };

  explicit ModelHttp(Options options);
  ~ModelHttp();

  // Routes, before listen(). A handler may throw; what it throws becomes an error body.
  void get(const std::string& path, Handler handler);
  void post(const std::string& path, Handler handler);

  // Answers from here on, on a thread of its own. Errors: failed.
  Status listen();
  // From here on handlers are called.
  void open() { open_.store(true); }

 private:
  struct Waiting;
  class Ticket;
  struct Exchange;

  void handle(const Handler& handler, const httplib::Request& request,
              httplib::Response& response);
  void watch(const std::stop_token& stop);

  Options options_;
  std::unique_ptr<httplib::Server> server_;
  std::atomic<bool> open_ = false;
  std::atomic<bool> ending_ = false;
  std::mutex mutex_;
  std::list<Waiting> waiting_;
  std::thread listener_;
  std::jthread watcher_;
};

}  // namespace hypura
