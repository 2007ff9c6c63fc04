#pragma once

#include <histedit.h>

namespace hypura::cli {

// libedit, loaded by who reads a person's lines and nobody else. Without it lines are read as they
// come.
struct EditLibrary {
  decltype(&::el_init) init = nullptr;
  decltype(&::el_end) end = nullptr;
  decltype(&::el_set) set = nullptr;
  decltype(&::el_get) get = nullptr;
  decltype(&::el_resize) resize = nullptr;
  decltype(&::el_gets) gets = nullptr;
  decltype(&::el_line) line = nullptr;
  decltype(&::el_insertstr) insert = nullptr;
  decltype(&::history_init) history_init = nullptr;
  decltype(&::history_end) history_end = nullptr;
  decltype(&::history) history = nullptr;
};

// Stays loaded. Null where there is none.
const EditLibrary* edit_library();

}  // namespace hypura::cli
