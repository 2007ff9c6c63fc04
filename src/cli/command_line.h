#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command_description.h"

namespace CLI {
class App;
class Option;
}

namespace hypura::cli {

// The words after one command: options that fill variables, and a help page. CLI11 behind a wall,
// for it takes seconds to compile. The variables outlive it.
class CommandLine {
 public:
  CommandLine(const std::string& command, const std::string& description);
  CommandLine(CommandLine&&) noexcept;
  ~CommandLine();

  // A required word without a name.
  void word(const std::string& name, std::string& value, const std::string& help);
  // One or more of them.
  void words(const std::string& name, std::vector<std::string>& values, const std::string& help);
  void optional_word(const std::string& name, std::string& value, const std::string& help);
  // `stands_for` is what help shows for the value (see OptionDescription).
  void option(const std::string& name, std::string& value, const std::string& help,
              const std::string& stands_for = "TEXT");
  // Refuses what is not in [min, max].
  void option(const std::string& name, int& value, int min, int max, const std::string& help);
  void flag(const std::string& name, bool& value, const std::string& help);
  // No help page names the option `name`, which is there.
  void hide(const std::string& name);

  // `others` are options read elsewhere: a mistyped word may have meant them. If help is asked for,
  // help() is true and nothing else counts. Errors: invalid_argument.
  Status parse(const std::vector<std::string>& words, const std::vector<std::string>& others = {});
  bool help() const { return help_; }
  std::string help_text() const;
  CommandDescription description() const;

 private:
  bool is_hidden(const CLI::Option* option) const;
  Status explain_extra(const std::vector<std::string>& others) const;
  Status unknown(const std::string& typed, std::vector<std::string> others) const;

  std::string name_;
  std::string command_;
  std::unique_ptr<CLI::App> app_;
  std::vector<CLI::Option*> hidden_;
  bool help_ = false;
};

}  // namespace hypura::cli
