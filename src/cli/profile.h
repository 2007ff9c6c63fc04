#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"
#include "machine/profile.h"

namespace hypura::cli {

// `hypura profile`: what this machine and a drive can do, measured, or as it was measured lately.
Status profile(const std::vector<std::string>& arguments);
CommandDescription describe_profile();

// The page of `hypura profile` for a person.
std::string profile_text(const MachineProfile& profile);

// The file of a model to read when its drive is measured: of a split one the largest shard.
Result<std::string> file_to_read(const std::string& model);

}  // namespace hypura::cli
