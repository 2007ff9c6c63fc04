#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "machine/cores.h"
#include "machine/volume.h"

namespace hypura {

// What may hinder a model that streams: the system's settings, as they are now.
struct Health {
  bool uring = true;       // io_uring can be used, or this is no Linux
  std::string uring_why;   // else why not
  int uring_disabled = 0;  // kernel.io_uring_disabled; 1: for most, 2: for all
  std::string huge_pages;  // "always", "madvise", "never"; empty: not known
  uint64_t files_max = 0;  // RLIMIT_NOFILE
  uint64_t locked_bytes_max = 0;  // RLIMIT_MEMLOCK
  uint64_t memory_bytes = 0;
  uint64_t limit_bytes = 0;  // of a control group; 0: none
  uint64_t available_bytes = 0;
  uint64_t swap_used_bytes = 0;
  std::string governor;
  std::string governor_driver;
  Cores cores;
  Volume volume;  // of the model
  bool in_memory = false;      // its only home is RAM
  std::optional<bool> direct;  // direct reads of it work; nullopt: not tried
};

// `path` is a model file, or a folder where models would lie.
Health examine(const std::string& path);

// "madvise" of "always [madvise] never".
std::string chosen_word(const std::string& choices);

}  // namespace hypura
