#include "server/exchange.h"

#include <sys/socket.h>

#include <functional>
#include <utility>

#include "cpp-httplib/httplib.h"

namespace hypura {
namespace {

constexpr std::chrono::milliseconds kLookEvery{50};
constexpr std::chrono::milliseconds kStopAgain{10};
// A prompt may take as long as it likes: who waits says when it is enough.
constexpr std::chrono::hours kReadTimeout{24};
// What a slow client leaves unread; then the process waits, too.
constexpr size_t kUnreadMax = 1 << 20;

}  // namespace

Exchange::Exchange(const std::string& socket_path, Request request)
    : client_(std::make_unique<httplib::Client>(socket_path)) {
  client_->set_address_family(AF_UNIX);
  client_->set_read_timeout(kReadTimeout);
  thread_ = std::thread([this, request = std::move(request)] { run(request); });
}

Exchange::~Exchange() {
  {
    std::unique_lock lock(mutex_);
    cancelled_ = true;
    changed_.notify_all();
    // The first time it may not have connected yet, and then there is nothing to close.
    while (!ended_) {
      lock.unlock();
      client_->stop();
      lock.lock();
      changed_.wait_for(lock, kStopAgain, [this] { return ended_; });
    }
  }
  thread_.join();
}

void Exchange::run(const Request& request) {
  httplib::Request asked;
  asked.method = request.method;
  asked.path = request.path;
  asked.body = request.body;
  if (!request.body.empty()) asked.set_header("Content-Type", request.content_type);
  asked.response_handler = [this](const httplib::Response& response) {
    const std::lock_guard lock(mutex_);
    head_ = Head{.status = response.status,
                 .content_type = response.get_header_value("Content-Type")};
    changed_.notify_all();
    return !cancelled_;
  };
  asked.content_receiver = [this](const char* bytes, size_t count, size_t, size_t) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return cancelled_ || data_.size() < kUnreadMax; });
    data_.append(bytes, count);
    changed_.notify_all();
    return !cancelled_;
  };
  httplib::Response response;
  httplib::Error error = httplib::Error::Success;
  const bool complete = client_->send(asked, response, error);
  const std::lock_guard lock(mutex_);
  complete_ = complete;
  ended_ = true;
  changed_.notify_all();
}

std::optional<Exchange::Head> Exchange::head(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, wait, [this] { return head_.has_value() || ended_; });
  return head_;
}

bool Exchange::is_broken() {
  const std::lock_guard lock(mutex_);
  return ended_ && !head_.has_value();
}

Exchange::Step Exchange::next(std::string& data, std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, wait, [this] { return !data_.empty() || ended_; });
  if (!data_.empty()) {
    data = std::exchange(data_, std::string());
    changed_.notify_all();
    return Step::data;
  }
  if (!ended_) return Step::pending;
  return complete_ ? Step::end : Step::failed;
}

WholeAnswer ask(const std::string& socket_path, Exchange::Request request,
                const std::function<bool()>& is_gone) {
  Exchange exchange(socket_path, std::move(request));
  WholeAnswer answer;
  std::string data;
  for (;;) {
    switch (exchange.next(data, kLookEvery)) {
      case Exchange::Step::data: answer.body += data; break;
      case Exchange::Step::pending:
        if (is_gone()) return WholeAnswer();
        break;
      case Exchange::Step::failed: return WholeAnswer();
      case Exchange::Step::end: {
        const std::optional<Exchange::Head> head = exchange.head({});
        answer.status = head->status;
        answer.content_type = head->content_type;
        return answer;
      }
    }
  }
}

}  // namespace hypura
