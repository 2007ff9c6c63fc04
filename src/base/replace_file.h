#pragma once

#include <string>
#include <string_view>
#include <system_error>

namespace hypura {

// Makes `content` the file's in one step, whatever becomes of us meanwhile: readers see all of the
// old or all of the new. Makes its folder. The error is the system's; nothing is left behind then.
std::error_code replace_file(const std::string& path, std::string_view content);

}  // namespace hypura
