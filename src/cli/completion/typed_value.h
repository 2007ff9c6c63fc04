#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hypura::cli {

// What a shell can offer for a value.
struct TypedValue {
  enum class Paths : uint8_t { none, files, folders, models };

  std::vector<std::string> words;
  Paths paths = Paths::none;
  bool commands = false;  // the names of our commands

  bool nothing() const { return words.empty() && paths == Paths::none && !commands; }
  void add(const TypedValue& other);
};

// `stands_for` is the value of an OptionDescription, ours or llama.cpp's: "SIZE|auto|0", "FNAME",
// "{none,linear,yarn}", "[on|off|auto]".
TypedValue typed_value(const std::string& stands_for);

// How a shell's script calls a kind of paths.
const char* to_string(TypedValue::Paths paths);

}  // namespace hypura::cli
