#pragma once

#include <string_view>

#include "base/status.h"

namespace hypura {

// One message on the host program's stderr, marked as ours. A plug-in has no other way to be heard:
// ggml's statuses carry no text.
void say(std::string_view message);
void say(const Status& error);

}  // namespace hypura
