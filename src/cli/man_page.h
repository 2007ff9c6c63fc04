#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command_description.h"

namespace hypura::cli {

// Manual pages in man's own format (man(7)).

// hypura-COMMAND(1). `usage` is what follows the name, a line a form.
std::string man_page(const CommandDescription& command, std::string_view usage);

// hypura(1), which names the others.
std::string man_page(const std::vector<CommandDescription>& commands);

}  // namespace hypura::cli
