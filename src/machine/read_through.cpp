#include "machine/read_through.h"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include "base/units.h"
#include "io/open_file.h"

namespace hypura {
namespace {

constexpr uint64_t kStepBytes = kMiB;

void read_part(const OpenFile& file, const FilePart& part, const std::stop_token& stop,
               std::byte* buffer) {
  for (uint64_t done = 0; done < part.bytes && !stop.stop_requested();) {
    const uint64_t want = std::min(kStepBytes, part.bytes - done);
    const ssize_t got =
        ::pread(file.fd.get(), buffer, want, static_cast<off_t>(part.offset + done));
    if (got <= 0) return;
    done += static_cast<uint64_t>(got);
  }
}

void read_all(const std::vector<FilePart>& parts, const std::stop_token& stop) {
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kStepBytes);
  std::optional<Result<OpenFile>> file;
  for (size_t i = 0; i < parts.size() && !stop.stop_requested(); ++i) {
    if (i == 0 || parts[i].file != parts[i - 1].file) file.emplace(open_file(parts[i].file, false));
    if (file->ok()) read_part(**file, parts[i], stop, buffer.get());
  }
}

}  // namespace

ReadThrough::ReadThrough(std::vector<FilePart> parts)
    : thread_([parts = std::move(parts)](const std::stop_token& stop) { read_all(parts, stop); }) {}

}  // namespace hypura
