#pragma once

#include <string>

namespace hypura::cli {

// The folder `name` of ours among the user's caches, by the XDG base directory specification. It
// need not exist. Empty where the user has no home.
std::string cache_folder(const std::string& name);
// Our folder for what a user typed, by the same specification. Empty as above.
std::string state_folder();

}  // namespace hypura::cli
