#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "model/layout.h"

namespace hypura {

// resident and mapped are llama.cpp's plain path, with the weights in memory of their own or in the
// system's page cache; experts, dense and mixed stream what their names say.
enum class Mode : uint8_t { automatic, resident, mapped, experts, dense, mixed };
const char* to_string(Mode mode);
bool streams(Mode mode);
// The inverse of to_string, of what is a result: not "auto".
std::optional<Mode> parse_mode(std::string_view text);

// What a layout streams. Experts that are copied to a GPU do, also from RAM.
Mode mode_of(const Layout& layout, bool copies_experts = false);

}  // namespace hypura
