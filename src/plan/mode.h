#pragma once

#include <cstdint>

#include "model/layout.h"

namespace hypura {

// resident is llama.cpp's plain path; experts, dense and mixed stream what their names say.
enum class Mode : uint8_t { automatic, resident, experts, dense, mixed };
const char* to_string(Mode mode);

// What a layout streams.
Mode mode_of(const Layout& layout);

}  // namespace hypura
