#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"

namespace httplib {
class Server;
}  // namespace httplib

namespace hypura {

// Connections to a server. Those that are idle, or have not yet said all of a request, wait here
// without a thread: thousands of them, or slow ones, take nothing from others. Requests are then
// parsed and answered by httplib::Server's routes, each on a thread. Docs: ADR 0014.
class Door {
 public:
  struct Options {
    std::string host = "127.0.0.1";
    int port = 8080;                  // 0: any
    size_t requests_max = 1024;       // answered at a time; beyond: 503
    size_t uploads_max = 32;          // of these, with bodies too large to be waited for here
    uint64_t body_max = 1 << 20;      // of a request that is waited for
    size_t connections_max = 16384;   // beyond, the one that is idle for longest is closed
    double request_seconds = 10;      // from its first byte to its last; beyond: 408
    double idle_seconds = 60;         // between requests
  };

  explicit Door(const Options& options);
  ~Door();
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  // For routes, before open().
  httplib::Server& routes();
  // Listens. Errors: failed, where the address is not to be had.
  Status open();
  // That it listens on.
  int port() const { return port_; }
  // No connection is accepted any more, and none is kept behind its answer.
  void close();

 private:
  class Routes;
  struct Connection;

  void watch();
  void accept_all(double now);
  bool make_place(double now);
  void take_back(double now);
  bool read_more(Connection& connection, double now);
  void advance(Connection& connection, double now);
  void hand_over(Connection& connection, bool upload);
  void refuse(Connection& connection, const char* status_line, const char* message, double now);
  void linger(Connection& connection, double now);
  bool is_over(Connection& connection, double now);
  void answer(int socket, std::string bytes, bool upload);
  size_t answering();
  void wake();

  Options options_;
  std::unique_ptr<Routes> routes_;
  int listener_ = -1;
  int port_ = 0;
  int wake_read_ = -1;
  int wake_write_ = -1;
  std::atomic<bool> closing_ = false;
  std::atomic<bool> ending_ = false;
  std::atomic<size_t> uploading_ = 0;
  std::list<Connection> connections_;  // that wait; of the watcher alone

  // A connection whose request was answered.
  struct Returned {
    int socket = -1;
    std::string rest;
    bool keep = false;
  };
  std::mutex mutex_;
  std::condition_variable answered_;
  std::set<int> answering_;  // sockets, each with a thread
  std::vector<Returned> returned_;
  std::thread watcher_;
};

}  // namespace hypura
