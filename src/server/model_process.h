#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"

namespace hypura {

// The process that serves one model on a socket, and ends with us.
class ModelProcess {
 public:
  struct Options {
    std::string program;                 // path of hypura
    std::string socket_path;
    std::vector<std::string> arguments;  // behind `serve-model`
  };

  // Errors: failed. It loads on; is_ready() says when it answers.
  static Result<std::unique_ptr<ModelProcess>> start(const Options& options);
  // Ends it, and waits until it has.
  ~ModelProcess();
  ModelProcess(const ModelProcess&) = delete;
  ModelProcess& operator=(const ModelProcess&) = delete;

  const std::string& socket_path() const { return socket_path_; }
  pid_t pid() const { return pid_; }
  // Whether it has ended by itself. From any thread.
  bool has_ended();
  // Whether it answers: loading is over.
  bool is_ready() const;
  // Why it ended, by what it said last. REQUIRES: has_ended().
  Status failure();

 private:
  ModelProcess(pid_t pid, int stdin_fd, int stderr_fd, std::string socket_path);
  void listen(int stderr_fd);
  bool wait_for_end(double seconds);

  pid_t pid_;
  int stdin_fd_;
  std::string socket_path_;
  std::mutex mutex_;
  bool ended_ = false;
  int wait_status_ = 0;
  std::deque<std::string> last_lines_;  // of stderr
  bool heard_all_ = false;
  std::condition_variable heard_;
  std::thread listener_;
};

// Path of the running program.
std::string own_program();

}  // namespace hypura
