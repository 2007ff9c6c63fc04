#include "cli/man_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "cli/exit_code.h"
#include "cli/commands.h"

namespace hypura::cli {
namespace {

constexpr size_t kLongWord = 40;

struct Exit {
  ExitCode code;
  std::string_view text;
};
constexpr std::array kExits = std::to_array<Exit>({
    {kDone, "Done."},
    {kFailed, "Failed: a file, the drive, the network, the machine."},
    {kUsage, "What was typed cannot be done; nothing was."},
    {kDoesNotFit, "The model does not fit the budget."},
    {kInvalidModel, "The model's file is broken, or of no known kind."},
    {kInterrupted, "Interrupted by Ctrl-C."},
});

struct Variable {
  std::string_view name;
  std::string_view text;
};
constexpr std::array kEnvironment = std::to_array<Variable>({
    {"NO_COLOR", "If it is set and not empty, nothing is coloured."},
    {"XDG_CACHE_HOME",
     "Where profiles, statistics and past runs are kept, in hypura/. Else ~/.cache."},
    {"XDG_STATE_HOME",
     "Where is kept what was typed in chats, in hypura/. Else ~/.local/state."},
});

// Whether `text[at]` lies in a word that may have to be broken: a list, an address.
bool in_long_word(std::string_view text, size_t at) {
  const size_t begin = text.find_last_of(" \n", at) + 1;  // 0 without one
  return std::min(text.find_first_of(" \n", at), text.size()) - begin > kLongWord;
}

// Text as it is: nothing in it is a request, and a hyphen can be copied as one.
std::string roff(std::string_view text) {
  std::string result;
  bool line_start = true;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (line_start && c == ' ') continue;
    if (line_start && (c == '.' || c == '\'')) result += "\\&";
    if (c == '\n') {
      if (line_start) continue;
      result += "\n.br";
    }
    line_start = c == '\n';
    switch (c) {
      case '\\': result += "\\e"; break;
      case '-': result += "\\-"; break;
      case '\'': result += "\\(aq"; break;
      case '`': result += "\\(ga"; break;
      case '^': result += "\\(ha"; break;
      case '~': result += "\\(ti"; break;
      case '"': result += "\\(dq"; break;
      case '/':
      case ',':
      case ';':
        result += c;
        if (in_long_word(text, at)) result += "\\:";
        break;
      default: result += c;
    }
  }
  // A break after the last line, and nothing behind it.
  constexpr std::string_view kBreak = "\n.br\n";
  if (result.ends_with(kBreak)) result.erase(result.size() - kBreak.size());
  return result;
}

std::string bold(std::string_view text) { return fmt::format("\\fB{}\\fR", roff(text)); }
std::string italic(std::string_view text) { return fmt::format("\\fI{}\\fR", roff(text)); }

std::string item(const std::string& term, std::string_view text) {
  return fmt::format(".TP\n{}\n{}\n", term, text.empty() ? "\\&" : roff(text));
}

std::string start(const std::string& name, const std::string& text) {
  std::string title = name;
  std::transform(title.begin(), title.end(), title.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  std::string what = text.substr(0, text.find('\n'));
  if (what.ends_with('.')) what.pop_back();
  // Lines that options break stay ragged, and no option is broken at a hyphen.
  return fmt::format(".TH {} 1 \"\" \"hypura {}\" \"Hypura\"\n.nh\n.ad l\n.SH NAME\n{} \\- {}\n",
                     roff(title), kVersion, roff(name), roff(what));
}

std::string option_items(const std::vector<OptionDescription>& options) {
  std::string text;
  for (const OptionDescription& option : options) {
    std::string term;
    for (const std::string& name : option.names) {
      term += (term.empty() ? "" : ", ") + bold(name);
    }
    if (!option.value.empty()) term += " " + italic(option.value);
    text += item(term, option.help + (option.required ? " (required)" : ""));
  }
  return text;
}

}  // namespace

std::string man_page(const CommandDescription& command, std::string_view usage) {
  std::string text = start("hypura-" + command.name, command.text) + ".SH SYNOPSIS\n";
  const char* separator = "";
  while (!usage.empty()) {
    const size_t end = std::min(usage.find('\n'), usage.size());
    text += separator + bold("hypura " + command.name) + " " + roff(usage.substr(0, end)) + "\n";
    separator = ".br\n";
    usage.remove_prefix(std::min(end + 1, usage.size()));
  }
  text += ".SH DESCRIPTION\n" + roff(command.text) + "\n";
  for (const OptionDescription& word : command.words) {
    text += item(italic(word.value), word.help);
  }
  text += ".SH OPTIONS\n" + option_items(command.options);
  if (!command.llama_options.empty()) {
    text += ".SH OPTIONS OF LLAMA.CPP\n" + option_items(command.llama_options);
  }
  return text + ".SH SEE ALSO\n\\fBhypura\\fR(1)\n";
}

std::string man_page(const std::vector<CommandDescription>& commands) {
  std::string text =
      start("hypura", "runs large language models that are bigger than the machine's memory") +
      fmt::format(".SH SYNOPSIS\n{} {} ...\n.br\n{}\n.SH DESCRIPTION\n", bold("hypura"),
                  italic("COMMAND"), bold("hypura --version")) +
      roff("What fits stays in memory, the rest of the weights is read from the drive while the "
           "model computes. The text goes to stdout; plans, progress and summaries to stderr.") +
      "\n.SH COMMANDS\n";
  for (const CommandDescription& command : commands) {
    text += item(bold("hypura-" + command.name) + "(1)", command.text);
  }
  text += ".SH EXIT STATUS\n";
  for (const Exit& exit : kExits) {
    text += item(std::to_string(static_cast<int>(exit.code)), exit.text);
  }
  text += ".SH ENVIRONMENT\n";
  for (const Variable& variable : kEnvironment) text += item(bold(variable.name), variable.text);
  text += ".SH SEE ALSO\n";
  const char* separator = "";
  for (const CommandDescription& command : commands) {
    text += fmt::format("{}{}(1)", separator, bold("hypura-" + command.name));
    separator = ",\n";
  }
  return text + "\n";
}

}  // namespace hypura::cli
