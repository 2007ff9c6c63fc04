#include "server/http/door.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "server/http/request_size.h"
#include "server/http/request_stream.h"

namespace hypura {
namespace {

constexpr size_t kHeadMax = 16 << 10;
constexpr size_t kReadBytes = 64 << 10;
// How long a connection that we close is read from, so that the client sees the answer.
constexpr double kLingerSeconds = 2;
constexpr int kWatchMs = 250;
constexpr int kBacklog = 4096;
// Files that are not connections: models, pipes, sockets of models.
constexpr rlim_t kOtherFiles = 256;

void set_flags(int socket) {
  ::fcntl(socket, F_SETFL, O_NONBLOCK);
  ::fcntl(socket, F_SETFD, FD_CLOEXEC);
}

// As many connections as the system lets us have files for.
size_t connections_allowed(size_t wanted) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return wanted;
  const rlim_t asked = std::min<rlim_t>(files.rlim_max, wanted + kOtherFiles);
  if (files.rlim_cur < asked) {
    rlimit more = files;
    more.rlim_cur = asked;
    if (::setrlimit(RLIMIT_NOFILE, &more) == 0) files = more;
  }
  return files.rlim_cur <= 2 * kOtherFiles ? files.rlim_cur / 2
                                           : std::min<size_t>(wanted, files.rlim_cur - kOtherFiles);
}

}  // namespace

// httplib::Server, asked for one request at a time.
class Door::Routes final : public httplib::Server {
 public:
  // False: the connection is not to be used again.
  bool answer(RequestStream& stream, bool last) {
    std::string ip;
    std::string local_ip;
    int port = 0;
    int local_port = 0;
    stream.get_remote_ip_and_port(ip, port);
    stream.get_local_ip_and_port(local_ip, local_port);
    bool closed = false;
    const bool written =
        process_request(stream, ip, port, local_ip, local_port, last, closed, nullptr);
    return written && !closed && !last;
  }
};

struct Door::Connection {
  enum class State : uint8_t { waiting, lingering, over };
  int socket = -1;
  State state = State::waiting;
  std::string bytes;
  double since = 0;  // of its first byte; without one, of the last answer
};

Door::Door(const Options& options) : options_(options), routes_(std::make_unique<Routes>()) {
  options_.connections_max = connections_allowed(options_.connections_max);
}

Door::~Door() {
  if (!watcher_.joinable()) return;
  ending_.store(true);
  wake();
  watcher_.join();
  std::unique_lock lock(mutex_);
  // Who is still answered has had its time: the client is gone, as far as its thread can see.
  for (const int socket : answering_) ::shutdown(socket, SHUT_RDWR);
  answered_.wait(lock, [this] { return answering_.empty(); });
  for (const Returned& returned : returned_) ::close(returned.socket);
  for (const int end : {wake_read_, wake_write_}) ::close(end);
}

httplib::Server& Door::routes() { return *routes_; }

Status Door::open() {
  // The library resolves the name and binds; connections are accepted here.
  routes_->set_socket_options([this](int socket) {
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    listener_ = socket;
  });
  port_ = options_.port == 0 ? routes_->bind_to_any_port(options_.host)
          : routes_->bind_to_port(options_.host, options_.port) ? options_.port
                                                                 : -1;
  if (port_ <= 0) {
    return Status(StatusCode::failed, fmt::format("cannot listen on {}:{}: {}", options_.host,
                                                  options_.port, std::strerror(errno)))
        .suggest("another --port, or --host; who listens there: ss -ltnp");
  }
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0 || ::listen(listener_, kBacklog) != 0) {
    return Status(StatusCode::failed, fmt::format("cannot listen on port {}: {}", port_,
                                                  std::strerror(errno)));
  }
  wake_read_ = ends[0];
  wake_write_ = ends[1];
  for (const int file : {listener_, wake_read_, wake_write_}) set_flags(file);
  watcher_ = std::thread([this] { watch(); });
  return Status();
}

void Door::close() {
  closing_.store(true);
  wake();
}

void Door::wake() {
  const char byte = 0;
  // A full pipe wakes as well.
  static_cast<void>(!::write(wake_write_, &byte, 1));
}

void Door::watch() {
  std::vector<pollfd> entries;
  while (!ending_.load()) {
    entries.assign({{.fd = wake_read_, .events = POLLIN, .revents = 0},
                    {.fd = closing_.load() ? -1 : listener_, .events = POLLIN, .revents = 0}});
    for (const Connection& connection : connections_) {
      entries.push_back({.fd = connection.socket, .events = POLLIN, .revents = 0});
    }
    ::poll(entries.data(), static_cast<nfds_t>(entries.size()), kWatchMs);
    const double now = now_seconds();
    std::array<char, 256> woken;
    while (::read(wake_read_, woken.data(), woken.size()) > 0) {}
    size_t i = 2;
    for (Connection& connection : connections_) {
      if ((entries[i++].revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
        if (read_more(connection, now)) advance(connection, now);
      }
      if (is_over(connection, now)) connection.state = Connection::State::over;
    }
    connections_.remove_if([](const Connection& connection) {
      if (connection.state != Connection::State::over) return false;
      if (connection.socket >= 0) ::close(connection.socket);
      return true;
    });
    take_back(now);
    if (entries[1].revents != 0) accept_all(now);
  }
  for (const Connection& connection : connections_) ::close(connection.socket);
  connections_.clear();
}

void Door::accept_all(double now) {
  for (;;) {
    const int socket = ::accept(listener_, nullptr, nullptr);
    if (socket < 0) {
      // Out of files: one that is idle is given up, and we come again.
      if (errno == EMFILE || errno == ENFILE) make_place(now);
      return;
    }
    set_flags(socket);
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connections_.size() + answering() >= options_.connections_max && !make_place(now)) {
      ::close(socket);
      continue;
    }
    connections_.push_back({.socket = socket, .since = now});
  }
}

