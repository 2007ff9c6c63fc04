#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace hypura {

// How servers are spoken to. The library itself reads proxies from the environment, as curl does.
struct HttpSettings {
  std::string certificates;  // a file with those to trust; empty: the system's
  std::string token;         // told to the servers of `token_origin` alone; empty: none
  std::string token_origin = "https://huggingface.co";
  const std::atomic<bool>* stop = nullptr;
};

struct HttpRequest {
  std::string url;
  uint64_t offset = 0;   // of the first byte that is asked for
  std::string if_range;  // only if the file is still this version; else all of it comes
  std::string accept;
};

// What a response says of itself, in front of its body.
struct HttpHead {
  long status = 0;
  std::string version;  // a strong ETag, else the date of the last change
  std::string sha256;   // that Hugging Face states on the way to the file
  std::optional<uint64_t> bytes;        // of the body
  std::optional<uint64_t> range_start;  // of a part: where in the file it lies
  std::optional<uint64_t> file_bytes;   // of a part: how large the file is
};

struct HttpOutcome {
  enum class End {
    complete,  // with any status
    dropped,   // the network's fault: to be tried again
    refused,   // for good
    ended,     // by us
  };
  HttpHead head;
  End end = End::complete;
  std::string error;
};

// Gets the body of a successful response piece by piece; false ends the transfer.
using HttpSink = std::function<bool(const HttpHead& head, std::string_view bytes)>;

// One GET, with at most five redirects, none of which leads from https to http. Called from any
// thread. Errors: failed where there is no libcurl; all else is the outcome.
Result<HttpOutcome> http_get(const HttpRequest& request, const HttpSettings& settings,
                             const HttpSink& sink);

// A small body as text, tried three times. Errors: failed, with the server's answer; interrupted.
Result<std::string> http_text(const HttpRequest& request, const HttpSettings& settings,
                              uint64_t bytes_max);

// Why an answer other than 200 or 206 is of no use.
Status refuse_answer(const HttpRequest& request, const HttpSettings& settings, long status);

// Waits, but not beyond `stop`. False if that ended it.
bool wait_ms(int64_t milliseconds, const std::atomic<bool>* stop);

}  // namespace hypura
