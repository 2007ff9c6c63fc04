#pragma once

#include <map>
#include <string>

#include "base/status.h"

namespace hypura::ollama {

// The text that a `template` of Ollama's makes of one prompt: Go's text/template, as far as
// templates without messages go: {{ .Name }}, {{ if .Name }}, {{ else }}, {{ end }}, and - that
// trims. `values`: System, Prompt, Suffix and Response. Ends where {{ .Response }} stands. Errors:
// invalid_argument that names what is not known.
Result<std::string> render_template(const std::string& text,
                                    const std::map<std::string, std::string>& values);

}  // namespace hypura::ollama
