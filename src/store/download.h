#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "store/http.h"
#include "store/partial_file.h"

namespace hypura {

// What a pull is at, in Ollama's words: "pulling manifest", "pulling 8934d96d3f08", "verifying
// sha256 digest", "writing manifest", "success".
struct PullProgress {
  std::string status;
  std::string digest;      // of the file, "sha256:..."; empty: not known beforehand
  uint64_t total = 0;      // bytes of the file; 0: not known
  uint64_t completed = 0;  // of them here
};
// Called from the thread that pulls, at most ten times a second for one status.
using PullCallback = std::function<void(const PullProgress&)>;

struct DownloadFile {
  std::string url;
  std::string path;
  std::string sha256;  // that it must have; empty: what Hugging Face states, or any
  uint64_t bytes = 0;  // likewise; 0: what the server states
};

// A whole file, verified and on the drive, that waits for finish().
struct DownloadedFile {
  PartialFile file;
  std::string sha256;
};

// Downloads a GGUF file to PATH.partial, going on with what is there of the same version. A dropped
// connection is taken up again, at most five times in a row without getting further. Errors: failed
// (network, drive, no room, a wrong hash or length), invalid_model (no GGUF file), interrupted.
// After a wrong hash nothing is kept; else what is there serves the next time.
Result<DownloadedFile> download(const DownloadFile& what, const HttpSettings& settings,
                                const PullCallback& tell);

// For a file that is not what it was announced to be.
Status wrong_hash(const std::string& what, const std::string& actual, const std::string& expected);

}  // namespace hypura
