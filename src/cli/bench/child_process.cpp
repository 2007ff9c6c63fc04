#include "cli/bench/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

#include <array>
#include <cerrno>
#include <cstring>

#include "base/units.h"

namespace hypura::cli {
namespace {

using Clock = std::chrono::steady_clock;

// How soon a stop, a timeout or the child's end is noticed.
constexpr int kPollMilliseconds = 20;

struct Pipe {
  int read = -1;
  int write = -1;
  Pipe() = default;
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_read();
    close_write();
  }
  bool open() {
    std::array<int, 2> fds{};
    if (::pipe(fds.data()) != 0) return false;
    read = fds[0];
    write = fds[1];
    ::fcntl(read, F_SETFD, FD_CLOEXEC);
    ::fcntl(write, F_SETFD, FD_CLOEXEC);
    ::fcntl(read, F_SETFL, O_NONBLOCK);
    return true;
  }
  void close_read() { close(read); }
  void close_write() { close(write); }

 private:
  static void close(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
};

[[noreturn]] void tell_errno(int pipe) {
  const int error = errno;
  static_cast<void>(::write(pipe, &error, sizeof error) < 0);
  ::_exit(127);
}

// What runs between fork and exec: only calls that a signal handler may make, as the parent may
// have threads. Tells errno on `failure` if it does not get as far as exec.
[[noreturn]] void become(char* const* words, const char* group_entry, int out, int err,
                         int failure) {
#ifdef __linux__
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  ::setpgid(0, 0);
  if (*group_entry != '\0') {
    const int entry = ::open(group_entry, O_WRONLY | O_CLOEXEC);
    if (entry < 0 || ::write(entry, "0", 1) != 1) tell_errno(failure);
  }
  const int null = ::open("/dev/null", O_RDONLY);
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0) tell_errno(failure);
  if (::dup2(out, STDOUT_FILENO) < 0 || ::dup2(err, STDERR_FILENO) < 0) tell_errno(failure);
  ::signal(SIGPIPE, SIG_DFL);  // we ignore it, and exec would keep that
  ::execvp(words[0], words);
  tell_errno(failure);
}

// Reads what is there; closes the pipe at its end.
void drain(Pipe& pipe, std::string& text) {
  std::array<char, 64 * kKiB> buffer;
  while (pipe.read >= 0) {
    const ssize_t got = ::read(pipe.read, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return pipe.close_read();
    const size_t room = kChildOutputMax - std::min(kChildOutputMax, text.size());
    text.append(buffer.data(), std::min(room, static_cast<size_t>(got)));
  }
}

// A started child until it was waited for. Its destructor leaves none behind.
class Child {
 public:
  explicit Child(const ChildOptions& options) : options_(options) {}
  ~Child() {
    if (pid_ > 0 && !ended_) {
      kill(SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  Status start();
  ChildOutcome wait();

 private:
  void kill(int number) const {
    ::kill(-pid_, number);
    ::kill(pid_, number);  // it may not have its group yet
  }
  bool has_ended();
  void listen();
  void enforce_limits();

  const ChildOptions& options_;
  pid_t pid_ = -1;
  bool ended_ = false;
  bool killed_ = false;
  Pipe out_;
  Pipe err_;
  Clock::time_point start_;
  ChildOutcome outcome_;
};

Status Child::start() {
  Pipe failure;
  if (!out_.open() || !err_.open() || !failure.open()) {
    return Status(StatusCode::failed, fmt::format("no pipe: {}", std::strerror(errno)));
  }
  std::vector<std::string> copy = options_.words;
  std::vector<char*> words;
  for (std::string& word : copy) words.push_back(word.data());
  words.push_back(nullptr);

  start_ = Clock::now();
  pid_ = ::fork();
  if (pid_ == 0) {
    become(words.data(), options_.group_entry.c_str(), out_.write, err_.write, failure.write);
  }
  int error = errno;
  out_.close_write();
  err_.close_write();
  failure.close_write();
  if (pid_ > 0) {
    // exec closes the pipe, so this ends at once if all went well.
    ::fcntl(failure.read, F_SETFL, 0);
    ssize_t got = 0;
    do {
      got = ::read(failure.read, &error, sizeof error);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) return Status();
  }
  return Status(StatusCode::failed,
                fmt::format("cannot run {}: {}", options_.words.front(), std::strerror(error)));
}

bool Child::has_ended() {
  int status = 0;
  rusage usage{};
  pid_t waited = 0;
  do {
    waited = ::wait4(pid_, &status, WNOHANG, &usage);
  } while (waited < 0 && errno == EINTR);
  if (waited != pid_) return false;
  ended_ = true;
  if (WIFEXITED(status)) outcome_.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome_.signal = WTERMSIG(status);
#ifdef __APPLE__
  outcome_.peak_resident_bytes = static_cast<uint64_t>(usage.ru_maxrss);
#else
  outcome_.peak_resident_bytes = static_cast<uint64_t>(usage.ru_maxrss) * kKiB;
#endif
  return true;
}

void Child::listen() {
  std::array<pollfd, 2> fds{pollfd{out_.read, POLLIN, 0}, pollfd{err_.read, POLLIN, 0}};
  ::poll(fds.data(), fds.size(), kPollMilliseconds);  // a closed one is -1, which poll ignores
  drain(out_, outcome_.out);
  drain(err_, outcome_.err);
}

void Child::enforce_limits() {
  if (killed_) return;
  const auto spent = Clock::now() - start_;
  if (options_.stop != nullptr && options_.stop->load()) {
    outcome_.stopped = true;
    killed_ = true;
    kill(SIGKILL);
  } else if (spent > options_.timeout + options_.grace) {
    killed_ = true;
    kill(SIGKILL);
  } else if (spent > options_.timeout && !outcome_.timed_out) {
    outcome_.timed_out = true;
    kill(SIGINT);
  }
}

ChildOutcome Child::wait() {
  while (!has_ended()) {
    listen();
    enforce_limits();
  }
  listen();  // what it said last
  outcome_.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  return std::move(outcome_);
}

}  // namespace

Result<ChildOutcome> run_child(const ChildOptions& options) {
  Child child(options);
  if (Status status = child.start(); !status.ok()) return status;
  return child.wait();
}

std::string own_program() {
#ifdef __APPLE__
  std::array<char, 4096> path{};
  uint32_t size = path.size();
  return ::_NSGetExecutablePath(path.data(), &size) == 0 ? path.data() : "hypura";
#else
  return "/proc/self/exe";
#endif
}

}  // namespace hypura::cli
