#include "cli/chat/interactive.h"

#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <utility>

#include "cli/chat/dialogue.h"
#include "cli/chat/message_reader.h"
#include "cli/chat/session_file.h"
#include "cli/chat/slash_command.h"
#include "cli/chat/statistics.h"
#include "cli/folders.h"
#include "cli/interrupt.h"
#include "cli/report.h"
#include "cli/terminal.h"

namespace hypura::cli {
namespace {

// The chat on the terminal: what is typed, and what becomes of it.
class Chat {
 public:
  Chat(Dialogue& dialogue, const std::string& history_file)
      : dialogue_(dialogue), history_file_(history_file) {}

  // What ends the chat; ok() while it goes on, and when ended() says so.
  Status take(const std::string& line) {
    // A model without a template continues what is written, as long as that is no command of ours.
    if (!line.starts_with('/')) return say(line);
    Result<SlashLine> parsed = parse_slash(line);
    return parsed.ok() ? carry_out(*parsed) : forgive(parsed.status());
  }
  bool ended() const { return ended_; }

 private:
  // A person can try again, a script cannot.
  static Status forgive(Status status) {
    if (isatty(STDIN_FILENO) == 0) return status;
    write_note(status.to_string() + "\n");
    return Status();
  }

  Status say(const std::string& message) {
    Status status = dialogue_.say(message);
    if (!status.ok()) return dialogue_.can_go_on() ? forgive(std::move(status)) : status;
    if (dialogue_.settings().verbose) write_note(turn_text(dialogue_, history_file_));
    return Status();
  }

  Status carry_out(const SlashLine& line) {
    Conversation& conversation = dialogue_.conversation();
    switch (line.command) {
      case SlashCommand::help: write_note(slash_help()); break;
      case SlashCommand::system: conversation.set_system(line.rest); break;
      case SlashCommand::set: return set(line.rest);
      case SlashCommand::show: write_note(plan_text(dialogue_.engine()) + "\n"); break;
      case SlashCommand::stats: tell_statistics(); break;
      case SlashCommand::save: return save(line.rest);
      case SlashCommand::load: return load(line.rest);
      case SlashCommand::clear: conversation.clear(); break;
      case SlashCommand::retry: return retry();
      case SlashCommand::quit: ended_ = true; break;
    }
    return Status();
  }

  Status set(const std::string& words) {
    if (words.empty()) {
      write_note(settings_text(dialogue_.settings()));
      return Status();
    }
    Status status = dialogue_.change(words_of(words));
    return status.ok() ? status : forgive(std::move(status));
  }

  void tell_statistics() {
    if (!dialogue_.turns().empty()) write_note(turn_text(dialogue_, history_file_));
    write_note(chat_text(dialogue_));
  }

  Status save(const std::string& path) {
    Status status = save_chat(dialogue_, path);
    if (!status.ok()) return forgive(std::move(status));
    write_note(fmt::format("saved {} messages in {}\n",
                           dialogue_.conversation().messages().size(), path));
    return Status();
  }

  Status load(const std::string& path) {
    const Result<std::string> loaded = load_chat(dialogue_, path);
    if (!loaded.ok()) return forgive(loaded.status());
    write_note(*loaded);
    return Status();
  }

  Status retry() {
    const std::optional<std::string> message = dialogue_.conversation().take_last_turn();
    if (message.has_value()) return say(*message);
    return forgive(Status(StatusCode::invalid_argument, "/retry: nothing was said yet"));
  }

  Dialogue& dialogue_;
  const std::string& history_file_;
  bool ended_ = false;
};

std::string typed_file() {
  const std::string folder = state_folder();
  return folder.empty() ? folder : folder + "/history";
}

}  // namespace

Status chat(Engine& engine, const std::string& history_file) {
  Result<std::unique_ptr<Dialogue>> dialogue = Dialogue::create(engine);
  if (!dialogue.ok()) return dialogue.status();
  if (!(*dialogue)->conversation().has_template()) {
    write_note("this model has no chat template: it continues what you write\n");
  }
  Chat chat(**dialogue, history_file);
  MessageReader reader(typed_file());
  if (isatty(STDIN_FILENO) != 0) write_note("/help says what can be typed here\n");
  std::optional<std::string> message = engine.params().prompt;
  if (message->empty()) message = reader.read();
  for (; message.has_value(); message = reader.read()) {
    if (Status status = chat.take(*message); !status.ok()) return status;
    if (chat.ended() || asked_to_end()) break;
  }
  return Status();
}

}  // namespace hypura::cli
