#include "cli/chat/slash_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "base/suggestion.h"
#include "cli/chat/settings.h"

namespace hypura::cli {
namespace {

enum class Rest : uint8_t { none, text, setting, file };

struct Entry {
  std::string_view name;
  SlashCommand command;
  Rest rest;
  std::string_view usage;  // empty: another name of the one above
  std::string_view help;
};

constexpr std::array kEntries = std::to_array<Entry>({
    {"/help", SlashCommand::help, Rest::none, "/help", "what can be typed here"},
    {"/?", SlashCommand::help, Rest::none, "", ""},
    {"/system", SlashCommand::system, Rest::text, "/system [TEXT]",
     "another system prompt from here on; none without TEXT"},
    {"/set", SlashCommand::set, Rest::setting, "/set [parameter NAME VALUE]",
     "temperature, top_k, top_p, min_p, repeat_penalty, seed, num_predict; think, verbose on|off"},
    {"/show", SlashCommand::show, Rest::none, "/show", "the model, and where it lies"},
    {"/stats", SlashCommand::stats, Rest::none, "/stats", "tokens, speeds, reads, predictions"},
    {"/save", SlashCommand::save, Rest::file, "/save FILE", "write the chat to a file"},
    {"/load", SlashCommand::load, Rest::file, "/load FILE", "go on with a chat that was saved"},
    {"/clear", SlashCommand::clear, Rest::none, "/clear", "forget all but the system prompt"},
    {"/retry", SlashCommand::retry, Rest::none, "/retry", "another answer to the last message"},
    {"/quit", SlashCommand::quit, Rest::none, "/quit, /bye", "end; so does Ctrl-D"},
    {"/bye", SlashCommand::quit, Rest::none, "", ""},
    {"/exit", SlashCommand::quit, Rest::none, "", ""},
});

constexpr const char* kKeys =
    "\"\"\" starts and ends a message of several lines; a \\ at a line's end continues it.\n"
    "Ctrl-C stops an answer, and twice at the prompt ends the chat.\n";

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const Entry& entry : kEntries) all.emplace_back(entry.name);
  return all;
}

const Entry* find(std::string_view name) {
  const auto found = std::find_if(kEntries.begin(), kEntries.end(),
                                  [&](const Entry& entry) { return entry.name == name; });
  return found == kEntries.end() ? nullptr : &*found;
}

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

// As a shell would have it.
std::string with_home(const std::string& path) {
  const char* home = std::getenv("HOME");
  return path.starts_with("~/") && home != nullptr ? home + path.substr(1) : path;
}

std::vector<std::string> files_like(const std::string& start) {
  namespace fs = std::filesystem;
  const size_t slash = start.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : start.substr(0, slash + 1);
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator at(folder.empty() ? "." : with_home(folder), error), end;
       !error && at != end; at.increment(error)) {
    std::string name = folder + at->path().filename().string();
    std::error_code ignored;
    if (at->is_directory(ignored)) name += '/';
    found.push_back(std::move(name));
  }
  return found;
}

}  // namespace

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  for (size_t at = text.find_first_not_of(' '); at != std::string::npos;) {
    const size_t end = std::min(text.find(' ', at), text.size());
    words.push_back(text.substr(at, end - at));
    at = text.find_first_not_of(' ', end);
  }
  return words;
}

Result<SlashLine> parse_slash(const std::string& line) {
  const std::string name = line.substr(0, line.find_first_of(" \t\n"));
  const std::string rest = trimmed(line.substr(name.size()));
  const Entry* entry = find(name);
  if (entry == nullptr) {
    const std::string meant = closest(name, names());
    return Status(StatusCode::invalid_argument, fmt::format("{} is no command", name))
        .suggest(meant.empty() ? "/help" : fmt::format("did you mean {}?", meant));
  }
  if (entry->rest == Rest::none && !rest.empty()) {
    return Status(StatusCode::invalid_argument, fmt::format("{} takes no words", name));
  }
  if (entry->rest == Rest::file && rest.empty()) {
    return Status(StatusCode::invalid_argument, fmt::format("{} needs a file", name))
        .suggest(fmt::format("{} chat.json", name));
  }
  return SlashLine{.command = entry->command,
                   .rest = entry->rest == Rest::file ? with_home(rest) : rest};
}

std::string slash_help() {
  std::string text;
  for (const Entry& entry : kEntries) {
    if (!entry.usage.empty()) text += fmt::format("  {:<28} {}\n", entry.usage, entry.help);
  }
  return text + kKeys;
}

std::vector<std::string> complete_slash(const std::string& line) {
  const size_t begin = line.rfind(' ') + 1;  // 0 without one
  const std::string start = line.substr(begin);
  std::vector<std::string> words = words_of(line.substr(0, begin));
  std::vector<std::string> candidates;
  if (words.empty()) {
    candidates = names();
  } else if (const Entry* entry = find(words[0]); entry != nullptr) {
    words.erase(words.begin());
    if (entry->rest == Rest::setting) candidates = setting_words(words);
    if (entry->rest == Rest::file && words.empty()) candidates = files_like(start);
  }
  std::erase_if(candidates, [&](const std::string& word) { return !word.starts_with(start); });
  std::sort(candidates.begin(), candidates.end());
  return candidates;
}

}  // namespace hypura::cli
