#pragma once

#include <string>
#include <vector>

#include "cli/command_description.h"
#include "cli/completion/typed_value.h"

namespace hypura::cli {

// Scripts that complete what is typed after `hypura`: commands, options, and of their values words
// and files. The same descriptions always give the same script.
std::string bash_script(const std::vector<CommandDescription>& commands);
std::string zsh_script(const std::vector<CommandDescription>& commands);
std::string fish_script(const std::vector<CommandDescription>& commands);

// What the scripts share.

// Of our own and of llama.cpp's.
std::vector<OptionDescription> all_options(const CommandDescription& command);
// What can stand where no option does; `names` are those of all commands.
TypedValue typed_words(const CommandDescription& command, const std::vector<std::string>& names);
std::vector<std::string> names_of(const std::vector<CommandDescription>& commands);
// The first line of a help text, cut at a word if it is long.
std::string in_short(const std::string& help);

}  // namespace hypura::cli
