#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace httplib {
class Client;
}

namespace hypura {

// One request to the process of a model, as a stream that can be cancelled at any moment. Used by
// one thread.
class Exchange {
 public:
  struct Request {
    std::string method = "POST";
    std::string path;
    std::string body;
    std::string content_type = "application/json";
  };
  struct Head {
    int status = 0;
    std::string content_type;
  };
  enum class Step { data, end, failed, pending };

  Exchange(const std::string& socket_path, Request request);
  // Closes the connection, which cancels what the process computes for it.
  ~Exchange();

  // Waits up to `wait` for the head of the answer: nullopt if it is not there yet, or never comes
  // (then it is_broken()).
  std::optional<Head> head(std::chrono::milliseconds wait);
  // Whether it ended without a head.
  bool is_broken();
  // Waits up to `wait` for more of the body.
  Step next(std::string& data, std::chrono::milliseconds wait);

 private:
  void run(const Request& request);

  std::unique_ptr<httplib::Client> client_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Head> head_;
  std::string data_;      // that nobody took yet
  bool ended_ = false;
  bool complete_ = false;
  bool cancelled_ = false;
  std::thread thread_;
};

// All of an answer at once; a status of 0 if the process did not answer.
struct WholeAnswer {
  int status = 0;
  std::string content_type;
  std::string body;
};
// `is_gone` is asked 20 times a second: true cancels.
WholeAnswer ask(const std::string& socket_path, Exchange::Request request,
                const std::function<bool()>& is_gone);

}  // namespace hypura
