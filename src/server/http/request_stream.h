#pragma once

#include <sys/socket.h>

#include <string>

#include "cpp-httplib/httplib.h"

namespace hypura {

// To send() with: a client that has gone is an error, and no signal. Where there is no such flag the
// program ignores the signal.
#ifdef MSG_NOSIGNAL
inline constexpr int kNoSignal = MSG_NOSIGNAL;
#else
inline constexpr int kNoSignal = 0;
#endif

// A connection of which some bytes were read already. Used by one thread; the socket is another's
// to close, and does not block.
class RequestStream final : public httplib::Stream {
 public:
  RequestStream(int socket, std::string bytes) : socket_(socket), bytes_(std::move(bytes)) {}

  bool is_readable() const override { return used_ < bytes_.size(); }
  bool wait_readable() const override;
  bool wait_writable() const override;
  ssize_t read(char* to, size_t size) override;
  ssize_t write(const char* from, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }
  time_t duration() const override { return 0; }
  const char* buffered_data(size_t& size) const override;
  void consume_buffered(size_t size) override { used_ += size; }

  // What was read and not consumed: the start of the next request.
  std::string rest() const { return bytes_.substr(used_); }

 private:
  int socket_;
  std::string bytes_;
  size_t used_ = 0;
};

}  // namespace hypura
