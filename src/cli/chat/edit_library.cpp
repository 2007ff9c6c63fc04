#include "cli/chat/edit_library.h"

#include <dlfcn.h>

#include <array>
#include <optional>

namespace hypura::cli {
namespace {

#if defined(__APPLE__)
constexpr std::array kNames = {"/usr/lib/libedit.3.dylib"};
#else
constexpr std::array kNames = {"libedit.so.2", "libedit.so.0"};  // Debian's, all others'
#endif

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

std::optional<EditLibrary> load() {
  void* library = nullptr;
  for (const char* name : kNames) {
    if (library == nullptr) library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
  }
  EditLibrary edit;
  if (library != nullptr && find(library, "el_init", edit.init) &&
      find(library, "el_end", edit.end) && find(library, "el_set", edit.set) &&
      find(library, "el_get", edit.get) && find(library, "el_resize", edit.resize) &&
      find(library, "el_gets", edit.gets) && find(library, "el_line", edit.line) &&
      find(library, "el_insertstr", edit.insert) &&
      find(library, "history_init", edit.history_init) &&
      find(library, "history_end", edit.history_end) && find(library, "history", edit.history)) {
    return edit;
  }
  return std::nullopt;
}

}  // namespace

const EditLibrary* edit_library() {
  static const std::optional<EditLibrary> loaded = load();
  return loaded.has_value() ? &*loaded : nullptr;
}

}  // namespace hypura::cli
