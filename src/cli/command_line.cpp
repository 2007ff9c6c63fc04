#include "cli/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "base/suggestion.h"

namespace hypura::cli {

CommandLine::CommandLine(const std::string& command, const std::string& description)
    : name_(command), command_("hypura " + command), app_(std::make_unique<CLI::App>(description)) {
  app_->name(command_);
  app_->set_help_flag("-h,--help", "print this and exit");
}

CommandLine::CommandLine(CommandLine&&) noexcept = default;
CommandLine::~CommandLine() = default;

void CommandLine::word(const std::string& name, std::string& value, const std::string& help) {
  app_->add_option(name, value, help)->required();
}

void CommandLine::words(const std::string& name, std::vector<std::string>& values,
                        const std::string& help) {
  app_->add_option(name, values, help)->required();
}

void CommandLine::optional_word(const std::string& name, std::string& value,
                                const std::string& help) {
  app_->add_option(name, value, help);
}

void CommandLine::option(const std::string& name, std::string& value, const std::string& help,
                         const std::string& stands_for) {
  app_->add_option(name, value, help)->type_name(stands_for);
}

void CommandLine::option(const std::string& name, int& value, int min, int max,
                         const std::string& help) {
  app_->add_option(name, value, help)->type_name("N")->check(CLI::Range(min, max));
}

void CommandLine::flag(const std::string& name, bool& value, const std::string& help) {
  app_->add_flag(name, value, help);
}

Status CommandLine::parse(const std::vector<std::string>& words,
                          const std::vector<std::string>& others) {
  std::vector<std::string> reversed(words.rbegin(), words.rend());  // as CLI11 wants a vector
  try {
    app_->parse(reversed);
  } catch (const CLI::CallForHelp&) {
    help_ = true;
  } catch (const CLI::ExtrasError&) {
    return explain_extra(others);
  } catch (const CLI::RequiredError& error) {
    for (const std::string& word : words) {
      const std::string name = word.substr(0, word.find('='));
      if (word.starts_with('-') && app_->get_option_no_throw(name) == nullptr) {
        return unknown(word, others);
      }
    }
    return Status(StatusCode::invalid_argument, error.what()).suggest(command_ + " --help");
  } catch (const CLI::ParseError& error) {
    return Status(StatusCode::invalid_argument, error.what()).suggest(command_ + " --help");
  }
  return Status();
}

Status CommandLine::explain_extra(const std::vector<std::string>& others) const {
  const std::vector<std::string> extras = app_->remaining();
  for (const std::string& extra : extras) {
    if (extra.starts_with('-')) return unknown(extra, others);
  }
  return Status(StatusCode::invalid_argument, fmt::format("unexpected word {}", extras.front()))
      .suggest(command_ + " --help");
}

Status CommandLine::unknown(const std::string& typed, std::vector<std::string> others) const {
  for (const CLI::Option* option : std::as_const(*app_).get_options()) {
    for (const std::string& name : option->get_lnames()) others.push_back("--" + name);
  }
  const std::string meant = closest(typed, others);
  return Status(StatusCode::invalid_argument, fmt::format("unknown option {}", typed))
      .suggest(meant.empty() ? command_ + " --help" : fmt::format("did you mean {}?", meant));
}

std::string CommandLine::help_text() const {
  // Without a group an option has no name either, which errors of parsing would miss.
  for (CLI::Option* option : hidden_) option->group("");
  return app_->help();
}

void CommandLine::hide(const std::string& name) { hidden_.push_back(app_->get_option(name)); }

bool CommandLine::is_hidden(const CLI::Option* option) const {
  return std::find(hidden_.begin(), hidden_.end(), option) != hidden_.end();
}

CommandDescription CommandLine::description() const {
  CommandDescription command{.name = name_, .text = app_->get_description()};
  for (const CLI::Option* option : std::as_const(*app_).get_options()) {
    if (is_hidden(option)) continue;
    OptionDescription described{.help = option->get_description(),
                                .required = option->get_required()};
    if (option->get_positional()) {
      described.names = {described.value = option->get_name()};
      command.words.push_back(std::move(described));
      continue;
    }
    for (const std::string& name : option->get_snames()) described.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) described.names.push_back("--" + name);
    if (option->get_items_expected_max() > 0) {
      // Behind a colon CLI11 says what is checked.
      const std::string type = option->get_type_name();
      described.value = type.substr(0, type.find(':'));
    }
    command.options.push_back(std::move(described));
  }
  return command;
}

}  // namespace hypura::cli
