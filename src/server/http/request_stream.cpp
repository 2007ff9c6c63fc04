#include "server/http/request_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hypura {
namespace {

// A client that neither sends nor takes a byte for so long is given up.
constexpr int kReadMs = 10'000;
constexpr int kWriteMs = 30'000;

bool wait_for(int socket, short events, int ms) {
  pollfd entry{.fd = socket, .events = events, .revents = 0};
  int ready = 0;
  do {
    ready = ::poll(&entry, 1, ms);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

void name_of(const sockaddr_storage& address, socklen_t size, std::string& ip, int& port) {
  char host[NI_MAXHOST];
  char service[NI_MAXSERV];
  if (::getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host, sizeof host, service,
                    sizeof service, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return;
  }
  ip = host;
  port = std::atoi(service);
}

}  // namespace

bool RequestStream::wait_readable() const {
  return is_readable() || wait_for(socket_, POLLIN, kReadMs);
}

bool RequestStream::wait_writable() const { return wait_for(socket_, POLLOUT, kWriteMs); }

ssize_t RequestStream::read(char* to, size_t size) {
  if (is_readable()) {
    const size_t count = std::min(size, bytes_.size() - used_);
    std::memcpy(to, bytes_.data() + used_, count);
    used_ += count;
    return static_cast<ssize_t>(count);
  }
  for (;;) {
    const ssize_t count = ::recv(socket_, to, size, 0);
    if (count >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) return count;
    if (!wait_for(socket_, POLLIN, kReadMs)) return -1;
  }
}

ssize_t RequestStream::write(const char* from, size_t size) {
  for (;;) {
    const ssize_t count = ::send(socket_, from, size, kNoSignal);
    if (count >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) return count;
    if (!wait_for(socket_, POLLOUT, kWriteMs)) return -1;
  }
}

const char* RequestStream::buffered_data(size_t& size) const {
  size = bytes_.size() - used_;
  return size == 0 ? nullptr : bytes_.data() + used_;
}

void RequestStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0) return;
  name_of(address, size, ip, port);
}

void RequestStream::get_local_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0) return;
  name_of(address, size, ip, port);
}

}  // namespace hypura
