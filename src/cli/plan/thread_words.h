#pragma once

#include <string>
#include <vector>

namespace hypura::cli {

// "-t", "2", "-tb", "2": what `run` computes a model with on this machine, for programs that cannot
// choose themselves. Empty where `arguments` ask for threads, or the model cannot be read.
std::vector<std::string> thread_words(const std::string& model_path,
                                      const std::vector<std::string>& arguments);

}  // namespace hypura::cli
