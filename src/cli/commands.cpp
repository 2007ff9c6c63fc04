#include "cli/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cli/batch.h"
#include "cli/bench/bench.h"
#include "cli/bench/options.h"
#include "cli/completion/completion.h"
#include "cli/doctor.h"
#include "cli/inspect.h"
#include "cli/man.h"
#include "cli/plan/plan.h"
#include "cli/profile.h"
#include "cli/ps.h"
#include "cli/run.h"
#include "cli/serve.h"
#include "cli/store/copy.h"
#include "cli/store/list.h"
#include "cli/store/pull.h"
#include "cli/store/remove.h"
#include "cli/store/show.h"
#include "cli/trace.h"

namespace hypura::cli {
namespace {

constexpr size_t kHelpColumns = 80;

constexpr std::array kCommands = std::to_array<Command>({
    {"run",
     "MODEL [-p TEXT | -f FILE | -i] [--ram-budget SIZE|NN%|auto|min] [--gpu-budget SIZE|auto|0]",
     run, describe_run},
    {"serve", "[MODEL...] [--host HOST] [--port N] [--parallel N] [--ram-budget SIZE|auto]", serve,
     describe_serve},
    {"ps", "[--url URL] [--json]", ps, describe_ps},
    {"batch", "FILE -o FILE [--model MODEL] [--parallel N]", batch, describe_batch},
    {"list", "[--json]", list_models, describe_list},
    {"show", "MODEL [--json]", show_model, describe_show},
    {"pull", "MODEL|URL|PATH [--name NAME] [--sha256 HEX] [--json]", pull_command, describe_pull},
    {"rm", "MODEL...", remove_models, describe_remove},
    {"cp", "MODEL NAME", copy_model, describe_copy},
    {"trace", "MODEL [-p TEXT | -f FILE] -o FILE [--follow]", trace, describe_trace},
    {"inspect", "MODEL [--tensors] [--json] [--save-header FILE]", inspect, describe_inspect},
    {"plan",
     "MODEL [--explain mode] [--what-if +16G-ram,7GB/s] [--save FILE] [--json]\n--diff FILE FILE",
     plan, describe_plan},
    {"estimate", "--machine NAME|FILE MODEL|URL|HEADER [--json]", estimate, describe_estimate},
    {"profile", "[MODEL] [--force] [--json] [--dir DIR]", profile, describe_profile},
    {"doctor", "[MODEL] [--json]", doctor, describe_doctor},
    {"bench", "MODEL [--ram-budget SIZE|NN%|auto|min] [--samples N] [-o md|json|csv]", bench,
     describe_bench},
    {"completion", "bash|zsh|fish", completion, describe_completion},
    {"man", "[COMMAND] [--dir DIR]", man, describe_man},
});

// Breaks between words, but not within brackets.
std::string wrapped(std::string_view usage, size_t indent) {
  std::string text;
  size_t column = indent;
  while (!usage.empty()) {
    size_t end = 0;
    for (int depth = 0; end < usage.size() && (depth > 0 || usage[end] != ' '); ++end) {
      depth += usage[end] == '[' ? 1 : usage[end] == ']' ? -1 : 0;
    }
    if (column + 1 + end > kHelpColumns) {
      text += "\n" + std::string(indent, ' ');
      column = indent;
    }
    text += fmt::format(" {}", usage.substr(0, end));
    column += 1 + end;
    usage.remove_prefix(std::min(end + 1, usage.size()));
  }
  return text;
}

}  // namespace

std::span<const Command> commands() { return kCommands; }

const Command* find_command(std::string_view name) {
  const auto found =
      std::find_if(kCommands.begin(), kCommands.end(),
                   [&](const Command& command) { return command.name == name; });
  return found == kCommands.end() ? nullptr : &*found;
}

std::string commands_help() {
  std::string help = "Runs large language models that are bigger than the machine's memory.\n\n";
  for (const Command& command : commands()) {
    std::string_view forms = command.usage;
    while (!forms.empty()) {
      const size_t end = std::min(forms.find('\n'), forms.size());
      const std::string start = fmt::format("  hypura {}", command.name);
      help += start + wrapped(forms.substr(0, end), start.size()) + "\n";
      forms.remove_prefix(std::min(end + 1, forms.size()));
    }
  }
  return help + "  hypura --version\n\nhypura COMMAND --help has the rest.\n";
}

}  // namespace hypura::cli
