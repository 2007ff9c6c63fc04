#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace hypura {

// Names of models as Ollama writes them: [HOST/][OWNER/]MODEL[:TAG], where a missing tag means
// "latest". Compared without case. In our models folder an owner is a subfolder and a colon is
// "--": "org/repo:Q4_K_M" lies in org/repo--Q4_K_M.gguf.

// Whether somebody may mean a model by it. Errors: invalid_argument for what no name contains:
// "..", an absolute path, backslashes, control characters, empty parts, more than 255 bytes.
Status check_name(std::string_view name);

// What two names that mean the same model have in common.
std::string name_key(std::string_view name);

// Where below the models folder a new model of this name goes, without ".gguf". Errors:
// invalid_argument for what check_name() refuses, and for what would not be found again: more than
// one slash, other characters than letters, digits and ._-, a shard's or projector's name.
Result<std::string> stem_of_name(std::string_view name);

// The name of a file of the models folder, from its path below it without ".gguf".
std::string name_of_stem(std::string_view stem);

// "Q4_K_M" of "Llama-3.2-1B-Instruct-Q4_K_M"; all of it where it ends in no quantization.
std::string quantization_of_stem(std::string_view stem);

// Whether a file of this name is an image encoder that belongs to a model beside it.
bool is_projector(std::string_view file_name);

std::string lower_case(std::string_view text);

}  // namespace hypura
