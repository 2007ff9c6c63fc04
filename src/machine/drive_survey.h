#pragma once

#include <atomic>
#include <functional>
#include <span>
#include <string>

#include "base/status.h"
#include "io/block_device.h"
#include "machine/profile.h"

namespace hypura {

struct DriveSurveyOptions {
  std::string path;    // the file, as the device opened it
  bool quick = false;  // 0.5 s for what a prediction needs, not 6 s for all
  const std::atomic<bool>* stop = nullptr;
  std::function<void(double share)> progress;  // may be empty
};

struct DriveFindings {
  DriveProfile drive;
  double slowdown = 0;  // from the first to the last third of the time
};

// How fast a drive delivers a file: sizes x depths, in order and scattered, in short rounds over
// all of them, so that a slow moment falls on all; then the best way for longer; then what the page
// cache gives. Reads only. `memory` is for reads in flight; ways that need more are left out, none
// of 128 MiB. Errors: failed if a read fails, interrupted.
Result<DriveFindings> survey_drive(BlockDevice& device, FileId file, std::span<std::byte> memory,
                                   const DriveSurveyOptions& options);

// Fills in the knee, and the rates at it, from the samples. Pure.
void find_knee(DriveProfile& drive);

}  // namespace hypura
