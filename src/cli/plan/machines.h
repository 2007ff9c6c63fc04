#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "machine/profile.h"

namespace hypura::cli {

// The machine that runs this, as far as its profile and that of the drive with the model are known.
std::optional<MachineProfile> known_machine(const std::string& model_path);

// A profile that ships with us, by name, or a file. Errors: invalid_argument, with the names there
// are.
Result<MachineProfile> find_machine(const std::string& name_or_file);
std::vector<std::string> shipped_machine_names();

}  // namespace hypura::cli
