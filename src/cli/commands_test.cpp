// What is made of the table of commands: help, completions and man pages know all of it.
#include "cli/commands.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "cli/completion/script.h"
#include "cli/man_page.h"

namespace hypura::cli {
namespace {

std::vector<CommandDescription> descriptions() {
  std::vector<CommandDescription> all;
  for (const Command& command : commands()) all.push_back(command.describe());
  return all;
}

// Whether `word` occurs with none of a name's characters beside it.
bool has_word(const std::string& text, const std::string& word) {
  const auto in_name = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
  };
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    if ((at == 0 || !in_name(text[at - 1])) && (end == text.size() || !in_name(text[end]))) {
      return true;
    }
  }
  return false;
}

std::string without_escapes(std::string text) {
  for (size_t at = 0; (at = text.find("\\-", at)) != std::string::npos;) text.erase(at, 1);
  for (size_t at = 0; (at = text.find("\\f", at)) != std::string::npos;) text.replace(at, 3, " ");
  return text;
}

TEST(Commands, DescribeThemselvesUnderTheirName) {
  std::set<std::string_view> names;
  for (const Command& command : commands()) {
    EXPECT_TRUE(names.insert(command.name).second) << command.name;
    EXPECT_EQ(find_command(command.name), &command);
    const CommandDescription description = command.describe();
    EXPECT_EQ(description.name, command.name);
    EXPECT_FALSE(description.text.empty()) << command.name;
    for (const OptionDescription& option : all_options(description)) {
      EXPECT_FALSE(option.names.empty()) << command.name;
      EXPECT_FALSE(option.help.empty()) << command.name << " " << option.names.front();
    }
    EXPECT_NE(commands_help().find("  hypura " + description.name + " "), std::string::npos);
  }
  EXPECT_EQ(find_command("rnu"), nullptr);
}

TEST(Commands, EveryOptionIsInEveryScript) {
  for (const CommandDescription& description : descriptions()) {
    // One alone, for an option that others have is in the script of all.
    const std::string bash = bash_script({description});
    const std::string zsh = zsh_script({description});
    const std::string fish = fish_script({description});
    for (const OptionDescription& option : all_options(description)) {
      for (const std::string& name : option.names) {
        EXPECT_TRUE(has_word(bash, name)) << description.name << " " << name;
        EXPECT_TRUE(has_word(zsh, name)) << description.name << " " << name;
        const std::string typed = name.starts_with("--") ? "-l " + name.substr(2)
                                  : name.size() == 2     ? "-s " + name.substr(1)
                                                         : "-o " + name.substr(1);
        EXPECT_TRUE(has_word(fish, typed)) << description.name << " " << typed;
      }
    }
  }
}

TEST(Commands, EveryOptionIsOnTheManPage) {
  const std::string all = without_escapes(man_page(descriptions()));
  for (const Command& command : commands()) {
    const CommandDescription description = command.describe();
    EXPECT_TRUE(has_word(all, "hypura-" + description.name)) << description.name;
    const std::string page = without_escapes(man_page(description, command.usage));
    for (const OptionDescription& option : all_options(description)) {
      for (const std::string& name : option.names) {
        EXPECT_TRUE(has_word(page, name)) << description.name << " " << name;
      }
    }
  }
}

TEST(ManPage, TextIsNoRequest) {
  const CommandDescription command{
      .name = "x",
      .text = "Does it.",
      .options = {{.names = {"--a-b"}, .value = "N", .help = ".sh is 'not'\n\n  '\\fB' a - b\n"}}};
  const std::string page = man_page(command, "[A]\n--b");
  EXPECT_NE(page.find(".TP\n\\fB\\-\\-a\\-b\\fR \\fIN\\fR\n\\&.sh is \\(aqnot\\(aq\n.br\n"
                      "\\&\\(aq\\efB\\(aq a \\- b\n"),
            std::string::npos)
      << page;
  EXPECT_NE(page.find("\\fBhypura x\\fR [A]\n.br\n\\fBhypura x\\fR \\-\\-b\n"), std::string::npos)
      << page;
}

TEST(Script, TextsAreQuoted) {
  const CommandDescription command{
      .name = "x", .text = "Isn't it.", .options = {{.names = {"--a"}, .help = "a [b]: \\ isn't"}}};
  EXPECT_NE(zsh_script({command}).find(R"('*--a[a \[b\]: \\ isn'\''t]')"), std::string::npos);
  EXPECT_NE(fish_script({command}).find(R"(-l a -d 'a [b]: \\ isn\'t')"), std::string::npos);
}

TEST(Script, LongHelpIsCutAtAWord) {
  EXPECT_EQ(in_short("one line\nand another"), "one line");
  const std::string cut = in_short(std::string(30, 'a') + " " + std::string(60, 'b'));
  EXPECT_EQ(cut, std::string(30, 'a') + " ...");
}

}  // namespace
}  // namespace hypura::cli