// Closes the connection that said nothing for longest, or is slowest to say it.
bool Door::make_place(double now) {
  const auto oldest = std::min_element(
      connections_.begin(), connections_.end(),
      [](const Connection& a, const Connection& b) { return a.since < b.since; });
  if (oldest == connections_.end() || oldest->since == now) return false;
  ::close(oldest->socket);
  connections_.erase(oldest);
  return true;
}

void Door::take_back(double now) {
  std::vector<Returned> returned;
  {
    const std::lock_guard lock(mutex_);
    returned.swap(returned_);
  }
  for (Returned& one : returned) {
    Connection& connection = connections_.emplace_back();
    connection.socket = one.socket;
    connection.bytes = std::move(one.rest);
    connection.since = now;
    if (!one.keep || closing_.load()) {
      linger(connection, now);
    } else if (!connection.bytes.empty()) {
      advance(connection, now);
    }
  }
  connections_.remove_if([](const Connection& connection) {
    return connection.state == Connection::State::over && connection.socket < 0;
  });
}

// False: there is nothing new to look at.
bool Door::read_more(Connection& connection, double now) {
  static thread_local std::array<char, kReadBytes> bytes;
  const ssize_t count = ::recv(connection.socket, bytes.data(), bytes.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return false;
  if (count <= 0) {
    connection.state = Connection::State::over;
    return false;
  }
  if (connection.state == Connection::State::lingering) return false;
  if (connection.bytes.empty()) connection.since = now;
  connection.bytes.append(bytes.data(), static_cast<size_t>(count));
  return true;
}

// Hands a request over once there is enough of it.
void Door::advance(Connection& connection, double now) {
  const std::optional<RequestSize> size = request_size(connection.bytes);
  if ((size.has_value() ? size->head_bytes : connection.bytes.size()) > kHeadMax) {
    return refuse(connection, "431 Request Header Fields Too Large",
                  "the head of the request is too long", now);
  }
  if (!size.has_value()) return;
  const bool upload = !size->body_bytes.has_value() || *size->body_bytes > options_.body_max;
  if (!upload && connection.bytes.size() < size->head_bytes + *size->body_bytes) return;
  const bool full = answering() >= options_.requests_max ||
                    (upload && uploading_.load() >= options_.uploads_max);
  if (full) {
    refuse(connection, "503 Service Unavailable", "too many requests at a time", now);
  } else {
    hand_over(connection, upload);
  }
}

void Door::hand_over(Connection& connection, bool upload) {
  const int socket = std::exchange(connection.socket, -1);
  connection.state = Connection::State::over;
  {
    const std::lock_guard lock(mutex_);
    answering_.insert(socket);
  }
  if (upload) ++uploading_;
  // A thread takes less time to start than any answer takes. It lives for this one: a pool that
  // shares threads would let a request wait behind others that wait for a model.
  std::thread([this, socket, bytes = std::move(connection.bytes), upload]() mutable {
    answer(socket, std::move(bytes), upload);
  }).detach();
}

void Door::answer(int socket, std::string bytes, bool upload) {
  RequestStream stream(socket, std::move(bytes));
  bool keep = false;
  try {
    keep = routes_->answer(stream, closing_.load());
  } catch (const std::exception&) {
    // Only this connection is lost: it is closed.
  }
  if (upload) --uploading_;
  // Behind the lock nothing of this is touched any more: the door may be gone.
  const std::lock_guard lock(mutex_);
  returned_.push_back({.socket = socket, .rest = stream.rest(), .keep = keep});
  answering_.erase(socket);
  wake();
  answered_.notify_all();
}

size_t Door::answering() {
  const std::lock_guard lock(mutex_);
  return answering_.size();
}

void Door::refuse(Connection& connection, const char* status_line, const char* message,
                  double now) {
  const std::string body = fmt::format(R"({{"error":{{"code":{0:.3},"message":"{1}",)"
                                       R"("type":"server_error"}}}})",
                                       status_line, message);
  const std::string answer = fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n"
      "Retry-After: 1\r\nConnection: close\r\n\r\n{}",
      status_line, body.size(), body);
  // A few hundred bytes into an empty buffer: they fit, or the client is gone.
  static_cast<void>(::send(connection.socket, answer.data(), answer.size(), kNoSignal));
  linger(connection, now);
}

// Closing with bytes unread would take the answer from the client's hands.
void Door::linger(Connection& connection, double now) {
  ::shutdown(connection.socket, SHUT_WR);
  connection.state = Connection::State::lingering;
  connection.bytes.clear();
  connection.since = now;
}

bool Door::is_over(Connection& connection, double now) {
  const double age = now - connection.since;
  switch (connection.state) {
    case Connection::State::over: return true;
    case Connection::State::lingering: return age > kLingerSeconds;
    case Connection::State::waiting:
      if (connection.bytes.empty()) return closing_.load() || age > options_.idle_seconds;
      if (age <= options_.request_seconds) return false;
      refuse(connection, "408 Request Timeout", "the request did not arrive in time", now);
      return false;
  }
  return true;
}

}  // namespace hypura
