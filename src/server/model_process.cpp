#include "server/model_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "server/exchange.h"

extern char** environ;

namespace hypura {
namespace {

constexpr size_t kLinesKept = 20;
constexpr double kStopSeconds = 10;  // between asking and insisting
constexpr std::chrono::milliseconds kLookEvery{20};
constexpr std::chrono::milliseconds kHealthWait{500};

struct Pipe {
  int read = -1;
  int write = -1;
  bool open() {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) return false;
    read = ends[0];
    write = ends[1];
    for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
    return true;
  }
};

Status cannot_start(int error) {
  return Status(StatusCode::failed,
                fmt::format("cannot start a model's process: {}", std::strerror(error)));
}

// The code with which `hypura` ends for each kind of failure.
StatusCode code_of(int exit_code) {
  switch (exit_code) {
    case 2: return StatusCode::invalid_argument;
    case 3: return StatusCode::does_not_fit;
    case 4: return StatusCode::invalid_model;
    default: return StatusCode::failed;
  }
}

// What follows `label` in the last line that has it; empty if none does.
std::string said(const std::deque<std::string>& lines, const std::string& label) {
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    if (line->starts_with(label)) return line->substr(label.size());
  }
  return std::string();
}

}  // namespace

std::string own_program() {
#ifdef __APPLE__
  std::array<char, 4096> path{};
  uint32_t size = path.size();
  return ::_NSGetExecutablePath(path.data(), &size) == 0 ? std::string(path.data()) : "hypura";
#else
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "hypura" : path.string();
#endif
}

Result<std::unique_ptr<ModelProcess>> ModelProcess::start(const Options& options) {
  Pipe in;
  Pipe err;
  if (!in.open()) return cannot_start(errno);
  if (!err.open()) {
    const int error = errno;
    ::close(in.read);
    ::close(in.write);
    return cannot_start(error);
  }
  std::vector<std::string> words = {options.program, "serve-model"};
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  words.insert(words.end(), {"--socket", options.socket_path});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.read, STDIN_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, err.write, STDERR_FILENO);
  pid_t pid = 0;
  const int error =
      ::posix_spawn(&pid, options.program.c_str(), &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(in.read);
  ::close(err.write);
  if (error != 0) {
    ::close(in.write);
    ::close(err.read);
    return cannot_start(error);
  }
  return std::unique_ptr<ModelProcess>(
      new ModelProcess(pid, in.write, err.read, options.socket_path));
}

ModelProcess::ModelProcess(pid_t pid, int stdin_fd, int stderr_fd, std::string socket_path)
    : pid_(pid), stdin_fd_(stdin_fd), socket_path_(std::move(socket_path)) {
  listener_ = std::thread([this, stderr_fd] { listen(stderr_fd); });
}

ModelProcess::~ModelProcess() {
  if (!has_ended()) {
    ::kill(pid_, SIGTERM);
    if (!wait_for_end(kStopSeconds)) {
      ::kill(pid_, SIGKILL);
      wait_for_end(kStopSeconds);
    }
  }
  ::close(stdin_fd_);
  listener_.join();
  std::error_code ignored;
  std::filesystem::remove(socket_path_, ignored);
}

void ModelProcess::listen(int stderr_fd) {
  std::string text;
  std::array<char, 4096> bytes;
  ssize_t count = 0;
  while ((count = ::read(stderr_fd, bytes.data(), bytes.size())) > 0) {
    text.append(bytes.data(), static_cast<size_t>(count));
    for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
      const std::lock_guard lock(mutex_);
      last_lines_.push_back(text.substr(0, end));
      if (last_lines_.size() > kLinesKept) last_lines_.pop_front();
      text.erase(0, end + 1);
    }
  }
  ::close(stderr_fd);
  const std::lock_guard lock(mutex_);
  heard_all_ = true;
  heard_.notify_all();
}

bool ModelProcess::has_ended() {
  const std::lock_guard lock(mutex_);
  if (ended_) return true;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
  ended_ = true;
  wait_status_ = status;
  return true;
}

bool ModelProcess::wait_for_end(double seconds) {
  const double end = now_seconds() + seconds;
  while (!has_ended()) {
    if (now_seconds() > end) return false;
    std::this_thread::sleep_for(kLookEvery);
  }
  return true;
}

bool ModelProcess::is_ready() const {
  std::error_code error;
  if (!std::filesystem::exists(socket_path_, error)) return false;
  const double end = now_seconds() + std::chrono::duration<double>(kHealthWait).count();
  const WholeAnswer answer = ask(socket_path_, {.method = "GET", .path = "/health", .body = ""},
                                 [end] { return now_seconds() > end; });
  return answer.status == 200;
}

Status ModelProcess::failure() {
  std::unique_lock lock(mutex_);
  // Its last words may still be on their way.
  heard_.wait_for(lock, kHealthWait, [this] { return heard_all_; });
  const std::string what = said(last_lines_, "error: ");
  if (WIFSIGNALED(wait_status_)) {
    const int signal = WTERMSIG(wait_status_);
    Status status(StatusCode::failed,
                  fmt::format("the model's process was ended by signal {} ({})", signal,
                              ::strsignal(signal)));
    if (signal == SIGKILL) status.suggest("a smaller --ram-budget: the system may have been short");
    return status;
  }
  const int code = WEXITSTATUS(wait_status_);
  Status status(code_of(code), what.empty() ? fmt::format("the model's process ended with {}", code)
                                            : what);
  if (const std::string why = said(last_lines_, "  why: "); !why.empty()) status.because(why);
  if (const std::string hint = said(last_lines_, "  try: "); !hint.empty()) status.suggest(hint);
  return status;
}

}  // namespace hypura
