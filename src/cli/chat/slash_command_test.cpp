#include "cli/chat/slash_command.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace hypura::cli {
namespace {

using Words = std::vector<std::string>;

TEST(SlashCommand, TakesTheRestWithoutSpacesAroundIt) {
  const auto line = parse_slash("/system  You are a pirate. \n");
  ASSERT_TRUE(line.ok());
  EXPECT_EQ(line->command, SlashCommand::system);
  EXPECT_EQ(line->rest, "You are a pirate.");
  EXPECT_EQ(parse_slash("/bye")->command, SlashCommand::quit);
  EXPECT_EQ(parse_slash("/?")->command, SlashCommand::help);
}

TEST(SlashCommand, RefusesWhatItDoesNotUnderstand) {
  EXPECT_NE(parse_slash("/hlep").status().to_string().find("did you mean /help?"),
            std::string::npos);
  EXPECT_FALSE(parse_slash("/").ok());
  EXPECT_FALSE(parse_slash("/save").ok());
  EXPECT_FALSE(parse_slash("/clear all").ok());
}

TEST(SlashCommand, HelpNamesAllButOtherNames) {
  const std::string help = slash_help();
  for (const char* name : {"/help", "/system", "/set", "/show", "/stats", "/save", "/load",
                           "/clear", "/retry", "/quit", "/bye"}) {
    EXPECT_NE(help.find(name), std::string::npos) << name;
  }
}

TEST(SlashCommand, CompletesCommandsAndSettings) {
  EXPECT_EQ(complete_slash("/cl"), Words{"/clear"});
  EXPECT_EQ(complete_slash("/s"), (Words{"/save", "/set", "/show", "/stats", "/system"}));
  EXPECT_EQ(complete_slash("/set par"), Words{"parameter"});
  EXPECT_EQ(complete_slash("/set parameter top"), (Words{"top_k", "top_p"}));
  EXPECT_EQ(complete_slash("/set think o"), (Words{"off", "on"}));
  EXPECT_TRUE(complete_slash("/set parameter top_k ").empty());
  EXPECT_TRUE(complete_slash("/quit ").empty());
}

TEST(SlashCommand, FilesLieInTheHomeOfTheirUser) {
  std::string folder = "./hypura_slash_test.XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  std::filesystem::create_directories(folder + "/chats");
  std::ofstream(folder + "/chats/one.json") << "{}";
  const char* home = ::getenv("HOME");
  const std::string before = home == nullptr ? "" : home;
  ::setenv("HOME", folder.c_str(), 1);
  EXPECT_EQ(parse_slash("/load ~/chats/one.json")->rest, folder + "/chats/one.json");
  EXPECT_EQ(parse_slash("/load ~one")->rest, "~one");
  EXPECT_EQ(complete_slash("/load ~/ch"), Words{"~/chats/"});
  EXPECT_EQ(complete_slash("/load ~/chats/o"), Words{"~/chats/one.json"});
  EXPECT_EQ(complete_slash("/save " + folder + "/chats/"), Words{folder + "/chats/one.json"});
  ::setenv("HOME", before.c_str(), 1);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace hypura::cli
