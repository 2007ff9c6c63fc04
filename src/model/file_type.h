#pragma once

#include <cstdint>
#include <string_view>

namespace hypura {

// llama.cpp's name of a general.file_type, "" for numbers it does not know.
std::string_view file_type_name(uint64_t file_type);

}  // namespace hypura
