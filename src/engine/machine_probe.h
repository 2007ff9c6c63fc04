#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "base/status.h"
#include "machine/profile.h"

namespace hypura {

struct MachineProbeOptions {
  std::string file;    // is read to measure its drive; empty: a temporary one in `folder` is
  std::string folder = ".";
  std::string profiles_folder;  // where profiles are kept; empty: nowhere
  bool anew = false;            // what was kept does not count
  std::string type = "q4_K";    // of quick_profile: the family that is measured
  const std::atomic<bool>* stop = nullptr;
  std::function<void(const char* what, double share)> progress;  // share of all; may be empty
};

// A profile that was kept, if it may be used, else why not.
struct KeptProfile {
  std::string path;  // empty: profiles are kept nowhere
  std::optional<MachineProfile> profile;
  std::string why_not;  // "it is 45 days old", or what is wrong with the file; empty: there is none
};

// Takes a millisecond, and what a GPU's driver takes to start. The memory limit in it is today's:
// that is a fact, and was never measured.
KeptProfile load_kept_profile(const MachineProbeOptions& options);

// Measures everything, in less than 20 s, with up to 400 MiB of memory meanwhile. Keeps nothing.
// Errors: failed (a drive that fails, one that is full), interrupted.
Result<MachineProfile> measure_machine(const MachineProbeOptions& options);

struct ProbedMachine {
  MachineProfile profile;
  std::string path;       // where it is kept; empty: nowhere
  bool measured = false;  // just now
  std::string note;       // why a kept one was not used, or this not kept; one line, may be empty
};

// The kept profile, or a new one, which is kept. A folder that cannot be written is no error.
Result<ProbedMachine> load_or_measure(const MachineProbeOptions& options);

// The kept profile, or what a prediction of decoding needs, measured within 1.5 s, and 0.2 s for a
// GPU: the drive read in 1 MiB, memory, one family of weights on all cores. The warnings say so. Keeps nothing, and
// measures no drive without a file. `type` is ggml's name; one that it does not have is left out.
Result<MachineProfile> quick_profile(const MachineProbeOptions& options);

}  // namespace hypura
