#include "cli/chat/line_editor.h"

#include <langinfo.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cwchar>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli/chat/edit_library.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"

namespace hypura::cli {
namespace {

constexpr int kHistoryMax = 1000;  // messages

std::string common_start(const std::vector<std::string>& words) {
  std::string start = words.front();
  for (const std::string& word : words) {
    const auto end = std::mismatch(start.begin(), start.end(), word.begin(), word.end()).first;
    start.erase(end, start.end());
  }
  // Not within a character.
  while (!start.empty() && (static_cast<unsigned char>(start.back()) & 0xc0) == 0x80) {
    start.pop_back();
  }
  return start;
}

class LibeditEditor final : public LineEditor {
 public:
  LibeditEditor(const EditLibrary& library, std::string history_file, Completer completer)
      : library_(library), history_file_(std::move(history_file)), completer_(completer) {}
  ~LibeditEditor() override {
    if (editor_ != nullptr) library_.end(editor_);
    if (history_ != nullptr) library_.history_end(history_);
  }
  LibeditEditor(const LibeditEditor&) = delete;
  LibeditEditor& operator=(const LibeditEditor&) = delete;

  bool open() {
    // libedit decodes what is typed by the locale; ours is UTF-8 everywhere.
    std::setlocale(LC_CTYPE, "");
    if (std::string_view(nl_langinfo(CODESET)) != "UTF-8") std::setlocale(LC_CTYPE, "C.UTF-8");
    editor_ = library_.init("hypura", stdin, stderr, stderr);
    history_ = library_.history_init();
    if (editor_ == nullptr || history_ == nullptr) return false;
    library_.set(editor_, EL_CLIENTDATA, this);
    library_.set(editor_, EL_EDITOR, "emacs");
    library_.set(editor_, EL_PROMPT, &prompt);
    library_.set(editor_, EL_GETCFN, &read_character);
    library_.set(editor_, EL_ADDFN, "hypura-complete", "completes", &complete);
    library_.set(editor_, EL_BIND, "^I", "hypura-complete", nullptr);
    library_.set(editor_, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    HistEvent event;
    library_.history(history_, &event, H_SETSIZE, kHistoryMax);
    library_.history(history_, &event, H_SETUNIQUE, 1);
    library_.set(editor_, EL_HIST, library_.history, history_);
    if (!history_file_.empty()) library_.history(history_, &event, H_LOAD, history_file_.c_str());
    return true;
  }

  TypedLine read(const char* text) override {
    prompt_ = text;
    library_.resize(editor_);
    int count = 0;
    const char* line = library_.gets(editor_, &count);
    if (line == nullptr || count <= 0) {
      write_note("\n");
      return {.end = interrupt_flag().load() ? LineEnd::interrupted : LineEnd::end_of_input};
    }
    std::string typed(line, static_cast<size_t>(count));
    if (typed.ends_with('\n')) typed.pop_back();
    return {.end = LineEnd::line, .text = std::move(typed)};
  }

  void remember(const std::string& message) override {
    HistEvent event;
    library_.history(history_, &event, H_ENTER, message.c_str());
    if (history_file_.empty()) return;
    namespace fs = std::filesystem;
    std::error_code error;
    const fs::path folder = fs::path(history_file_).parent_path();
    if (fs::create_directories(folder, error)) {
      fs::permissions(folder, fs::perms::owner_all, error);
    }
    // libedit makes the file its user's alone before it writes. What cannot be kept is no reason
    // to stop a chat.
    library_.history(history_, &event, H_SAVE, history_file_.c_str());
  }

 private:
  static LibeditEditor& of(const EditLibrary& library, EditLine* editor) {
    void* self = nullptr;
    library.get(editor, EL_CLIENTDATA, &self);
    return *static_cast<LibeditEditor*>(self);
  }

  static char* prompt(EditLine* editor) {
    return const_cast<char*>(of(*edit_library(), editor).prompt_);
  }

  // libedit's own goes on reading after a signal. 1, 0 at the end of input, or -1 after one.
  static int read_character(EditLine*, wchar_t* character) {
    std::mbstate_t state{};
    while (true) {
      if (interrupt_flag().load()) return -1;
      char byte = 0;
      const ssize_t count = ::read(STDIN_FILENO, &byte, 1);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return static_cast<int>(count);
      const size_t length = std::mbrtowc(character, &byte, 1, &state);
      if (length == static_cast<size_t>(-1)) state = {};  // no UTF-8: as if it were not typed
      if (length <= 1) return 1;
    }
  }

  static unsigned char complete(EditLine* editor, int) {
    const EditLibrary& library = *edit_library();
    const LineInfo* info = library.line(editor);
    const std::string line(info->buffer, info->cursor);
    const std::vector<std::string> words = of(library, editor).completer_(line);
    if (words.empty()) return CC_ERROR;
    const size_t typed = line.size() - (line.rfind(' ') + 1);
    std::string added = common_start(words).substr(typed);
    if (words.size() == 1 && !words[0].ends_with('/')) added += ' ';
    if (!added.empty()) {
      return library.insert(editor, added.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
    }
    write_note("\n");
    for (const std::string& word : words) write_note(word + "  ");
    write_note("\n");
    return CC_REDISPLAY;
  }

  const EditLibrary& library_;
  const std::string history_file_;
  const Completer completer_;
  const char* prompt_ = "";
  EditLine* editor_ = nullptr;
  History* history_ = nullptr;
};

}  // namespace

std::unique_ptr<LineEditor> LineEditor::create(std::string history_file, Completer completer) {
  if (isatty(STDIN_FILENO) == 0 || isatty(STDERR_FILENO) == 0) return nullptr;
  const EditLibrary* library = edit_library();
  if (library == nullptr) return nullptr;
  auto editor = std::make_unique<LibeditEditor>(*library, std::move(history_file), completer);
  if (!editor->open()) return nullptr;
  return editor;
}

}  // namespace hypura::cli
