#pragma once

#include <string>

namespace hypura::cli {

// A resident model may stay mapped, and pages of a file that somebody truncates are gone: the
// kernel then sends SIGBUS. From here on that ends the process with a message about `path` and exit
// code 1. Called once, before the model is opened.
void watch_mapped_file(const std::string& path);

}  // namespace hypura::cli
