#include "store/http.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "model/printable.h"
#include "store/curl_library.h"
#include "store/digest.h"
#include "store/model_name.h"

namespace hypura {
namespace {

constexpr long kSeconds = 30;  // for an answer to begin, and between its parts
constexpr long kRedirectsMax = 5;
constexpr int kTextTries = 3;
constexpr int64_t kTextWaitMs = 500;
constexpr int64_t kStopMs = 50;  // between two looks at whether to stop

// One transfer, with what its callbacks need.
struct Transfer {
  const HttpSettings& settings;
  const HttpSink& sink;
  HttpHead head;
  bool ended = false;
};

bool is_success(long status) { return status >= 200 && status < 300; }

bool stopped(const std::atomic<bool>* stop) { return stop != nullptr && stop->load(); }

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "bytes 100-199/9050000000"
void parse_range(std::string_view text, HttpHead& head) {
  const size_t start = text.find(' ');
  const size_t dash = text.find('-');
  const size_t slash = text.find('/');
  if (start == text.npos || dash == text.npos || slash == text.npos || dash < start) return;
  head.range_start = parse_number(text.substr(start + 1, dash - start - 1));
  head.file_bytes = parse_number(text.substr(slash + 1));
}

void take_field(const std::string& name, std::string_view value, HttpHead& head) {
  if (name == "etag" && !value.starts_with("W/")) {
    head.version = value;
  } else if (name == "last-modified" && head.version.empty()) {
    head.version = value;
  } else if (name == "content-length") {
    head.bytes = parse_number(value);
  } else if (name == "content-range") {
    parse_range(value, head);
  } else if (name == "x-linked-etag" && value.size() > 2) {
    const std::string_view quoted = value.substr(1, value.size() - 2);
    if (is_sha256(quoted)) head.sha256 = quoted;
  }
}

size_t take_header(char* data, size_t size, size_t count, void* to) {
  Transfer& transfer = *static_cast<Transfer*>(to);
  std::string_view line(data, size * count);
  while (!line.empty() && static_cast<unsigned char>(line.back()) <= ' ') line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {  // the next response; what a redirect said of the file stays
    transfer.head = {.sha256 = std::move(transfer.head.sha256)};
    const size_t space = line.find(' ');
    if (space != line.npos) {
      transfer.head.status = static_cast<long>(
          parse_number(line.substr(space + 1, std::min<size_t>(3, line.size() - space - 1)))
              .value_or(0));
    }
  } else if (const size_t colon = line.find(':'); colon != line.npos) {
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    take_field(lower_case(line.substr(0, colon)), value, transfer.head);
  }
  return size * count;
}

size_t take_bytes(char* data, size_t size, size_t count, void* to) {
  Transfer& transfer = *static_cast<Transfer*>(to);
  const size_t bytes = size * count;
  if (!is_success(transfer.head.status)) return bytes;  // an error's page
  if (transfer.sink(transfer.head, std::string_view(data, bytes))) return bytes;
  transfer.ended = true;
  return 0;
}

int look_for_stop(void* to, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return stopped(static_cast<Transfer*>(to)->settings.stop) ? 1 : 0;
}

// Whom the token may be told: the same scheme, host and port.
bool is_origin(const std::string& url, const std::string& origin) {
  return !origin.empty() && url.starts_with(origin) &&
         (url.size() == origin.size() || url[origin.size()] == '/');
}

HttpOutcome::End end_of(CURLcode code, const Transfer& transfer) {
  constexpr std::array kDropped = {
      CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_OPERATION_TIMEDOUT,
      CURLE_PARTIAL_FILE,    CURLE_GOT_NOTHING,          CURLE_RECV_ERROR,
      CURLE_SEND_ERROR,      CURLE_HTTP2,                CURLE_HTTP2_STREAM,
      CURLE_SSL_CONNECT_ERROR};
  if (code == CURLE_OK) return HttpOutcome::End::complete;
  if (transfer.ended || code == CURLE_ABORTED_BY_CALLBACK) return HttpOutcome::End::ended;
  const bool dropped = std::find(kDropped.begin(), kDropped.end(), code) != kDropped.end();
  return dropped ? HttpOutcome::End::dropped : HttpOutcome::End::refused;
}

// The header lines that a request adds.
class Fields {
 public:
  explicit Fields(const CurlLibrary& library) : library_(library) {}
  Fields(const Fields&) = delete;
  ~Fields() { library_.slist_free_all(list_); }

  void add(const char* name, const std::string& value) {
    if (value.empty()) return;
    list_ = library_.slist_append(list_, fmt::format("{}: {}", name, value).c_str());
  }
  curl_slist* list() const { return list_; }

