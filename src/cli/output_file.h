#pragma once

#include <string>

#include "base/status.h"

namespace hypura::cli {

// A slip of the fingers must not cost a model. Errors: invalid_argument, if `path` is a GGUF file.
// `option` named it, for the message.
Status check_output(const std::string& path, const std::string& option);

// Makes `text` the file's content, whatever it had. Errors: failed with errno; then the file is
// gone.
Status write_file(const std::string& path, const std::string& text);

}  // namespace hypura::cli
