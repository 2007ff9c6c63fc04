#include "machine/read_through.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "base/units.h"
#include "io/open_file.h"
#include "io/test_support.h"
#include "machine/page_cache.h"

namespace hypura {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{10};

#ifdef __linux__

constexpr size_t kPages = 1024;

// A file that the page cache has nothing of, and what of it is there later.
class ColdFile {
 public:
  ColdFile() : file_(kPages * page_bytes()) {
    const UniqueFd fd(::open(file_.path().c_str(), O_RDONLY | O_CLOEXEC));
    ::fsync(fd.get());  // changed pages would stay
    drop_file_cache(file_.path());
    address_ = ::mmap(nullptr, kPages * page_bytes(), PROT_READ, MAP_SHARED, fd.get(), 0);
  }
  ColdFile(const ColdFile&) = delete;
  ColdFile& operator=(const ColdFile&) = delete;
  ~ColdFile() { ::munmap(address_, kPages * page_bytes()); }

  static size_t page_bytes() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }
  FilePart part(size_t first, size_t end) const {
    return {.file = file_.path(),
            .offset = first * page_bytes(),
            .bytes = (end - first) * page_bytes()};
  }
  // How many of the pages from `first` to `end` the cache holds.
  size_t held(size_t first, size_t end) const {
    std::vector<unsigned char> pages(kPages);
    if (::mincore(address_, kPages * page_bytes(), pages.data()) != 0) return 0;
    return static_cast<size_t>(
        std::count_if(pages.begin() + static_cast<std::ptrdiff_t>(first),
                      pages.begin() + static_cast<std::ptrdiff_t>(end),
                      [](unsigned char page) { return (page & 1) != 0; }));
  }
  bool is_cold() const { return !lies_in_memory(file_.path()) && held(0, kPages) == 0; }
  // Whether all of them come to be held.
  bool comes(size_t first, size_t end) const {
    const Clock::time_point start = Clock::now();
    while (held(first, end) < end - first && Clock::now() - start < kPatience) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return held(first, end) == end - first;
  }

 private:
  TempFile file_;
  void* address_ = nullptr;
};

TEST(ReadThrough, ReadsItsPartIntoThePageCache) {
  const ColdFile file;
  if (!file.is_cold()) GTEST_SKIP() << "pages of this file system cannot be dropped";
  const ReadThrough reading({file.part(512, 812)});
  EXPECT_TRUE(file.comes(512, 812));
  EXPECT_EQ(file.held(0, 256), 0u) << "nobody asked for them; behind the part the kernel may";
}

TEST(ReadThrough, WhatCannotBeReadIsLeftOut) {
  const ColdFile file;
  if (!file.is_cold()) GTEST_SKIP() << "pages of this file system cannot be dropped";
  const ReadThrough reading({{.file = "/no/such/file", .bytes = kMiB},
                             {.file = ".", .bytes = kMiB},
                             file.part(kPages - 1, kPages + 9),
                             file.part(0, 64)});
  EXPECT_TRUE(file.comes(0, 64));
}

#endif

// All of it would take half a minute and more.
TEST(ReadThrough, EndsInTheMiddle) {
  const TempFile file(4 * kMiB);
  const FilePart part{.file = file.path(), .bytes = 4 * kMiB};
  Clock::time_point start;
  {
    const ReadThrough reading(std::vector<FilePart>(100'000, part));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    start = Clock::now();
  }
  EXPECT_LT(Clock::now() - start, kPatience);
}

}  // namespace
}  // namespace hypura