 private:
  const CurlLibrary& library_;
  curl_slist* list_ = nullptr;
};

void set_options(const CurlLibrary& library, CURL* curl, const HttpRequest& request,
                 const HttpSettings& settings) {
  const auto set = library.easy_setopt;
  // Nothing that was encrypted goes on in the clear, and no redirect leads to a file.
  const char* schemes = request.url.starts_with("https:") ? "https" : "http,https";
  set(curl, CURLOPT_URL, request.url.c_str());
  set(curl, CURLOPT_PROTOCOLS_STR, schemes);
  set(curl, CURLOPT_REDIR_PROTOCOLS_STR, schemes);
  set(curl, CURLOPT_FOLLOWLOCATION, 1L);
  set(curl, CURLOPT_MAXREDIRS, kRedirectsMax);
  set(curl, CURLOPT_CONNECTTIMEOUT, kSeconds);
  set(curl, CURLOPT_LOW_SPEED_TIME, kSeconds);
  set(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(curl, CURLOPT_NOSIGNAL, 1L);
  set(curl, CURLOPT_USERAGENT, "hypura");
  if (!settings.certificates.empty()) {
    set(curl, CURLOPT_CAINFO, settings.certificates.c_str());
  }
  if (!settings.token.empty() && is_origin(request.url, settings.token_origin)) {
    // The library does not tell it to another host that this one redirects to.
    set(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    set(curl, CURLOPT_XOAUTH2_BEARER, settings.token.c_str());
  }
}

}  // namespace

bool wait_ms(int64_t milliseconds, const std::atomic<bool>* stop) {
  for (; milliseconds > 0 && !stopped(stop); milliseconds -= kStopMs) {
    std::this_thread::sleep_for(std::chrono::milliseconds(std::min(milliseconds, kStopMs)));
  }
  return !stopped(stop);
}

Result<HttpOutcome> http_get(const HttpRequest& request, const HttpSettings& settings,
                             const HttpSink& sink) {
  const Result<const CurlLibrary*> loaded = curl_library();
  if (!loaded.ok()) return loaded.status();
  const CurlLibrary& library = **loaded;
  const std::unique_ptr<CURL, decltype(library.easy_cleanup)> curl(library.easy_init(),
                                                                   library.easy_cleanup);
  if (curl == nullptr) return Status(StatusCode::failed, "libcurl cannot be initialised");
  Transfer transfer{.settings = settings, .sink = sink};
  const auto set = library.easy_setopt;
  set_options(library, curl.get(), request, settings);
  Fields fields(library);
  fields.add("Accept", request.accept);
  fields.add("If-Range", request.offset > 0 ? request.if_range : std::string());
  if (fields.list() != nullptr) set(curl.get(), CURLOPT_HTTPHEADER, fields.list());
  const std::string range = fmt::format("{}-", request.offset);
  if (request.offset > 0) set(curl.get(), CURLOPT_RANGE, range.c_str());
  std::array<char, CURL_ERROR_SIZE> error{};
  set(curl.get(), CURLOPT_ERRORBUFFER, error.data());
  set(curl.get(), CURLOPT_HEADERFUNCTION, take_header);
  set(curl.get(), CURLOPT_HEADERDATA, &transfer);
  set(curl.get(), CURLOPT_WRITEFUNCTION, take_bytes);
  set(curl.get(), CURLOPT_WRITEDATA, &transfer);
  set(curl.get(), CURLOPT_NOPROGRESS, 0L);
  set(curl.get(), CURLOPT_XFERINFOFUNCTION, look_for_stop);
  set(curl.get(), CURLOPT_XFERINFODATA, &transfer);

  const CURLcode code = library.easy_perform(curl.get());
  HttpOutcome outcome{.end = end_of(code, transfer)};
  if (code != CURLE_OK) {
    outcome.error = error[0] != '\0' ? error.data() : library.easy_strerror(code);
  }
  if (code == CURLE_PEER_FAILED_VERIFICATION) {
    outcome.error = "its certificate is not trusted: " + outcome.error;
  }
  outcome.head = std::move(transfer.head);
  return outcome;
}

Status refuse_answer(const HttpRequest& request, const HttpSettings& settings, long status) {
  Status refused(StatusCode::failed, fmt::format("cannot fetch {}", printable(request.url)));
  refused.because(fmt::format("the server answers {}", status));
  const bool secret = status == 401 || status == 403;
  if (!secret || !is_origin(request.url, settings.token_origin)) return refused;
  return std::move(refused).suggest("HF_TOKEN=..., for models that ask for consent");
}

Result<std::string> http_text(const HttpRequest& request, const HttpSettings& settings,
                              uint64_t bytes_max) {
  std::string error;
  for (int i = 0; i < kTextTries; ++i) {
    if (!wait_ms(i * kTextWaitMs, settings.stop)) break;
    std::string body;
    bool too_long = false;
    const auto take = [&](const HttpHead&, std::string_view bytes) {
      too_long = body.size() + bytes.size() > bytes_max;
      if (!too_long) body += bytes;
      return !too_long;
    };
    Result<HttpOutcome> outcome = http_get(request, settings, take);
    if (!outcome.ok()) return outcome.status();
    const long status = outcome->head.status;
    if (outcome->end == HttpOutcome::End::complete) {
      if (is_success(status)) return body;
      if (status != 429 && status < 500) return refuse_answer(request, settings, status);
      outcome->error = fmt::format("the server answers {}", status);
    }
    error = too_long ? fmt::format("it sends more than {} bytes", bytes_max) : outcome->error;
    if (outcome->end != HttpOutcome::End::dropped && status < 500 && status != 429) break;
  }
  if (stopped(settings.stop)) return Status(StatusCode::interrupted, "interrupted");
  return Status(StatusCode::failed, fmt::format("cannot fetch {}", printable(request.url)))
      .because(error);
}

}  // namespace hypura
