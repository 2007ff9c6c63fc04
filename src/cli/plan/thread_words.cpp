#include "cli/plan/thread_words.h"

#include <fmt/format.h>

#include "cli/llama_arguments.h"
#include "cli/plan/machines.h"
#include "plan/threads.h"

namespace hypura::cli {

std::vector<std::string> thread_words(const std::string& model_path,
                                      const std::vector<std::string>& arguments) {
  if (asks_for(arguments, "--threads")) return {};
  const Result<ModelIndex> index = ModelIndex::open(model_path);
  if (!index.ok()) return {};
  const int usual = common_cpu_get_num_math();
  const ThreadCounts counts =
      choose_threads(*index, known_machine(model_path).value_or(MachineProfile()),
                     {.token = usual, .batch = usual})
          .counts;
  std::vector<std::string> words = {"-t", fmt::format("{}", counts.token)};
  if (asks_for(arguments, "--threads-batch")) return words;
  words.insert(words.end(), {"-tb", fmt::format("{}", counts.batch)});
  return words;
}

}  // namespace hypura::cli
