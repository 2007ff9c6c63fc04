#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "machine/profile.h"

namespace hypura {

// Profiles kept between runs: a file a machine and drive, for people to read and edit.

// What is known without measuring: the machine, and the drive that `path` lies on.
MachineProfile machine_facts(const std::string& path);

// "FOLDER/box-nvme0n1-ext4.json", for the machine this is and the drive in `facts`.
std::string profile_path(const std::string& folder, const MachineProfile& facts);

// Errors: failed, with the path, and what is wrong with the content.
Result<MachineProfile> read_profile(const std::string& path);
// Replaces the file in one step and makes its folder. Errors: failed with errno.
Status write_profile(const std::string& path, const MachineProfile& profile);

inline constexpr int kProfileDaysMax = 30;  // one, if other programs disturbed it

// Why a profile that was kept is not to be used any more, in words; empty if it is. What it does
// not say (a file made by hand) is not compared. Pure.
std::string why_stale(const MachineProfile& kept, const MachineProfile& now, int64_t now_seconds);

// Seconds since 1970 as "2026-11-22T20:10:00Z".
std::string iso_date(int64_t seconds);

}  // namespace hypura
